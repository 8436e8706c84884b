/* What the fakes share: sockets on the loopback, clocks, and just enough HTTP/1.1. */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* More than any candidate sends at once; a head must fit into it. */
#define BUFFER_SIZE (1 << 20)

__attribute__((noreturn, unused)) static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

__attribute__((unused)) static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) die("calloc");
    return memory;
}

__attribute__((unused)) static int64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* A listening socket; *port 0 asks for a free one and is set to it. */
__attribute__((unused)) static int listen_on(int *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in address = loopback(*port);
    socklen_t size = sizeof address;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, 1024)) die("listen");
    getsockname(fd, (struct sockaddr *)&address, &size);
    *port = ntohs(address.sin_port);
    return fd;
}

__attribute__((unused)) static int connect_to(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in address = loopback(port);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

__attribute__((unused)) static int accept_from(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Sends everything, also on a non-blocking socket; 0, or -1 when the peer is gone. */
__attribute__((unused)) static int send_parts(int fd, struct iovec *parts, int count) {
    while (count) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0) {
            struct pollfd writable = {.fd = fd, .events = POLLOUT};
            if (errno != EAGAIN && errno != EINTR) return -1;
            poll(&writable, 1, -1);
            continue;
        }
        while (count && (size_t)sent >= parts->iov_len) sent -= parts->iov_len, parts++, count--;
        if (count) parts->iov_base = (char *)parts->iov_base + sent, parts->iov_len -= sent;
    }
    return 0;
}

__attribute__((unused)) static int send_all(int fd, const void *data, size_t size) {
    struct iovec part = {(void *)data, size};
    return send_parts(fd, &part, 1);
}

/* The length of a head with its empty line, or 0 while it is not complete. */
__attribute__((unused)) static size_t head_length(const char *data, size_t size) {
    char *end = memmem(data, size, "\r\n\r\n", 4);
    return end ? (size_t)(end - data) + 4 : 0;
}

/* The value of header `name` ("content-length:") in a head of `size` bytes, or NULL. */
__attribute__((unused)) static const char *header(const char *head, size_t size, const char *name) {
    size_t length = strlen(name);
    const char *end = head + size;
    for (const char *line = memchr(head, '\n', size); line && line + 1 + length < end;) {
        if (!strncasecmp(++line, name, length)) {
            line += length;
            while (*line == ' ') line++;
            return line;
        }
        line = memchr(line, '\n', end - line);
    }
    return NULL;
}

/* Where a body stands. `left` are the bytes of it, or of the current chunk, that are still to come. */
enum framing { BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE };
enum chunk_state { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, CHUNK_TRAILERS };
struct body {
    enum framing framing;
    enum chunk_state state;
    size_t left;
    int done;
    /* A trailer named a failure. */
    int failed;
};

__attribute__((unused)) static struct body body_of(const char *head, size_t size, int is_response) {
    struct body body = {.framing = BODY_LENGTH};
    const char *length = header(head, size, "content-length:");
    const char *coding = header(head, size, "transfer-encoding:");
    if (coding && !strncasecmp(coding, "chunked", 7)) body.framing = BODY_CHUNKED;
    else if (length) body.left = strtoull(length, NULL, 10);
    else if (is_response) body.framing = BODY_UNTIL_CLOSE;
    body.done = body.framing == BODY_LENGTH && !body.left;
    return body;
}

/* Takes what it can of `size` bytes at `data`: one piece of the body (in *piece, *length), or a line of its framing.
   Gives the number of bytes taken; 0 when more are needed. */
__attribute__((unused)) static size_t take_body(struct body *body, char *data, size_t size, char **piece,
                                                size_t *length) {
    *length = 0;
    if (body->done || !size) return 0;
    if (body->framing == BODY_UNTIL_CLOSE) return *piece = data, *length = size;
    if (body->framing == BODY_LENGTH || body->state == CHUNK_DATA) {
        size_t taken = size < body->left ? size : body->left;
        body->left -= taken;
        if (!body->left && body->framing == BODY_LENGTH) body->done = 1;
        else if (!body->left) body->state = CHUNK_END;
        return *piece = data, *length = taken;
    }
    char *end = memchr(data, '\n', size);
    if (!end) return 0;
    size_t taken = end - data + 1;
    if (body->state == CHUNK_SIZE) {
        body->left = strtoull(data, NULL, 16);
        body->state = body->left ? CHUNK_DATA : CHUNK_TRAILERS;
    } else if (body->state == CHUNK_END) {
        body->state = CHUNK_SIZE;
    } else if (taken <= 2) {
        body->done = 1;
    } else if (!strncasecmp(data, "Lambda-Runtime-Function-Error", 29)) {
        body->failed = 1;
    }
    return taken;
}

static int compare_times(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Sorts `times`; the value below which `share` of them lie. */
__attribute__((unused)) static int64_t quantile(int64_t *times, size_t count, double share) {
    if (!count) return 0;
    qsort(times, count, sizeof *times, compare_times);
    size_t index = share * count;
    return times[index < count ? index : count - 1];
}

/* A whole file; *size is set. */
__attribute__((unused)) static char *read_file(const char *path, size_t *size) {
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &status)) die(path);
    char *data = allocate(status.st_size + 1);
    *size = fread(data, 1, status.st_size, file);
    fclose(file);
    return data;
}

__attribute__((unused)) static void watch(int epoll, int fd, void *owner, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

#endif
