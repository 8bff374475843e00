/*
 * gzip: a guest that compresses its standard input, or with -d expands it, by zlib.
 *
 *     halo run gzip.halo < file > file.gz
 *     halo run gzip.halo -d < file.gz
 *
 * zlib is Debian's, as it is: it asks its surroundings for memory and nothing else. What it reads
 * lies where the host put it, and what it makes is written from where it lies, while it goes on in
 * another buffer.
 */
#include <halo/guest.h>
#include <zlib.h>

#define OUT_LEN 65536u
#define OUT_COUNT 8u
#define GZIP_WINDOW (15 + 16) /* of 32 KiB, with gzip's header */

/* Buffers that go out one after the other. */
static struct output {
    struct halo_future writes[OUT_COUNT];
    bool going[OUT_COUNT];
    unsigned char bufs[OUT_COUNT][OUT_LEN];
    uint32_t at;
} output;

/* The next buffer becomes zlib's, as soon as it has gone out the last time. */
static bool next_buffer(z_stream *z)
{
    const uint32_t at = output.at;

    if (output.going[at] && halo_wait(&output.writes[at]))
        return false;
    output.going[at] = false;
    z->next_out = output.bufs[at];
    z->avail_out = OUT_LEN;
    return true;
}

/* What zlib has put into its buffer goes out. */
static bool send(z_stream *z)
{
    const uint32_t at = output.at, len = OUT_LEN - z->avail_out;

    if (len > 0) {
        halo_stream_write_start(&output.writes[at], HALO_STDOUT, output.bufs[at], len);
        output.going[at] = true;
        output.at = (at + 1) % OUT_COUNT;
    }
    return next_buffer(z);
}

static bool finish(void)
{
    bool good = true;

    for (uint32_t i = 0; i < OUT_COUNT; i++)
        good = (!output.going[i] || !halo_wait(&output.writes[i])) && good;
    return good;
}

/* What was expanded so far. */
struct members {
    uint32_t count;
    bool is_between; /* two of them, or before the first */
};

static int fail(const char *text, int code)
{
    halo_write(HALO_STDERR, "gzip: ", 6);
    halo_write(HALO_STDERR, text, strlen(text));
    halo_write(HALO_STDERR, "\n", 1);
    return code;
}

/* Have zlib take all of its input. Returns what zlib does, or Z_ERRNO where a write failed. */
static int run(z_stream *z, int (*step)(z_stream *, int), int flush)
{
    int result;

    do {
        if (z->avail_out == 0 && !send(z))
            return Z_ERRNO;
        result = step(z, flush);
    } while (result == Z_OK && (z->avail_in > 0 || z->avail_out == 0 || flush == Z_FINISH));
    return result == Z_BUF_ERROR && flush == Z_NO_FLUSH ? Z_OK : result;
}

/*
 * A gzip file may have several members, one behind the other, and zeros behind the last. Z_OK where
 * there may be more, Z_STREAM_END where something follows that is no member.
 */
static int expand(z_stream *z, struct members *members)
{
    int result = Z_OK;

    while (result == Z_OK && z->avail_in > 0) {
        if (members->is_between && *z->next_in == 0) {
            z->next_in++;
            z->avail_in--;
            continue;
        }
        if (members->is_between && members->count > 0)
            result = inflateReset(z);
        members->is_between = false;
        if (result == Z_OK)
            result = run(z, inflate, Z_NO_FLUSH);
        if (result == Z_STREAM_END) {
            members->count++;
            members->is_between = true;
            result = Z_OK;
        }
    }
    return result;
}

static int run_to_end(z_stream *z, struct halo_reader *in, bool expands)
{
    struct members members = {.is_between = true};
    const void *bytes;
    int result = Z_OK;
    int64_t len;

    while (result == Z_OK && (len = halo_reader_next(in, &bytes)) > 0) {
        z->next_in = (unsigned char *)(uintptr_t)bytes;
        z->avail_in = (uInt)len;
        result = expands ? expand(z, &members) : run(z, deflate, Z_NO_FLUSH);
    }
    if (in->error)
        return fail("the input cannot be read", 1);
    if (result == Z_OK && !expands)
        result = run(z, deflate, Z_FINISH);
    if (result == Z_ERRNO || !send(z) || !finish())
        return fail("the output cannot be written", 1);
    if (!expands)
        return result == Z_STREAM_END ? 0 : fail("zlib failed", 1);
    if (result == Z_OK && members.count > 0 && members.is_between)
        return 0;
    if (members.count > 0 && z->total_out == 0) /* as gzip has it: a warning */
        return fail("what follows the last member is no gzip data, and was left out", 2);
    return fail(result == Z_OK ? "the input is cut" : "the input is no gzip file", 1);
}

int main(int argc, char **argv)
{
    const bool expands = argc == 2 && strlen(argv[1]) == 2 && memcmp(argv[1], "-d", 2) == 0;
    static z_stream z;
    struct halo_reader in;
    int result;

    if (argc != 1 + expands)
        return fail("usage: gzip [-d]", 2);
    result = expands ? inflateInit2(&z, GZIP_WINDOW)
                     : deflateInit2(&z, 6, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
    if (result != Z_OK || halo_reader_open(&in, HALO_STDIN) || !next_buffer(&z))
        return fail("no memory to begin with", 1);
    result = run_to_end(&z, &in, expands);
    halo_reader_close(&in);
    return result;
}
