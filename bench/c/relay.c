/* The floor: the minimum work of an adapter. It searches for substrings, and has no checks and no rules.

   It reads AWS_LAMBDA_RUNTIME_API, AWS_LWA_PORT, AWS_LWA_INVOKE_MODE and AWS_LAMBDA_MAX_CONCURRENCY, supports only events
   of function URLs, trusts all input, and exits at the first error. Do not use it for anything else. */
#include "net.h"

#include <pthread.h>

#define HEAD_SIZE 262144

struct slot {
    int api, app;
    char *in, *out; /* what is received; what is decoded or encoded */
    size_t in_size, out_size;
};

static int api_port, app_port, streams;
static char decimal_of[256];
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void need(char **buffer, size_t *size, size_t wanted) {
    if (*size >= wanted) return;
    if (!(*buffer = realloc(*buffer, *size = wanted * 2))) die("realloc");
}

/* Receives a message whole, de-chunked: its head at slot->in, *length bytes of body after it. Gives the head's size. */
static size_t receive_message(struct slot *slot, int fd, size_t *length) {
    size_t have = 0, head = 0;
    while (!(head = head_length(slot->in, have))) {
        need(&slot->in, &slot->in_size, have + 65536);
        ssize_t got = recv(fd, slot->in + have, slot->in_size - have, 0);
        if (got <= 0) exit(0);
        have += got;
    }
    struct body body = body_of(slot->in, head, 1);
    need(&slot->in, &slot->in_size, head + body.left + 65536);
    size_t kept = head, used = head;
    while (!body.done) {
        char *piece;
        size_t size, taken = take_body(&body, slot->in + used, have - used, &piece, &size);
        if (size && piece != slot->in + kept) memmove(slot->in + kept, piece, size);
        kept += size;
        used += taken;
        if (taken || body.done) continue;
        need(&slot->in, &slot->in_size, have + 65536);
        ssize_t got = recv(fd, slot->in + have, slot->in_size - have, 0);
        if (got <= 0) exit(0);
        have += got;
    }
    *length = kept - head;
    return head;
}

/* What follows `name` and a colon in `json`, a string's first character, up to its end in *end; NULL if it is not there. */
static char *string_after(char *json, size_t size, const char *name, char **end) {
    char *found = memmem(json, size, name, strlen(name));
    if (!found) return NULL;
    found += strlen(name);
    while (*found == ' ') found++;
    if (*found++ != '"') return NULL;
    char *quote = found;
    while ((quote = memchr(quote, '"', json + size - quote)) && quote[-1] == '\\') quote++;
    *end = quote;
    return quote ? found : NULL;
}

static unsigned code_unit(const char *digits) {
    unsigned unit = 0;
    for (int i = 0; i < 4; i++) unit = unit << 4 | ((digits[i] & 15) + (digits[i] > '9' ? 9 : 0));
    return unit;
}

static char *put_utf8(char *out, unsigned c) {
    if (c < 0x80) return *out++ = c, out;
    if (c < 0x800) *out++ = 0xc0 | c >> 6;
    else if (c < 0x10000) *out++ = 0xe0 | c >> 12, *out++ = 0x80 | (c >> 6 & 63);
    else *out++ = 0xf0 | c >> 18, *out++ = 0x80 | (c >> 12 & 63), *out++ = 0x80 | (c >> 6 & 63);
    return *out++ = 0x80 | (c & 63), out;
}

static size_t unescape(char *out, const char *in, size_t size) {
    char *start = out;
    const char *end = in + size;
    while (in < end) {
        const char *backslash = memchr(in, '\\', end - in);
        size_t plain = (backslash ? backslash : end) - in;
        memcpy(out, in, plain);
        out += plain;
        if (!backslash) break;
        char c = backslash[1];
        if (c == 'u') {
            unsigned unit = code_unit(backslash + 2);
            in = backslash + 6;
            if (unit >= 0xd800 && unit < 0xdc00) {
                unit = 0x10000 + ((unit - 0xd800) << 10) + (code_unit(in + 2) - 0xdc00);
                in += 6;
            }
            out = put_utf8(out, unit);
            continue;
        }
        *out++ = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        in = backslash + 2;
    }
    return out - start;
}

static size_t escape(char *out, const char *in, size_t size) {
    char *start = out;
    for (const char *end = in + size; in < end; in++) {
        if (*in == '"' || *in == '\\') *out++ = '\\', *out++ = *in;
        else if ((unsigned char)*in >= 0x20) *out++ = *in;
        else if (*in == '\n') *out++ = '\\', *out++ = 'n';
        else out += sprintf(out, "\\u%04x", *in);
    }
    return out - start;
}

