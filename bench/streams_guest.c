/*
 * The guest of bench/stream.c.
 *
 *     read LEN TOTAL      reads so many bytes in buffers of LEN bytes, as many as a window holds
 *     write LEN TOTAL     writes them
 *     filter LEN TOTAL    writes what it reads, from where it lies
 *     gather LEN TOTAL    writes LEN bytes at a time through a writer
 *     kick LEN TOTAL      leaves for nothing, once for each LEN bytes of TOTAL
 *
 * Before that it does the same with two windows of requests, so that every page is there and every
 * path was taken. It calls a function of the host's before and after what counts, but where its
 * name is "host": then its host is the other end, and measures.
 */
#include <halo/guest.h>

HALO_IMPORT(begin, "begin", HALO_VOID);
HALO_IMPORT(end, "end", HALO_VOID);

#define DEPTH HALO_WINDOW_REQUESTS

static struct halo_future reads[2 * DEPTH], writes[2 * DEPTH], mark;
static unsigned char *bufs;

static void must(bool good)
{
    if (!good)
        halo_panic("a stream failed");
}

static uint64_t number(const char *digits)
{
    uint64_t value = 0;

    for (; *digits; digits++)
        value = value * 10 + (uint64_t)(*digits - '0');
    return value;
}

/* So many bytes one way, and in order; at least a window of them. */
static void move(bool reading, size_t len, uint64_t total)
{
    const uint32_t handle = reading ? HALO_STDIN : HALO_STDOUT;
    int (*const start)(struct halo_future *, uint32_t, void *, size_t) =
        reading ? halo_stream_read_start
                : (int (*)(struct halo_future *, uint32_t, void *, size_t))halo_stream_write_start;
    uint64_t started = 0, done = 0;

    for (uint32_t i = 0; i < DEPTH; i++, started += len)
        start(&reads[i], handle, bufs + i * len, len);
    for (uint32_t i = 0; done < total; i = (i + 1) % DEPTH) {
        must(halo_wait(&reads[i]) == 0 && reads[i].result.len == len);
        done += len;
        if (started < total) {
            start(&reads[i], handle, bufs + i * len, len);
            started += len;
        }
    }
}

/* Half of the buffers are being read into while the others are written. */
static void filter(size_t len, uint64_t total)
{
    const uint32_t count = 2 * DEPTH;
    uint32_t in = 0, out = 0, free_count = count;
    uint64_t asked = 0, done = 0, reading = 0;

    while (done < total) {
        for (; free_count > 0 && reading < DEPTH && asked < total; free_count--) {
            halo_stream_read_start(&reads[in % count], HALO_STDIN, bufs + in % count * len, len);
            asked += len;
            reading++;
            in++;
        }
        /* What has come goes on; what has gone is free. */
        while (reading > 0 && halo_ready(&reads[(in - reading) % count])) {
            const uint32_t i = (uint32_t)(in - reading) % count;

            must(reads[i].error == 0 && reads[i].result.len == len);
            halo_stream_write_start(&writes[i], HALO_STDOUT, bufs + i * len, len);
            reading--;
        }
        while (out != in - reading && halo_ready(&writes[out % count])) {
            must(writes[out % count].error == 0);
            done += len;
            out++;
            free_count++;
        }
        if (done < total && (free_count == 0 || reading == DEPTH || asked == total))
            halo_poll();
    }
}

static void gather(size_t len, uint64_t total)
{
    struct halo_writer writer;

    halo_writer_open(&writer, HALO_STDOUT);
    for (uint64_t done = 0; done < total; done += len)
        must(halo_writer_write(&writer, bufs, len) == 0);
    must(halo_writer_close(&writer) == 0);
}

static void kick(uint64_t count)
{
    void (*const doorbell)(uint64_t, uint64_t, uint64_t) =
        (void (*)(uint64_t, uint64_t, uint64_t))halo_boot_page()->doorbell;

    for (uint64_t i = 0; i < count; i++)
        doorbell(HALO_DOORBELL_KICK, HALO_QUEUE_G2H, 0);
}

static void work(char mode, size_t len, uint64_t total)
{
    if (mode == 'f')
        filter(len, total);
    else if (mode == 'k')
        kick(total / len);
    else if (mode == 'g')
        gather(len, total);
    else
        move(mode == 'r', len, total);
}

static void tell(struct halo_import *what)
{
    halo_call_start(&mark, what, NULL, 0);
    must(halo_wait(&mark) == 0);
}

int main(int argc, char **argv)
{
    const size_t len = argc == 4 ? number(argv[2]) : 0;
    const bool tells = argv[0][0] != 'h';

    must(len > 0);
    bufs = malloc(2 * DEPTH * len);
    must(bufs != NULL);
    memset(bufs, 'x', 2 * DEPTH * len); /* all of it is there */
    work(argv[1][0], len, 2 * DEPTH * len);
    if (tells)
        tell(&begin);
    work(argv[1][0], len, number(argv[3]));
    if (tells)
        tell(&end);
    return 0;
}
