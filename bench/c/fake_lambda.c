/* A Lambda Runtime API that sends the same event again and again, as fast as it is answered, and measures.

       fake_lambda EVENT_FILE SLOTS

   Writes "port N" first, and "next NS" (monotonic clock) at the first /next. Then it reads commands, one per line.
   "run COUNT" sends COUNT invocations, and writes one line of JSON when all are answered and every slot waits in /next
   again. "save FILE" sends one invocation, writes the body of its answer to FILE, and then writes {}. It reads every
   answer to its end and counts the bytes. The JSON contains its own CPU time. */
#include "net.h"

/* The number of invocations whose ids differ. */
#define MAX_RUN (1 << 20)

struct connection {
    int fd;
    int waits;
    int in_body;
    int counts; /* the body is the answer to an invocation */
    int is_error;
    int saw_first;
    int closes;
    unsigned id;
    size_t have;
    struct body body;
    char buffer[BUFFER_SIZE];
};

static int epoll, slots, parked_count;
static struct connection *parked[1024];
static char *event;
static size_t event_size;
static unsigned last_id;
static long to_hand, expected, answered, failures, first_count;
static int64_t bytes, started, own_cpu, handed[MAX_RUN], total_times[MAX_RUN], first_times[MAX_RUN];
static FILE *saving;

static void hand_out(struct connection *connection) {
    char head[1024];
    unsigned id = ++last_id;
    long deadline = (nanoseconds(CLOCK_REALTIME) / 1000000) + 900000;
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-%012x\r\n"
                        "Lambda-Runtime-Deadline-Ms: %ld\r\n"
                        "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:bench\r\n"
                        "Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;"
                        "Sampled=0\r\nContent-Length: %zu\r\n\r\n",
                        id, deadline, event_size);
    struct iovec parts[] = {{head, size}, {event, event_size}};
    to_hand--;
    connection->waits = 0;
    handed[id % MAX_RUN] = nanoseconds(CLOCK_MONOTONIC);
    send_parts(connection->fd, parts, 2);
}

static void park(struct connection *connection) {
    static int said;
    if (!said) {
        said = 1;
        printf("next %ld\n", (long)nanoseconds(CLOCK_MONOTONIC));
    }
    connection->waits = 1;
    if (to_hand > 0) hand_out(connection);
    else if (parked_count < 1024) parked[parked_count++] = connection;
}

static void begin_body(struct connection *connection, size_t head) {
    char *invocation = memmem(connection->buffer, head, "/invocation/", 12);
    connection->in_body = 1;
    connection->saw_first = 0;
    connection->counts = invocation != NULL;
    connection->is_error = memmem(connection->buffer, head, "/error HTTP", 11) != NULL;
    connection->id = invocation ? strtoul(invocation + 12 + 24, NULL, 16) : 0;
    connection->body = body_of(connection->buffer, head, 0);
    const char *close = header(connection->buffer, head, "connection:");
    connection->closes = close && !strncasecmp(close, "close", 5);
}

static void end_body(struct connection *connection) {
    const char *answer = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n"
                         "{\"status\":\"OK\"}\n";
    connection->in_body = 0;
    if (connection->counts) {
        int64_t now = nanoseconds(CLOCK_MONOTONIC);
        total_times[answered++ % MAX_RUN] = now - handed[connection->id % MAX_RUN];
        failures += connection->is_error || connection->body.failed;
    } else {
        /* Registering as an extension. */
        answer = "HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: 2f1bff04-9a02-4b0e-9aae-0f8d1b1d9c3c\r\n"
                 "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        if (connection->is_error) fprintf(stderr, "init error\n");
    }
    send_all(connection->fd, answer, strlen(answer));
    if (connection->closes) shutdown(connection->fd, SHUT_WR);
}

static void take_piece(struct connection *connection, char *piece, size_t length) {
    if (!length || !connection->counts) return;
    if (!connection->saw_first) {
        connection->saw_first = 1;
        first_times[first_count++ % MAX_RUN] = nanoseconds(CLOCK_MONOTONIC) - handed[connection->id % MAX_RUN];
    }
    bytes += length;
    if (saving) fwrite(piece, 1, length, saving);
}

