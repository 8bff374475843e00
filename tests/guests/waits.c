/* waits: requests that are never answered beside what has to go on. For tests/streams/test_waits.
 */
#include "check.h"

#define STREAMS 250u

static uint32_t number(const char *text)
{
    uint32_t value = 0;

    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (uint32_t)(*text - '0');
    return value;
}

HALO_IMPORT(next, "host.next", HALO_I64, HALO_I64);

static void call_host(void)
{
    struct halo_future future;

    check(halo_call(&future, &next, halo_i64(1)) == 0 && future.result.i64 == 11,
          "the host's function failed");
}

/* The stream with this number: "s0", "s1" and so on. */
static uint32_t silent(uint32_t i)
{
    const char name[] = {'s', (char)('0' + i / 100), (char)('0' + i / 10 % 10),
                         (char)('0' + i % 10), 0};

    return opened(name);
}

static struct halo_future reads[STREAMS][4], writes[STREAMS];
static unsigned char bytes[STREAMS][4][8], much[1u << 20];
static uint32_t handles[STREAMS];

/* What has to go on whatever else waits. */
static void go_on(uint32_t count)
{
    const uint32_t talks = opened("talks");
    struct halo_future future;
    uint64_t word;

    call_host();
    halo_stream_read_start(&future, talks, &word, sizeof(word));
    check(halo_wait(&future) == 0 && future.result.len == sizeof(word), "no bytes of another");
    halo_stream_write_start(&future, HALO_STDOUT, "out\n", 4);
    check(halo_wait(&future) == 0, "no write of another");
    halo_stream_cancel(handles[0], HALO_IN);
    check(halo_wait(&reads[0][0]) == HALO_EIO && reads[0][0].code == 125, "not cancelled");
    if (count > 1) {
        halo_stream_close(handles[1]);
        check(halo_wait(&reads[1][0]) == HALO_EIO && reads[1][0].code == 125, "not closed");
        halo_stream_read_start(&future, handles[1], &word, sizeof(word));
        check(halo_wait(&future) == HALO_ESTALE, "not stale");
    }
    for (uint32_t i = 2; i < count; i++)
        check(!halo_ready(&reads[i][0]), "bytes from nowhere");
}

/* So many streams are read that say nothing, each by so many reads; with 'b' written, too. */
static void wait_for_nothing(uint32_t count, uint32_t depth, bool both)
{
    for (uint32_t i = 0; i < count; i++) {
        handles[i] = silent(i);
        for (uint32_t d = 0; d < depth; d++)
            halo_stream_read_start(&reads[i][d], handles[i], bytes[i][d], 8);
        if (both && i != 1) /* which is closed: what it had written could not be cancelled */
            halo_stream_write_start(&writes[i], handles[i], much, sizeof(much));
    }
    go_on(count);
    for (uint32_t i = 0; i < count; i++)
        halo_stream_cancel(handles[i], HALO_IN | HALO_OUT);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t d = 0; d < depth; d++)
            halo_wait(&reads[i][d]);
        if (both && i != 1)
            halo_wait(&writes[i]);
    }
}

/* More writes than the ring takes wait for their ends, and each stream is closed behind them. */
static void close_behind(uint32_t count)
{
    enum { WRITES = HALO_WINDOW_REQUESTS - 1 }; /* one more is started behind the close */
    static struct halo_future many[8][WRITES];
    static unsigned char texts[WRITES][8192];

    for (uint32_t w = 0; w < WRITES; w++)
        memset(texts[w], (int)('A' + w), sizeof(texts[w]));
    for (uint32_t i = 0; i < count; i++) {
        handles[i] = silent(i);
        halo_stream_read_start(&reads[i][0], handles[i], bytes[i][0], 8);
        for (uint32_t w = 0; w < WRITES; w++)
            halo_stream_write_start(&many[i][w], handles[i], texts[w], sizeof(texts[w]));
        halo_stream_close(handles[i]);
        halo_stream_write_start(&writes[i], handles[i], texts[0], 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        check(halo_wait(&reads[i][0]) == HALO_EIO && reads[i][0].code == 125, "read after a close");
        if (!writes[i].done) /* behind the close, however long that waits */
            continue;
        check(writes[i].error == HALO_ESTALE, "written after a close");
    }
    call_host(); /* and now the host reads */
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t w = 0; w < WRITES; w++)
            check(halo_wait(&many[i][w]) == 0, "a write before the close failed");
        check(halo_wait(&writes[i]) == HALO_ESTALE, "written after a close");
    }
}

/* Something comes while the program waits for something else; then it looks, and polls. */
static void poll_after(char how)
{
    static unsigned char slow[8], fast[8];
    struct halo_future never, came;

    halo_stream_read_start(&never, opened("never"), slow, sizeof(slow));
    (void)halo_poll(); /* of the opening */
    halo_stream_read_start(&came, opened("talks"), fast, sizeof(fast));
    switch (how) {
    case 'c': /* a call's wait took it in */
        call_host();
        break;
    case 'w': /* a write's */
        halo_write(HALO_STDOUT, "out\n", 4);
        halo_flush();
        break;
    case 'r': /* a look at another future */
        call_host();
        check(!halo_ready(&never), "bytes from nowhere");
        break;
    default: /* an open's */
        (void)opened("never");
    }
    check(halo_poll(), "nothing in flight");
    while (!came.done)
        check(halo_poll(), "nothing in flight");
    check(!never.done, "bytes from nowhere");
    halo_stream_cancel(never.ticket, HALO_IN);
    while (!never.done)
        check(halo_poll(), "nothing in flight");
    halo_poll();
    check(!halo_poll(), "something in flight");
}

int main(int argc, char **argv)
{
    const uint32_t count = argc > 2 ? number(argv[2]) : 0;

    switch (argc > 1 ? argv[1][0] : 0) {
    case 'p':
        poll_after(argv[2][0]);
        break;
    case 'c':
        close_behind(count);
        break;
    default:
        check(argc > 3 && count <= STREAMS, "misused");
        wait_for_nothing(count, number(argv[3]), argv[1][0] == 'b');
    }
    return 0;
}
