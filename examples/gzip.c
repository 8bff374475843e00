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

int main(int argc, char **argv)
{
    const bool expands = argc == 2 && memcmp(argv[1], "-d", 3) == 0;
    int (*const step)(z_stream *, int) = expands ? inflate : deflate;
    static z_stream z;
    struct halo_reader in;
    const void *bytes;
    int result;
    int64_t len;

    if (argc != 1 + expands)
        halo_panic("usage: gzip [-d]");
    result = expands ? inflateInit2(&z, GZIP_WINDOW)
                     : deflateInit2(&z, 6, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
    if (result != Z_OK || halo_reader_open(&in, HALO_STDIN) || !next_buffer(&z))
        halo_panic("cannot begin");
    while (result == Z_OK && (len = halo_reader_next(&in, &bytes)) > 0) {
        z.next_in = (unsigned char *)(uintptr_t)bytes;
        z.avail_in = (uInt)len;
        result = run(&z, step, Z_NO_FLUSH);
    }
    if (result == Z_OK && !in.error)
        result = expands ? Z_BUF_ERROR : run(&z, step, Z_FINISH);
    if (in.error)
        halo_panic("the input cannot be read");
    halo_reader_close(&in);
    if (result == Z_ERRNO || !send(&z) || !finish())
        return 1; /* nobody reads any more */
    if (result != Z_STREAM_END)
        halo_panic(expands ? "this is no gzip file, or it is cut" : "zlib failed");
    return 0;
}
