/*
 * The head of an HTTP/1.1 request, read by the grammar of RFC 9112. It needs nothing but memory
 * functions, so that it fits into a guest.
 *
 * What can be read in two ways is refused, for whoever stands in front of this server (a cache, a
 * filter) may have read it in the other one.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_LINE_MAX 8192u  /* of one line: what the RFC asks for, and a little */
#define HTTP_HEAD_MAX 16384u /* of all of them */

/* Where a piece of the head lies. */
struct http_text {
    const char *at;
    size_t len;
};

struct http_request {
    struct http_text method;
    struct http_text path; /* from its "/" on, without a query; or "*" */
    uint32_t minor;        /* of HTTP/1.minor */
    bool closes;           /* there will be no other request on this connection */
    bool has_body;         /* which nothing here reads */
    /* private: what the fields have said */
    bool says_close, says_keep, is_chunked;
    uint32_t hosts, lengths, encodings;
    uint64_t length;
};

/*
 * Read the head of the request that these bytes begin with. Returns
 *   how many bytes it has, with the empty line behind it (and those in front, which are skipped)
 *   0, where it is not complete: call again with more behind the same bytes
 *   a negative status, -400 for example: answer with it, and then close the connection, for nobody
 *   knows where the next request begins; method is set where it could be read
 */
int http_request_read(struct http_request *request, const char *bytes, size_t len);

/* Whether this text is these letters, and, of a word of the protocol, whether in any case. */
bool http_text_is(struct http_text text, const char *word);
bool http_word_is(struct http_text text, const char *small_word);

#endif
