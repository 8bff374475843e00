/*
 * Lines first, then what is in each: a request line, fields, and an empty line. Each reader takes
 * a line without its end, which is complete, and returns 0 or a status. See http_request.h.
 */
#include "http_request.h"
#include <string.h>

enum { MORE = -1, BAD = -2, LONG = -3 }; /* no line, as far as it goes */

bool http_text_is(struct http_text text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.at, word, text.len) == 0;
}

bool http_word_is(struct http_text text, const char *small_word)
{
    size_t i = 0;

    for (; i < text.len && small_word[i]; i++) {
        const char c = text.at[i];

        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != small_word[i])
            return false;
    }
    return i == text.len && !small_word[i];
}

/* --- Characters ------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_one_of(char c, const char *set)
{
    return memchr(set, c, strlen(set));
}

/* RFC 9110, 5.6.2 */
static bool is_token(struct http_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_letter(text.at[i]) && !is_digit(text.at[i]) &&
            !is_one_of(text.at[i], "!#$%&'*+-.^_`|~"))
            return false;
    }
    return text.len > 0;
}

/* RFC 3986: what a path, a query or an authority consists of, and "%" only with two digits. */
static bool is_uri(struct http_text text, const char *delimiters)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.at[i];

        if (c == '%') {
            if (text.len - i < 3 || !is_hex(text.at[i + 1]) || !is_hex(text.at[i + 2]))
                return false;
        } else if (!is_letter(c) && !is_digit(c) && !is_one_of(c, "-._~!$&'()*+,;=") &&
                   !is_one_of(c, delimiters)) {
            return false;
        }
    }
    return true;
}

/* --- Pieces ----------------------------------------------------------------------------------- */

/* All before the first `c`, which is skipped, or all. Returns whether there is one. */
static bool cut(struct http_text *rest, char c, struct http_text *before)
{
    const char *found = rest->len > 0 ? memchr(rest->at, c, rest->len) : NULL;

    *before = (struct http_text){rest->at, found ? (size_t)(found - rest->at) : rest->len};
    rest->at += before->len + (found != NULL);
    rest->len -= before->len + (found != NULL);
    return found;
}

static struct http_text trim(struct http_text text)
{
    for (; text.len > 0 && is_one_of(text.at[0], " \t"); text.len--)
        text.at++;
    while (text.len > 0 && is_one_of(text.at[text.len - 1], " \t"))
        text.len--;
    return text;
}

/* --- The request line: RFC 9112, 3 ------------------------------------------------------------ */

/* "/path?query", "http://authority/path?query", "*", and "authority" for CONNECT. */
static int read_target(struct http_request *request, struct http_text target)
{
    struct http_text authority = {"", 0};

    if (http_text_is(request->method, "CONNECT")) { /* it has no path */
        request->path = (struct http_text){"", 0};
        return target.len > 0 && is_uri(target, ":[]@") ? 0 : 400;
    }
    if (http_text_is(target, "*") && http_text_is(request->method, "OPTIONS")) {
        request->path = target;
        return 0;
    }
    if (target.len > 7 && http_word_is((struct http_text){target.at, 7}, "http://")) {
        target = (struct http_text){target.at + 7, target.len - 7};
        while (authority.len < target.len && !is_one_of(target.at[authority.len], "/?"))
            authority.len++;
        authority.at = target.at;
        target = (struct http_text){target.at + authority.len, target.len - authority.len};
        if (authority.len == 0 || !is_uri(authority, ":[]"))
            return 400;
        if (target.len == 0 || target.at[0] == '?') { /* no path is the first one */
            request->path = (struct http_text){"/", 1};
            return is_uri(target, ":@/?") ? 0 : 400;
        }
    }
    if (target.len == 0 || target.at[0] != '/' || !is_uri(target, ":@/?"))
        return 400;
    cut(&target, '?', &request->path);
    return 0;
}

