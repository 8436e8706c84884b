/* A web app that uses almost no CPU time, in one thread. The path selects the answer, and every body is read.

       /text/N  /binary/N            N bytes with Content-Length
       /chunks/N/SIZE                N bytes in chunks of SIZE bytes
       /events/N/MICROSECONDS        N server-sent events at this interval, each in its own chunk
       /slow/MILLISECONDS/N          N bytes of text after this time
       /headers/COUNT/N              N bytes of text with COUNT headers
       any other path                the same as /text/2

   X-Received in each answer is the length of the request's body. Writes "port N" first.

       fake_app [PORT [FILE]]        the text repeats the content of FILE, if it is given */
#include "net.h"

#define PATTERN_SIZE (1 << 20)
#define LINE "{\"id\": 1234567, \"name\": \"plain text, as most of it is\", \"ok\": 1}\n"

struct connection {
    int fd;
    int in_body;
    int writes; /* whether EPOLLOUT is requested */
    size_t received;
    size_t have;
    struct body body;
    char request[512];
    /* The answer: its pattern, the bytes that are left, and the time at which the next part is due. */
    const char *pattern;
    size_t period, offset, left;
    long events_left;
    int64_t interval, due;
    struct connection *next;
    char buffer[BUFFER_SIZE];
};

static int epoll;
static char binary[PATTERN_SIZE], text_pattern[PATTERN_SIZE], *text = text_pattern, *chunked;
static size_t chunked_period, text_period = PATTERN_SIZE;
static struct connection *delayed;

static void make_patterns(void) {
    for (size_t i = 0; i < PATTERN_SIZE; i++) binary[i] = i % 251, text_pattern[i] = LINE[i % (sizeof LINE - 1)];
}

/* The text in `path`, as often as it fits: many small sends would be what is measured. */
static void repeat_file(const char *path) {
    size_t size, count;
    char *content = read_file(path, &size);
    if (!size) die(path);
    count = PATTERN_SIZE / size ? PATTERN_SIZE / size : 1;
    text = allocate(count * size);
    for (size_t i = 0; i < count; i++) memcpy(text + i * size, content, size);
    text_period = count * size;
}

/* Chunks of `size` bytes one after the other, as many as fit into the pattern. */
static void make_chunks(size_t size) {
    char line[32];
    int length = snprintf(line, sizeof line, "%zx\r\n", size);
    static size_t made;
    if (made == size) return;
    free(chunked);
    size_t count = PATTERN_SIZE / size ? PATTERN_SIZE / size : 1, each = length + size + 2;
    chunked = allocate(count * each);
    for (size_t i = 0; i < count; i++) {
        memcpy(chunked + i * each, line, length);
        memcpy(chunked + i * each + length, text, size);
        memcpy(chunked + i * each + length + size, "\r\n", 2);
    }
    made = size;
    chunked_period = count * each;
}

static void set_writes(struct connection *connection, int writes) {
    struct epoll_event event = {.events = writes ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = connection};
    if (connection->writes == writes) return;
    connection->writes = writes;
    epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event);
}

static void send_pattern(struct connection *connection) {
    while (connection->left) {
        size_t size = connection->period - connection->offset;
        if (size > connection->left) size = connection->left;
        ssize_t sent = send(connection->fd, connection->pattern + connection->offset, size, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) return set_writes(connection, 1);
            connection->left = 0;
            return;
        }
        connection->left -= sent;
        connection->offset = (connection->offset + sent) % connection->period;
    }
    set_writes(connection, 0);
    if (connection->pattern == chunked) send_all(connection->fd, "0\r\n\r\n", 5);
}

static void begin(struct connection *connection, const char *type, const char *extra, size_t length) {
    char head[65536];
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nX-Received: %zu\r\nServer: fake\r\n%s"
                        "Content-Length: %zu\r\n\r\n",
                        type, connection->received, extra, length);
    connection->offset = 0;
    connection->period = type[0] == 't' ? text_period : PATTERN_SIZE;
    connection->pattern = type[0] == 't' ? text : binary;
    /* The head and the first bytes in one segment, as servers send them. */
    size_t first = length < 16384 ? length : 16384;
    if (first > connection->period) first = connection->period;
    struct iovec parts[] = {{head, size}, {(char *)connection->pattern, first}};
    connection->left = send_parts(connection->fd, parts, 2) ? 0 : length - first;
    connection->offset = first % connection->period;
    send_pattern(connection);
}

static void begin_chunks(struct connection *connection, size_t total, size_t chunk) {
    char head[512];
    make_chunks(chunk);
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Received: %zu\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n",
                        connection->received);
    send_all(connection->fd, head, size);
    connection->pattern = chunked;
    connection->period = chunked_period;
    connection->offset = 0;
    connection->left = total / chunk * (snprintf(NULL, 0, "%zx\r\n", chunk) + chunk + 2);
    send_pattern(connection);
}

static void delay(struct connection *connection, int64_t interval) {
    connection->interval = interval;
    connection->due = nanoseconds(CLOCK_MONOTONIC) + interval;
    connection->next = delayed;
    delayed = connection;
}

static void send_extra_headers(struct connection *connection, int count, size_t length) {
    char *extra = allocate(count * 64 + 1), *end = extra;
    for (int i = 0; i < count; i++) end += sprintf(end, "x-header-number-%03d: a value of some length\r\n", i);
    begin(connection, "text/plain", extra, length);
    free(extra);
}

