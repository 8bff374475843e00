/*
 * http: a guest that answers HTTP requests. Its host listens, and gives it the connections; see
 * http_host.c.
 *
 *     http [REQUESTS]      end after so many
 *
 * All connections are served at once, by one loop: each has one request for its stream in flight, a
 * read or a write, and whatever was answered goes on.
 */
#include <halo/guest.h>

#define CONNECTIONS 128u
#define REQUEST_LEN 4096u
#define ANSWER_LEN 512u
#define DROPPED_MAX (64u << 10)

struct connection {
    bool open, writing, closes, ended;
    uint32_t handle;
    uint32_t used;    /* bytes of the request so far */
    uint32_t dropped; /* bytes that came behind the last answer */
    struct halo_future future;
    char request[REQUEST_LEN + 4]; /* a read takes 4 bytes at least */
    char answer[ANSWER_LEN];
};

static struct connection connections[CONNECTIONS];
static uint64_t served;

/* --- Text ------------------------------------------------------------------------------------- */

static uint32_t put_text(char *to, uint32_t at, const char *text)
{
    const size_t len = strlen(text);

    memcpy(to + at, text, len);
    return at + (uint32_t)len;
}

static uint32_t put_number(char *to, uint32_t at, uint64_t number)
{
    char digits[24];
    uint32_t first = sizeof(digits);

    do
        digits[--first] = (char)('0' + number % 10);
    while (number /= 10);
    memcpy(to + at, digits + first, sizeof(digits) - first);
    return at + (uint32_t)sizeof(digits) - first;
}

static bool begins(const char *text, const char *end, const char *with)
{
    const size_t len = strlen(with);

    return (size_t)(end - text) >= len && memcmp(text, with, len) == 0;
}

static char small(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* Does the head have this line, "name: value", in any case? */
static bool has_line(const char *head, const char *end, const char *line)
{
    const size_t len = strlen(line);

    for (; (size_t)(end - head) > len; head++) {
        size_t i = 0;

        while (i < len && small(head[i]) == line[i])
            i++;
        if (i == len)
            return true;
    }
    return false;
}

/* --- Requests --------------------------------------------------------------------------------- */

/* Bytes of the first request with its empty line, or 0 where that has not come yet. */
static uint32_t head_len(const struct connection *c)
{
    for (uint32_t i = 3; i < c->used; i++) {
        if (memcmp(c->request + i - 3, "\r\n\r\n", 4) == 0)
            return i + 1;
    }
    return 0;
}

static uint32_t make_answer(struct connection *c, const char *status, const char *body,
                            bool with_body)
{
    char *to = c->answer;
    uint32_t at = put_text(to, 0, "HTTP/1.1 ");

    at = put_text(to, at, status);
    at = put_text(to, at, "\r\nContent-Type: text/plain\r\nContent-Length: ");
    at = put_number(to, at, strlen(body));
    at = put_text(to, at, c->closes ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n");
    return with_body ? put_text(to, at, body) : at;
}

/* Answer one request whose head is complete. Returns the answer's length. */
static uint32_t answer(struct connection *c, uint32_t len)
{
    const char *head = c->request, *end = head + len;
    char body[64];
    uint32_t at = put_text(body, 0, "hello from a guest: ");

    c->closes = has_line(head, end, "\r\nconnection: close") ||
                (has_line(head, end, " http/1.0\r\n") &&
                 !has_line(head, end, "\r\nconnection: keep-alive"));
    served++;
    at = put_number(body, at, served);
    at = put_text(body, at, "\n");
    body[at] = '\0';
    if (has_line(head, end, "\r\ncontent-length:") ||
        has_line(head, end, "\r\ntransfer-encoding:")) {
        c->closes = true; /* what follows is no request */
        return make_answer(c, "413 Content Too Large", "no bodies, please\n", true);
    }
    if (begins(head, end, "GET /missing"))
        return make_answer(c, "404 Not Found", "there is nothing here\n", true);
    if (begins(head, end, "GET /"))
        return make_answer(c, "200 OK", body, true);
    if (begins(head, end, "HEAD /"))
        return make_answer(c, "200 OK", body, false);
    c->closes = true;
    return make_answer(c, "405 Method Not Allowed", "GET and HEAD only\n", true);
}

/* --- Connections ------------------------------------------------------------------------------ */

static void close_connection(struct connection *c)
{
    halo_stream_close(c->handle);
    c->open = false;
}

/*
 * After its last answer a connection is read on until the client closes it: TCP answers bytes that
 * nobody has read with a reset, and a client may find that before the answer.
 */
static void drop_rest(struct connection *c)
{
    if (c->ended)
        c->dropped += (uint32_t)c->future.result.len;
    else
        (void)halo_stream_end(c->handle);
    c->ended = true;
    c->writing = false;
    if (c->dropped > DROPPED_MAX)
        close_connection(c);
    else
        halo_stream_read_start(&c->future, c->handle, c->request, REQUEST_LEN);
}

/* Ask for what is next: the answer's writing, or more of a request. */
static void go_on(struct connection *c)
{
    const uint32_t len = head_len(c);

    c->writing = true;
    if (len > 0) {
        halo_stream_write_start(&c->future, c->handle, c->answer, answer(c, len));
        memmove(c->request, c->request + len, c->used - len);
        c->used -= len;
    } else if (c->used >= REQUEST_LEN) {
        c->closes = true;
        halo_stream_write_start(
            &c->future, c->handle, c->answer,
            make_answer(c, "431 Request Header Fields Too Large", "that is too much\n", true));
    } else {
        c->writing = false;
        halo_stream_read_start(&c->future, c->handle, c->request + c->used,
                               REQUEST_LEN - c->used < 4 ? 4 : REQUEST_LEN - c->used);
    }
}

/* What was asked for has come. */
static void advance(struct connection *c)
{
    if (c->future.error || (!c->writing && c->future.result.len == 0)) {
        close_connection(c);
    } else if (c->closes) {
        drop_rest(c);
    } else {
        if (!c->writing)
            c->used += (uint32_t)c->future.result.len;
        go_on(c);
    }
}

static bool admit(uint32_t handle)
{
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &connections[i];

        if (c->open)
            continue;
        c->open = true;
        c->closes = c->ended = false;
        c->handle = handle;
        c->used = c->dropped = 0;
        go_on(c);
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    uint64_t limit = 0;
    uint32_t listener, handles[16];
    struct halo_future accepted;

    for (const char *at = argc > 1 ? argv[1] : ""; *at >= '0' && *at <= '9'; at++)
        limit = limit * 10 + (uint64_t)(*at - '0');
    if (halo_stream_open("http", &listener))
        halo_panic("the host offers no stream \"http\"");
    halo_stream_read_start(&accepted, listener, handles, sizeof(handles));
    while (limit == 0 || served < limit) {
        halo_poll();
        for (uint32_t i = 0; i < CONNECTIONS; i++) {
            if (connections[i].open && connections[i].future.done)
                advance(&connections[i]);
        }
        if (!accepted.done)
            continue;
        if (accepted.error)
            halo_panic("the listening socket failed");
        for (uint32_t i = 0; i < accepted.result.len / sizeof(handles[0]); i++) {
            if (!admit(handles[i]))
                halo_stream_close(handles[i]); /* there are too many */
        }
        halo_stream_read_start(&accepted, listener, handles, sizeof(handles));
    }
    for (uint32_t i = 0; i < CONNECTIONS; i++) { /* the last answers */
        struct connection *c = &connections[i];

        if (c->open && c->writing)
            (void)halo_wait(&c->future);
        if (c->open)
            close_connection(c);
    }
    return 0;
}
