/* A custom runtime that costs next to nothing: it answers each invocation with its event, over one connection.

   It takes AWS_LAMBDA_RUNTIME_API, believes everything, and ends when the connection does. */
#include "net.h"

#define RUNTIME "/2018-06-01/runtime/invocation/"

static char message[BUFFER_SIZE];

/* Receives a message with Content-Length, whole. Gives the size of its head; *length is that of its body. */
static size_t receive_message(int fd, size_t *length) {
    size_t have = 0, head = 0;
    *length = 0;
    while (!head || have < head + *length) {
        ssize_t got = have < sizeof message ? recv(fd, message + have, sizeof message - have, 0) : 0;
        if (got <= 0) exit(0);
        have += got;
        if (!head && (head = head_length(message, have))) *length = body_of(message, head, 1).left;
    }
    return head;
}

int main(void) {
    const char *api = getenv("AWS_LAMBDA_RUNTIME_API"), *colon = api ? strrchr(api, ':') : NULL;
    if (!colon) return fprintf(stderr, "AWS_LAMBDA_RUNTIME_API is missing\n"), 2;
    int fd = connect_to(atoi(colon + 1));
    if (fd < 0) die("connect");
    for (;;) {
        char ask[256], answer[512];
        size_t length;
        send_all(fd, ask, snprintf(ask, sizeof ask, "GET " RUNTIME "next HTTP/1.1\r\nHost: %s\r\n\r\n", api));
        size_t head = receive_message(fd, &length);
        const char *id = header(message, head, "lambda-runtime-aws-request-id:");
        if (!id) exit(1);
        int size = snprintf(answer, sizeof answer,
                            "POST " RUNTIME "%.*s/response HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n\r\n",
                            (int)strcspn(id, "\r"), id, api, length);
        struct iovec parts[] = {{answer, size}, {message + head, length}};
        send_parts(fd, parts, 2);
        receive_message(fd, &length);
    }
}