static void answer(struct connection *connection) {
    const char *path = strchr(connection->request, ' ');
    long a = 0, b = 0;
    path = path ? path + 1 : "/";
    if (sscanf(path, "/text/%ld", &a) == 1) return begin(connection, "text/plain", "", a);
    if (sscanf(path, "/binary/%ld", &a) == 1) return begin(connection, "application/octet-stream", "", a);
    if (sscanf(path, "/chunks/%ld/%ld", &a, &b) == 2) return begin_chunks(connection, a, b);
    if (sscanf(path, "/headers/%ld/%ld", &a, &b) == 2) return send_extra_headers(connection, a, b);
    if (sscanf(path, "/slow/%ld/%ld", &a, &b) == 2) {
        connection->events_left = -b;
        return delay(connection, a * 1000000);
    }
    if (sscanf(path, "/events/%ld/%ld", &a, &b) == 2) {
        const char *head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        send_all(connection->fd, head, strlen(head));
        connection->events_left = a;
        return delay(connection, b * 1000);
    }
    begin(connection, "text/plain", "", 2);
}

/* What is due of a delayed answer; whether there is more of it later. */
static int go_on(struct connection *connection) {
    static const char event[] = "28\r\nid: 1234567\ndata: one small event, OK.\n\n\r\n";
    if (connection->events_left < 0) {
        long length = -connection->events_left;
        connection->events_left = 0;
        begin(connection, "text/plain", "", length);
        return 0;
    }
    send_all(connection->fd, event, sizeof event - 1);
    connection->due += connection->interval;
    if (--connection->events_left) return 1;
    send_all(connection->fd, "0\r\n\r\n", 5);
    return 0;
}

static void run_delayed(void) {
    int64_t now = nanoseconds(CLOCK_MONOTONIC);
    for (struct connection **link = &delayed; *link;) {
        struct connection *connection = *link;
        if (connection->due > now) {
            link = &connection->next;
        } else if (go_on(connection)) {
            /* Due again: looked at in the next round, after the sockets. */
            link = &connection->next;
        } else {
            *link = connection->next;
        }
    }
}

static void drop(struct connection *connection) {
    for (struct connection **link = &delayed; *link; link = &(*link)->next)
        if (*link == connection) {
            *link = connection->next;
            break;
        }
    close(connection->fd);
    free(connection);
}

/* Takes one head or one piece of a body; the number of bytes used, 0 when more are needed. */
static size_t advance(struct connection *connection, char *data, size_t size) {
    size_t taken;
    if (connection->in_body) {
        char *piece;
        size_t length;
        taken = take_body(&connection->body, data, size, &piece, &length);
        connection->received += length;
    } else {
        if (!(taken = head_length(data, size))) return 0;
        connection->in_body = 1;
        connection->received = 0;
        connection->body = body_of(data, taken, 0);
        size_t line = (char *)memchr(data, '\r', taken) - data;
        if (line >= sizeof connection->request) line = sizeof connection->request - 1;
        memcpy(connection->request, data, line);
        connection->request[line] = 0;
    }
    if (connection->body.done) {
        connection->in_body = 0;
        answer(connection);
    }
    return taken;
}

static void receive(struct connection *connection) {
    size_t used = 0, taken = 1;
    ssize_t got = recv(connection->fd, connection->buffer + connection->have, BUFFER_SIZE - connection->have, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return drop(connection);
    connection->have += got;
    while (taken && used < connection->have) {
        taken = advance(connection, connection->buffer + used, connection->have - used);
        used += taken;
    }
    connection->have -= used;
    if (connection->have && used) memmove(connection->buffer, connection->buffer + used, connection->have);
    if (connection->have == BUFFER_SIZE) drop(connection);
}

static int wait_for(struct epoll_event *ready, int size) {
    if (!delayed) return epoll_wait(epoll, ready, size, -1);
    int64_t due = INT64_MAX, now = nanoseconds(CLOCK_MONOTONIC);
    for (struct connection *each = delayed; each; each = each->next)
        if (each->due < due) due = each->due;
    int64_t wait = due > now ? due - now : 0;
    struct timespec timeout = {wait / 1000000000, wait % 1000000000};
    return epoll_pwait2(epoll, ready, size, &timeout, NULL);
}

int main(int argc, char **argv) {
    int port = argc > 1 ? atoi(argv[1]) : 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    make_patterns();
    if (argc > 2) repeat_file(argv[2]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(&port);
    watch(epoll, listener, &listener, EPOLLIN);
    printf("port %d\n", port);
    for (;;) {
        struct epoll_event ready[64];
        int count = wait_for(ready, 64);
        for (int i = 0; i < count; i++) {
            struct connection *connection = ready[i].data.ptr;
            if (ready[i].data.ptr == &listener) {
                connection = allocate(sizeof *connection);
                if ((connection->fd = accept_from(listener)) < 0) free(connection);
                else watch(epoll, connection->fd, connection, EPOLLIN);
                continue;
            }
            if (ready[i].events & EPOLLOUT) send_pattern(connection);
            if (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(connection);
        }
        if (delayed) run_delayed();
    }
}
