/* HTTP clients that send the same request again and again, and measure.

       load PORT CLIENTS PATH [BODY_FILE]

   With BODY_FILE, the requests are POSTs. Reads commands, one per line: "run COUNT" sends COUNT requests, and writes one
   line of JSON. Each client sends its next request as soon as it has an answer. Connections are reused. If the server
   closes one, the next request gets a new one. The JSON contains the number of such cases. */
#include "net.h"

struct client {
    int fd;
    int in_body;
    size_t have;
    /* When its request was sent; 0: none is under way. */
    int64_t sent;
    struct body body;
    int closes;
    char buffer[BUFFER_SIZE / 4];
};

static int epoll, port;
static char *request, *posted;
static size_t request_size, posted_size;
static long to_send, expected, answered, failures, reconnects;
static int64_t bytes, started, own_cpu, *times;

static void connect_client(struct client *client) {
    if ((client->fd = connect_to(port)) < 0) die("connect");
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    watch(epoll, client->fd, client, EPOLLIN);
}

static void send_next(struct client *client) {
    if (to_send <= 0) return;
    to_send--;
    client->sent = nanoseconds(CLOCK_MONOTONIC);
    client->have = client->in_body = 0;
    struct iovec parts[] = {{request, request_size}, {posted, posted_size}};
    send_parts(client->fd, parts, posted ? 2 : 1);
}

static void reconnect(struct client *client) {
    close(client->fd);
    reconnects++;
    connect_client(client);
}

static void finish(struct client *client) {
    times[answered++] = nanoseconds(CLOCK_MONOTONIC) - client->sent;
    client->sent = 0;
    client->have = client->in_body = 0;
    if (client->closes) reconnect(client);
    send_next(client);
}

static void closed(struct client *client) {
    int was_busy = client->sent != 0;
    if (client->in_body && client->body.framing == BODY_UNTIL_CLOSE) {
        client->closes = 1;
        return finish(client);
    }
    reconnect(client);
    /* A request that met the close is sent again, as clients do. */
    if (was_busy) to_send++, send_next(client);
}

static void receive(struct client *client) {
    size_t used = 0;
    ssize_t got = recv(client->fd, client->buffer + client->have, sizeof client->buffer - client->have, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return closed(client);
    client->have += got;
    if (!client->in_body) {
        if (!(used = head_length(client->buffer, client->have))) return;
        client->in_body = 1;
        client->body = body_of(client->buffer, used, 1);
        failures += strncmp(client->buffer + 9, "200", 3) != 0;
        const char *close = header(client->buffer, used, "connection:");
        client->closes = close && !strncasecmp(close, "close", 5);
    }
    while (!client->body.done) {
        char *piece;
        size_t length, taken = take_body(&client->body, client->buffer + used, client->have - used, &piece, &length);
        used += taken;
        bytes += length;
        if (!taken) break;
    }
    if (client->body.done) return finish(client);
    memmove(client->buffer, client->buffer + used, client->have - used);
    client->have -= used;
}

static void report(void) {
    printf("{\"count\":%ld,\"failures\":%ld,\"reconnects\":%ld,\"bytes\":%ld,\"wall_ns\":%ld,\"peer_cpu_ns\":%ld,"
           "\"p50_ns\":%ld,\"p99_ns\":%ld}\n",
           expected, failures, reconnects, (long)bytes, (long)(nanoseconds(CLOCK_MONOTONIC) - started),
           (long)(nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - own_cpu), (long)quantile(times, expected, 0.5),
           (long)quantile(times, expected, 0.99));
    expected = 0;
}

static void command(struct client *clients, int count) {
    char line[256];
    if (!fgets(line, sizeof line, stdin)) exit(0);
    if (strncmp(line, "run ", 4)) return;
    expected = to_send = atol(line + 4);
    free(times);
    times = allocate(expected * sizeof *times);
    answered = failures = reconnects = bytes = 0;
    started = nanoseconds(CLOCK_MONOTONIC);
    own_cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < count; i++) send_next(&clients[i]);
}

int main(int argc, char **argv) {
    if (argc < 4) return fprintf(stderr, "load PORT CLIENTS PATH [BODY_FILE]\n"), 2;
    int count = atoi(argv[2]), commands;
    struct client *clients = allocate(count * sizeof *clients);
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    port = atoi(argv[1]);
    if (argc > 4) posted = read_file(argv[4], &posted_size);
    request = allocate(4096);
    request_size = snprintf(request, 4096, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: load\r\nAccept: */*\r\n",
                            posted ? "POST" : "GET", argv[3], port);
    if (posted) request_size += sprintf(request + request_size, "Content-Length: %zu\r\n", posted_size);
    request_size += sprintf(request + request_size, "\r\n");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, 0, &commands, EPOLLIN);
    for (int i = 0; i < count; i++) connect_client(&clients[i]);
    printf("port %d\n", port);
    for (;;) {
        struct epoll_event ready[64];
        int events = epoll_wait(epoll, ready, 64, -1);
        for (int i = 0; i < events; i++) {
            if (ready[i].data.ptr == &commands) command(clients, count);
            else receive(ready[i].data.ptr);
        }
        if (expected && answered >= expected) report();
    }
}