static int read_request_line(struct http_request *request, struct http_text line)
{
    struct http_text method, target;

    if (!cut(&line, ' ', &method) || !is_token(method))
        return 400;
    request->method = method;
    if (!cut(&line, ' ', &target))
        return 400;
    if (line.len != 8 || memcmp(line.at, "HTTP/", 5) || !is_digit(line.at[5]) ||
        line.at[6] != '.' || !is_digit(line.at[7]))
        return 400;
    if (line.at[5] != '1')
        return 505;
    request->minor = (uint32_t)(line.at[7] - '0');
    return read_target(request, target);
}

/* --- Fields: RFC 9112, 5 and 6 ---------------------------------------------------------------- */

static int read_length(struct http_request *request, struct http_text value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (!is_digit(value.at[i]))
            return 400; /* a list of them, too */
        if (request->length > UINT64_MAX / 16)
            return 413;
        request->length = request->length * 10 + (uint64_t)(value.at[i] - '0');
    }
    return value.len > 0 ? 0 : 400;
}

static void read_connection(struct http_request *request, struct http_text value)
{
    struct http_text option;
    bool more;

    do {
        more = cut(&value, ',', &option);
        request->says_close |= http_word_is(trim(option), "close");
        request->says_keep |= http_word_is(trim(option), "keep-alive");
    } while (more);
}

static int read_field(struct http_request *request, struct http_text line)
{
    struct http_text name, value = line;

    /* No space before the colon, and none in front: a line that goes on with the last one. */
    if (!cut(&value, ':', &name) || !is_token(name))
        return 400;
    value = trim(value);
    for (size_t i = 0; i < value.len; i++) {
        if (((unsigned char)value.at[i] < ' ' && value.at[i] != '\t') || value.at[i] == 127)
            return 400;
    }
    if (http_word_is(name, "host"))
        return request->hosts++ == 0 && is_uri(value, ":[]") ? 0 : 400;
    if (http_word_is(name, "content-length"))
        return request->lengths++ == 0 ? read_length(request, value) : 400;
    if (http_word_is(name, "transfer-encoding")) {
        request->encodings++;
        request->is_chunked = http_word_is(value, "chunked");
    } else if (http_word_is(name, "connection")) {
        read_connection(request, value);
    }
    return 0;
}

/* All fields are known. */
static int read_end(struct http_request *request)
{
    if (request->hosts == 0 && request->minor > 0)
        return 400;
    if (request->encodings > 0) {
        if (request->lengths > 0 || request->minor == 0 || request->encodings > 1)
            return 400; /* its end would be a guess */
        if (!request->is_chunked)
            return 501;
    }
    request->has_body = request->encodings > 0 || request->length > 0;
    request->closes = request->says_close || (request->minor == 0 && !request->says_keep);
    return 0;
}

/* --- Lines: RFC 9112, 2.2 --------------------------------------------------------------------- */

/* The length of the line that begins here, or why there is none. It ends with CR and LF. */
static int line_len(const char *at, size_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        if (i > HTTP_LINE_MAX)
            return LONG;
        if (at[i] == '\n')
            return BAD;
        if (at[i] == '\r' && i + 1 < len)
            return at[i + 1] == '\n' ? (int)i : BAD;
    }
    return MORE;
}

int http_request_read(struct http_request *request, const char *bytes, size_t len)
{
    const size_t end = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
    struct http_text line = {bytes, 0};
    bool is_first = true;
    size_t at = 0;

    memset(request, 0, sizeof(*request));
    for (;;) {
        const int found = line_len(bytes + at, end - at);
        int status;

        if (found == BAD)
            return -400;
        if (found == LONG || (found == MORE && end == HTTP_HEAD_MAX))
            return is_first ? -414 : -431;
        if (found == MORE)
            return 0;
        line = (struct http_text){bytes + at, (size_t)found};
        at += line.len + 2;
        if (line.len == 0 && is_first)
            continue; /* an empty line in front: some clients send one behind a body */
        if (line.len == 0)
            status = read_end(request);
        else
            status = is_first ? read_request_line(request, line) : read_field(request, line);
        if (status)
            return -status;
        if (line.len == 0)
            return (int)at;
        is_first = false;
    }
}
