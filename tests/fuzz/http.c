/*
 * Heads of HTTP requests, as the example reads them: whatever the bytes and however they come, the
 * answer is the same, and what it points at lies within them.
 */
#include "../../examples/http_request.h"
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void expect_within(struct http_text text, const char *bytes, int head)
{
    EXPECT(text.len == 0 || (text.at >= bytes && text.at + text.len <= bytes + head) ||
           http_text_is(text, "/"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct http_request request;
    int whole, part = 0;

    for (size_t some = 0; some <= len; some++) {
        char *bytes = malloc(some ? some : 1); /* so that ASan sees what is read behind */

        EXPECT(bytes);
        memcpy(bytes, data, some);
        whole = http_request_read(&request, bytes, some);
        EXPECT(part == 0 || whole == part); /* more bytes change no answer */
        EXPECT(whole <= (int)some && whole > -600 && (whole >= 0 || whole <= -400));
        if (whole > 0) {
            EXPECT(memcmp(bytes + whole - 4, "\r\n\r\n", 4) == 0);
            EXPECT(request.method.len > 0);
            EXPECT(
                http_text_is(request.method, "CONNECT") ||
                (request.path.len > 0 && (request.path.at[0] == '/' || request.path.at[0] == '*')));
            expect_within(request.method, bytes, whole);
            expect_within(request.path, bytes, whole);
        }
        part = whole;
        free(bytes);
    }
    return 0;
}