static size_t to_base64(char *out, const unsigned char *in, size_t size) {
    char *start = out;
    for (; size >= 3; size -= 3, in += 3) {
        unsigned bits = in[0] << 16 | in[1] << 8 | in[2];
        *out++ = alphabet[bits >> 18], *out++ = alphabet[bits >> 12 & 63];
        *out++ = alphabet[bits >> 6 & 63], *out++ = alphabet[bits & 63];
    }
    if (size) {
        unsigned bits = in[0] << 16 | (size > 1 ? in[1] << 8 : 0);
        *out++ = alphabet[bits >> 18], *out++ = alphabet[bits >> 12 & 63];
        *out++ = size > 1 ? alphabet[bits >> 6 & 63] : '=';
        *out++ = '=';
    }
    return out - start;
}

static size_t from_base64(char *out, const char *in, size_t size) {
    char *start = out;
    while (size && in[size - 1] == '=') size--;
    unsigned bits = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 6 | decimal_of[(unsigned char)in[i]];
        if (i % 4 == 1) *out++ = bits >> 4;
        if (i % 4 == 2) *out++ = bits >> 2;
        if (i % 4 == 3) *out++ = bits;
    }
    return out - start;
}

/* The request head for the event at `json`; its size. The body's length is `length`. */
static size_t request_head(char *head, char *json, size_t size, size_t length) {
    char *end, *out = head;
    char *method = string_after(json, size, "\"method\":", &end);
    out += sprintf(out, "%.*s ", method ? (int)(end - method) : 3, method ? method : "GET");
    char *path = string_after(json, size, "\"rawPath\":", &end);
    out += sprintf(out, "%.*s", (int)(end - path), path);
    char *query = string_after(json, size, "\"rawQueryString\":", &end);
    if (query && end > query) out += sprintf(out, "?%.*s", (int)(end - query), query);
    out += sprintf(out, " HTTP/1.1\r\n");
    char *name = memmem(json, size, "\"headers\":", 10);
    for (name = name ? strchr(name, '{') + 1 : NULL; name && *name == '"';) {
        char *colon = memmem(name, json + size - name, "\":", 2), *value = strchr(colon + 2, '"') + 1;
        char *quote = value;
        while ((quote = memchr(quote, '"', json + size - quote)) && quote[-1] == '\\') quote++;
        out += sprintf(out, "%.*s: ", (int)(colon - name - 1), name + 1);
        out += unescape(out, value, quote - value);
        out += sprintf(out, "\r\n");
        name = quote[1] == ',' ? strchr(quote + 2, '"') : NULL;
    }
    return out - head + sprintf(out, "content-length: %zu\r\n\r\n", length);
}

static void send_request(struct slot *slot, size_t head, size_t length) {
    char request[HEAD_SIZE], *end, *json = slot->in + head;
    /* Bodies come last in our events' order of keys, before a flag, or not at all; a large one is searched once. */
    char *body = string_after(json, length, "\"body\":", &end);
    size_t size = 0;
    if (body) {
        need(&slot->out, &slot->out_size, end - body);
        char *flag = memmem(end, json + length - end, "\"isBase64Encoded\":", 18);
        int is_binary = flag && flag[18 + (flag[18] == ' ')] == 't';
        size = is_binary ? from_base64(slot->out, body, end - body) : unescape(slot->out, body, end - body);
    }
    struct iovec parts[] = {{request, request_head(request, json, body ? (size_t)(body - json) : length, size)},
                            {slot->out, size}};
    if (slot->app < 0 && (slot->app = connect_to(app_port)) < 0) die("the app");
    if (send_parts(slot->app, parts, 2)) die("the app");
}

/* The status and headers of the response head as JSON; its size. */
static size_t answer_head(char *out, const char *head, size_t size) {
    char *start = out;
    out += sprintf(out, "{\"statusCode\":%d,\"headers\":{", atoi(head + 9));
    const char *line = (char *)memchr(head, '\n', size) + 1, *end = head + size - 2;
    for (int first = 1; line < end; first = 0) {
        const char *colon = strchr(line, ':'), *stop = strchr(line, '\r');
        out += sprintf(out, "%s\"%.*s\":\"", first ? "" : ",", (int)(colon - line), line);
        out += escape(out, colon + 2, stop - colon - 2);
        *out++ = '"';
        line = stop + 2;
    }
    return out - start + sprintf(out, "},\"cookies\":[]");
}

