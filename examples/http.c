/*
 * http: a guest that answers HTTP requests. Its host listens, and gives it the connections; see
 * http_host.c.
 *
 *     http [REQUESTS]      end after so many
 *
 * It answers GET and HEAD, takes no bodies, and has a page for every path but /missing. What a
 * request says is read by http_request.c. All connections are served at once, by one loop: each has
 * one request for its stream in flight, a read or a write, and whatever was answered goes on.
 */
#include "http_request.h"
#include <halo/guest.h>

#define CONNECTIONS 128u
#define REQUEST_LEN HTTP_HEAD_MAX
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

/* --- Requests --------------------------------------------------------------------------------- */

/* `status` may have fields of its own behind it. Without a clock there is no Date. */
static uint32_t make_answer(struct connection *c, const struct http_request *request,
                            const char *status, const char *body)
{
    char *to = c->answer;
    uint32_t at = put_text(to, 0, "HTTP/1.1 ");

    served++;
    c->closes = request->closes;
    at = put_text(to, at, status);
    at = put_text(to, at, "\r\nContent-Type: text/plain\r\nContent-Length: ");
    at = put_number(to, at, strlen(body));
    if (c->closes)
        at = put_text(to, at, "\r\nConnection: close");
    else if (request->minor == 0)
        at = put_text(to, at, "\r\nConnection: keep-alive"); /* which is not its habit */
    at = put_text(to, at, "\r\n\r\n");
    return http_text_is(request->method, "HEAD") ? at : put_text(to, at, body);
}

/* What was sent is no request, or one that this server has no answer to; nothing follows it. */
static uint32_t refuse(struct connection *c, struct http_request *request, int status)
{
    request->closes = true;
    switch (status) {
    case 413:
        return make_answer(c, request, "413 Content Too Large", "no bodies, please\n");
    case 414:
        return make_answer(c, request, "414 URI Too Long", "that is too long\n");
    case 431:
        return make_answer(c, request, "431 Request Header Fields Too Large", "that is too much\n");
    case 501:
        return make_answer(c, request, "501 Not Implemented", "no such coding\n");
    case 505:
        return make_answer(c, request, "505 HTTP Version Not Supported", "HTTP/1.1, please\n");
    default:
        return make_answer(c, request, "400 Bad Request", "that is no request\n");
    }
}

/* Answer a request. Returns the answer's length. */
static uint32_t answer(struct connection *c, struct http_request *request)
{
    char body[64];
    uint32_t at = put_text(body, 0, "hello from a guest: ");

    at = put_number(body, at, served + 1);
    at = put_text(body, at, "\n");
    body[at] = '\0';
    if (request->has_body)
        return refuse(c, request, 413);
    if (!http_text_is(request->method, "GET") && !http_text_is(request->method, "HEAD"))
        return make_answer(c, request, "405 Method Not Allowed\r\nAllow: GET, HEAD",
                           "GET and HEAD only\n");
    if (http_text_is(request->path, "/missing"))
        return make_answer(c, request, "404 Not Found", "there is nothing here\n");
    return make_answer(c, request, "200 OK", body);
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
    struct http_request request;
    const int len = http_request_read(&request, c->request, c->used);

    c->writing = len != 0;
    if (len == 0) {
        halo_stream_read_start(&c->future, c->handle, c->request + c->used,
                               REQUEST_LEN - c->used < 4 ? 4 : REQUEST_LEN - c->used);
        return;
    }
    halo_stream_write_start(&c->future, c->handle, c->answer,
                            len > 0 ? answer(c, &request) : refuse(c, &request, -len));
    if (len > 0) { /* what came behind it is the next one */
        c->used -= (uint32_t)len;
        memmove(c->request, c->request + len, c->used);
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

    for (const char *at = argc > 1 ? argv[1] : ""; *at; at++) {
        if (*at < '0' || *at > '9')
            halo_panic("usage: http [REQUESTS]");
        limit = limit * 10 + (uint64_t)(*at - '0');
    }
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