/* Takes one head or one piece of a body; the number of bytes used, 0 when more are needed. */
static size_t advance(struct connection *connection, char *data, size_t size) {
    if (connection->in_body) {
        char *piece = NULL;
        size_t length, taken = take_body(&connection->body, data, size, &piece, &length);
        take_piece(connection, piece, length);
        if (connection->body.done) end_body(connection);
        return taken;
    }
    size_t head = head_length(data, size);
    if (!head) return 0;
    if (memmem(data, head, "/invocation/next", 16)) {
        park(connection);
    } else if (strncmp(data, "GET ", 4)) {
        if (data != connection->buffer) memmove(connection->buffer, data, size);
        begin_body(connection, head);
        if (connection->body.done) end_body(connection);
    } /* else an extension's /event/next, which is never answered */
    return head;
}

static void drop(struct connection *connection) {
    for (int i = 0; i < parked_count; i++)
        if (parked[i] == connection) parked[i--] = parked[--parked_count];
    close(connection->fd);
    free(connection);
}

static void receive(struct connection *connection) {
    size_t used = 0, taken;
    ssize_t got = recv(connection->fd, connection->buffer + connection->have, BUFFER_SIZE - connection->have, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return drop(connection);
    connection->have += got;
    while (used < connection->have) {
        char *data = connection->buffer + used;
        int was_in_body = connection->in_body;
        size_t left = connection->have - used;
        if (!(taken = advance(connection, data, left))) break;
        if (!was_in_body && connection->in_body && used) {
            /* begin_body() moved the bytes to the front. */
            connection->have = left;
            used = 0;
        }
        used += taken;
    }
    connection->have -= used;
    if (connection->have && used) memmove(connection->buffer, connection->buffer + used, connection->have);
    if (connection->have == BUFFER_SIZE) drop(connection);
}

static void report(void) {
    int64_t wall = nanoseconds(CLOCK_MONOTONIC) - started;
    long count = expected;
    expected = 0;
    if (saving) {
        fclose(saving);
        saving = NULL;
        printf("{}\n");
        return;
    }
    size_t kept = count < MAX_RUN ? count : MAX_RUN, firsts = first_count < MAX_RUN ? first_count : MAX_RUN;
    printf("{\"count\":%ld,\"failures\":%ld,\"bytes\":%ld,\"wall_ns\":%ld,\"peer_cpu_ns\":%ld,\"p50_ns\":%ld,"
           "\"p99_ns\":%ld,\"first_p50_ns\":%ld,\"first_p99_ns\":%ld}\n",
           count, failures, (long)bytes, (long)wall, (long)(nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - own_cpu),
           (long)quantile(total_times, kept, 0.5), (long)quantile(total_times, kept, 0.99),
           (long)quantile(first_times, firsts, 0.5), (long)quantile(first_times, firsts, 0.99));
}

static void start(long count) {
    expected = to_hand = count;
    answered = failures = bytes = first_count = 0;
    started = nanoseconds(CLOCK_MONOTONIC);
    own_cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    while (parked_count && to_hand > 0) hand_out(parked[--parked_count]);
}

static void command(void) {
    char line[4096];
    if (!fgets(line, sizeof line, stdin)) exit(0);
    line[strcspn(line, "\n")] = 0;
    if (!strncmp(line, "run ", 4)) {
        start(atol(line + 4));
    } else if (!strncmp(line, "save ", 5)) {
        if (!(saving = fopen(line + 5, "wb"))) die(line + 5);
        start(1);
    }
}

int main(int argc, char **argv) {
    int port = 0;
    if (argc != 3) return fprintf(stderr, "fake_lambda EVENT_FILE SLOTS\n"), 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    event = read_file(argv[1], &event_size);
    slots = atoi(argv[2]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(&port), commands;
    watch(epoll, listener, &listener, EPOLLIN);
    watch(epoll, 0, &commands, EPOLLIN);
    printf("port %d\n", port);
    for (;;) {
        struct epoll_event ready[64];
        int count = epoll_wait(epoll, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr == &listener) {
                struct connection *connection = allocate(sizeof *connection);
                if ((connection->fd = accept_from(listener)) < 0) free(connection);
                else watch(epoll, connection->fd, connection, EPOLLIN);
            } else if (ready[i].data.ptr == &commands) {
                command();
            } else {
                receive(ready[i].data.ptr);
            }
        }
        /* Every slot waits again: what the candidate did after its last answer is over, too. */
        if (expected && answered >= expected && parked_count >= slots) report();
    }
}