static void post_buffered(struct slot *slot, const char *id) {
    char head[HEAD_SIZE], post[512];
    size_t length, size = receive_message(slot, slot->app, &length);
    const char *type = header(slot->in, size, "content-type:");
    int is_text = type && (!strncmp(type, "text/", 5) || !strncmp(type, "application/json", 16));
    need(&slot->out, &slot->out_size, length * 6 + 16);
    struct iovec parts[5];
    parts[1] = (struct iovec){head, answer_head(head, slot->in, size)};
    parts[2].iov_base = is_text ? ",\"isBase64Encoded\":false,\"body\":\"" : ",\"isBase64Encoded\":true,\"body\":\"";
    parts[2].iov_len = strlen(parts[2].iov_base);
    parts[3].iov_base = slot->out;
    parts[3].iov_len = is_text ? escape(slot->out, slot->in + size, length)
                               : to_base64(slot->out, (unsigned char *)slot->in + size, length);
    parts[4] = (struct iovec){"\"}", 2};
    size_t total = parts[1].iov_len + parts[2].iov_len + parts[3].iov_len + 2;
    parts[0] = (struct iovec){post, snprintf(post, sizeof post,
                                             "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\n"
                                             "Host: localhost\r\nContent-Length: %zu\r\n\r\n",
                                             id, total)};
    if (send_parts(slot->api, parts, 5)) die("the Runtime API");
    receive_message(slot, slot->api, &length);
}

static void post_chunk(struct slot *slot, char *data, size_t size) {
    char line[32];
    struct iovec parts[] = {{line, snprintf(line, sizeof line, "%zx\r\n", size)}, {data, size}, {"\r\n", 2}};
    if (send_parts(slot->api, parts, 3)) die("the Runtime API");
}

static void post_stream(struct slot *slot, const char *id) {
    char head[HEAD_SIZE], post[512];
    size_t have = 0, size = 0;
    need(&slot->in, &slot->in_size, BUFFER_SIZE);
    while (!(size = head_length(slot->in, have))) {
        ssize_t got = recv(slot->app, slot->in + have, BUFFER_SIZE / 4 - have, 0);
        if (got <= 0) die("the app");
        have += got;
    }
    struct body body = body_of(slot->in, size, 1);
    size_t prelude = answer_head(head, slot->in, size);
    head[prelude++] = '}';
    memset(head + prelude, 0, 8);
    send_all(slot->api, post, snprintf(post, sizeof post,
                                       "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\n"
                                       "Host: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
                                       "Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n",
                                       id));
    post_chunk(slot, head, prelude + 8);
    for (size_t used = size; !body.done;) {
        size_t start = used, kept = used;
        for (;;) {
            char *piece;
            size_t length, taken = take_body(&body, slot->in + used, have - used, &piece, &length);
            if (length && piece != slot->in + kept) memmove(slot->in + kept, piece, length);
            kept += length;
            used += taken;
            if (!taken || body.done) break;
        }
        if (kept > start) post_chunk(slot, slot->in + start, kept - start);
        if (body.done) break;
        memmove(slot->in, slot->in + used, have - used);
        have -= used;
        used = 0;
        ssize_t got = recv(slot->app, slot->in + have, BUFFER_SIZE / 4, 0);
        if (got <= 0) die("the app");
        have += got;
    }
    send_all(slot->api, "0\r\n\r\n", 5);
    size_t length;
    receive_message(slot, slot->api, &length);
    close(slot->api);
    if ((slot->api = connect_to(api_port)) < 0) die("the Runtime API");
}

static void *serve(void *unused) {
    struct slot slot = {.app = -1, .api = connect_to(api_port)};
    static const char next[] = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: localhost\r\n\r\n";
    need(&slot.in, &slot.in_size, 65536);
    need(&slot.out, &slot.out_size, 65536);
    if (slot.api < 0) die("the Runtime API");
    for (;;) {
        size_t length;
        send_all(slot.api, next, sizeof next - 1);
        size_t head = receive_message(&slot, slot.api, &length);
        char id[64] = "";
        sscanf(header(slot.in, head, "lambda-runtime-aws-request-id:"), "%63[^\r]", id);
        send_request(&slot, head, length);
        if (streams) post_stream(&slot, id);
        else post_buffered(&slot, id);
    }
    return unused;
}

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value ? value : otherwise;
}

int main(void) {
    api_port = atoi(strrchr(setting("AWS_LAMBDA_RUNTIME_API", ":0"), ':') + 1);
    app_port = atoi(setting("AWS_LWA_PORT", "8080"));
    streams = !strcmp(setting("AWS_LWA_INVOKE_MODE", ""), "response_stream");
    for (int i = 0; i < 64; i++) decimal_of[(unsigned char)alphabet[i]] = i;
    for (int slots = atoi(setting("AWS_LAMBDA_MAX_CONCURRENCY", "1")); slots > 1; slots--) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, NULL)) die("pthread_create");
    }
    serve(NULL);
    return 0;
}
