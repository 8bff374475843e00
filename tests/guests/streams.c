/* streams: what a guest can do with streams, one thing for each mode. For tests/streams. */
#include "check.h"

/* Copy one stream to another, in buffers of its own, many at a time. */
static void filter(uint32_t in, uint32_t out)
{
    enum { COUNT = 8, LEN = 16384 };
    static unsigned char bufs[COUNT][LEN];
    static struct halo_future reads[COUNT], writes[COUNT];
    bool going[COUNT] = {false};

    for (uint32_t i = 0; i < COUNT; i++)
        halo_stream_read_start(&reads[i], in, bufs[i], LEN);
    for (uint32_t i = 0;; i = (i + 1) % COUNT) {
        if (going[i]) {
            check(halo_wait(&writes[i]) == 0, "a write failed");
            check(writes[i].result.len == reads[i].result.len, "a write is short");
            halo_stream_read_start(&reads[i], in, bufs[i], LEN);
        }
        check(halo_wait(&reads[i]) == 0, "a read failed");
        if (reads[i].result.len == 0)
            break;
        going[i] = true;
        halo_stream_write_start(&writes[i], out, bufs[i], reads[i].result.len);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        halo_wait(&reads[i]);
        check(!going[i] || halo_wait(&writes[i]) == 0, "a write failed");
    }
}

/* Lines of "in", in capitals, to "out". */
static void lines(void)
{
    const uint32_t in = opened("in"), out = opened("out");
    struct halo_reader reader;
    struct halo_writer writer;
    size_t len;
    char *line;
    int got;

    check(halo_reader_open_sized(&reader, in, 4096, 2) == 0, "no reader");
    check(halo_writer_open_sized(&writer, out, 1000) == 0, "no writer");
    while ((got = halo_reader_line(&reader, &line, &len)) > 0) {
        for (size_t i = 0; i < len; i++)
            line[i] = (char)(line[i] >= 'a' && line[i] <= 'z' ? line[i] - 32 : line[i]);
        line[len] = '\n';
        check(halo_writer_write(&writer, line, len + 1) == 0, "cannot write");
        if (len == 0) /* whoever is at the other end waits for what there is */
            check(halo_writer_flush(&writer) == 0, "cannot flush");
    }
    check(got == 0, "cannot read");
    halo_reader_close(&reader);
    check(halo_writer_close(&writer) == 0, "cannot close");
    halo_stream_close(in);
    halo_stream_close(out);
}

/* Errors that the host answers with. */
static void errors(void)
{
    const uint32_t in = opened("in");
    struct halo_future future, second;
    unsigned char byte[8], more[8];
    uint32_t handle;

    check(halo_stream_open("nothing", &handle) == HALO_ENAME, "a name that is not offered");
    check(halo_stream_open("", &handle) == HALO_EINVAL, "no name");
    check(halo_stream_read_start(&future, in, byte, 0) == HALO_EINVAL, "no bytes");
    check(future.done && future.error == HALO_EINVAL, "it is done");
    check(halo_stream_write_start(&future, in, byte, HALO_WINDOW_BYTES + 1) == HALO_EINVAL,
          "too long");
    halo_stream_write_start(&future, in, byte, 1);
    check(halo_wait(&future) == HALO_EIO && future.code == 9, "the wrong way"); /* EBADF */
    halo_stream_read_start(&future, 77, byte, 8);
    check(halo_wait(&future) == HALO_EIO && future.code == 9, "no such stream");
    check(halo_write(77, byte, 1) == HALO_EINVAL, "no standard stream");

    halo_stream_read_start(&future, in, byte, 8); /* nothing comes */
    halo_stream_cancel(in, HALO_IN);
    check(halo_wait(&future) == HALO_EIO && future.code == 125, "cancelled"); /* ECANCELED */
    halo_stream_read_start(&future, in, byte, 8);
    halo_stream_close(in);
    halo_stream_read_start(&second, in, more, 8);
    check(halo_wait(&future) == HALO_EIO && future.code == 125, "cancelled by a close");
    check(halo_wait(&second) == HALO_ESTALE, "a stale handle");
    (void)halo_poll(); /* of what came since it last returned, which was never */
    check(!halo_poll(), "nothing is in flight");
}

/* One that blocks for ever, next to one that goes on. */
static void starve(void)
{
    const uint32_t blocked = opened("blocked"), out = opened("out");
    struct halo_future futures[HALO_WINDOW_REQUESTS];
    static unsigned char bytes[HALO_WINDOW_REQUESTS][8], some[HALO_STREAM_BUF];
    struct halo_writer slow;

    halo_writer_open(&slow, opened("slow"));
    for (uint32_t i = 0; i < HALO_WINDOW_REQUESTS; i++)
        check(halo_writer_write(&slow, some, sizeof(some)) == 0, "cannot write");
    check(halo_writer_write(&slow, some, 100) == 0, "cannot write"); /* these have to stay here */
    for (uint32_t i = 0; i < HALO_WINDOW_REQUESTS; i++)
        halo_stream_read_start(&futures[i], blocked, bytes[i], 8);
    filter(opened("in"), out);
    for (uint32_t i = 0; i < HALO_WINDOW_REQUESTS; i++)
        check(!halo_ready(&futures[i]), "bytes from nowhere");
    halo_stream_cancel(blocked, HALO_IN);
    for (uint32_t i = 0; i < HALO_WINDOW_REQUESTS; i++)
        check(halo_wait(&futures[i]) == HALO_EIO, "cancelled");
    halo_stream_cancel(slow.handle, HALO_OUT);
    while (slow.in_flight > 0)
        halo_poll();
    check(halo_writer_close(&slow) == HALO_EIO, "cancelled");
}

/* Every connection says its number, and hears it doubled. */
static void answer_connections(uint32_t count)
{
    const uint32_t listener = opened("listener");

    while (count > 0) {
        struct halo_future future;
        uint32_t handles[4];

        halo_stream_read_start(&future, listener, handles, sizeof(handles));
        check(halo_wait(&future) == 0, "cannot accept");
        for (uint32_t i = 0; i < future.result.len / sizeof(handles[0]); i++, count--) {
            struct halo_future read, write;
            uint32_t number;

            halo_stream_read_start(&read, handles[i], &number, sizeof(number));
            check(halo_wait(&read) == 0 && read.result.len == sizeof(number), "no number");
            number *= 2;
            halo_stream_write_start(&write, handles[i], &number, sizeof(number));
            halo_stream_close(handles[i]); /* behind it */
            check(halo_wait(&write) == 0, "cannot answer");
            halo_stream_read_start(&read, handles[i], &number, sizeof(number));
            check(halo_wait(&read) == HALO_ESTALE, "closed");
        }
    }
}

/* Write to the end that the host has, close that way, and say what it said. */
static void talk(uint32_t handle)
{
    struct halo_writer writer;
    struct halo_reader reader;
    const void *bytes;
    int64_t len;

    halo_writer_open(&writer, handle);
    halo_writer_write(&writer, "hello", 5);
    halo_stream_end(handle); /* behind it */
    check(halo_writer_close(&writer) == 0, "cannot write");
    check(halo_writer_write(&writer, "x", 1) == 0 && halo_writer_close(&writer) == HALO_EIO,
          "written after the end");
    halo_reader_open_sized(&reader, handle, 4096, 4);
    while ((len = halo_reader_next(&reader, &bytes)) > 0)
        halo_write(HALO_STDOUT, bytes, (size_t)len);
    halo_reader_close(&reader);
    check(len == 0, "cannot read");
}

HALO_EXPORT(copy, "copy", HALO_U64, HALO_U32, HALO_U32)
{
    filter(args[0].u32, args[1].u32);
    halo_return(call, halo_u64(1));
}

/* Requests beyond a stream's window, by hand: the library keeps to it. */
HALO_EXPORT(read_one, "read_one", HALO_U64, HALO_U32)
{
    struct halo_future future;
    uint64_t value = 0;

    halo_stream_read_start(&future, args[0].u32, &value, sizeof(value));
    if (halo_wait(&future) || future.result.len == 0)
        halo_fail(call, 1, "no bytes");
    else
        halo_return(call, halo_u64(value));
}

/* Ends with what it wrote still on its way. */
HALO_EXPORT(last_words, "last_words", HALO_VOID)
{
    static struct halo_future future;

    halo_stream_write_start(&future, HALO_STDOUT, "last", 4);
    halo_exit(3);
}

HALO_EXPORT(fault, "fault", HALO_VOID)
{
    __builtin_trap();
}

static uint32_t number(const char *text)
{
    uint32_t value = 0;

    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (uint32_t)(*text - '0');
    return value;
}

HALO_IMPORT(next, "host.next", HALO_I64, HALO_I64);

/* What its host makes of a number. */
HALO_EXPORT(ask_next, "ask_next", HALO_I64, HALO_I64)
{
    struct halo_future future;

    check(halo_call(&future, &next, args[0]) == 0, "the host's function failed");
    halo_return(call, future.result);
}

/* The same of 1, while it waits for bytes that never come. */
HALO_EXPORT(ask_beside_a_read, "ask_beside_a_read", HALO_I64, HALO_U32)
{
    struct halo_future asked, read;
    uint64_t value;

    halo_stream_read_start(&read, args[0].u32, &value, sizeof(value));
    check(halo_call(&asked, &next, halo_i64(1)) == 0, "the host's function failed");
    check(!halo_ready(&read), "bytes from nowhere");
    halo_stream_cancel(args[0].u32, HALO_IN);
    check(halo_wait(&read) == HALO_EIO, "cancelled");
    halo_return(call, asked.result);
}

/* Calls its host, and writes what it was told. */
static void ask(uint32_t handle)
{
    for (int64_t i = 0; i < 3; i++) {
        const struct halo_value arg = halo_i64(i);
        struct halo_future future;
        int64_t answer;

        check(halo_call_start(&future, &next, &arg, 1) == 0 && halo_wait(&future) == 0,
              "the host's function failed");
        answer = future.result.i64;
        check(halo_stream_write_start(&future, handle, &answer, sizeof(answer)) == 0 &&
                  halo_wait(&future) == 0,
              "a write failed");
    }
}

/* Reads what comes only when it has ended: the host's function calls what faults. */
static void read_beyond(void)
{
    static unsigned char bytes[64];
    static struct halo_future read, call;
    const struct halo_value arg = halo_i64(0);

    halo_stream_read_start(&read, opened("in"), bytes, sizeof(bytes));
    halo_call_start(&call, &next, &arg, 1);
    halo_wait(&call);
}

/* Gives a read up that is being done, and reads again, elsewhere. */
static void read_again(uint32_t in, uint32_t out)
{
    static unsigned char first[64], second[64];
    struct halo_future reads[2], call, write;
    const struct halo_value args[] = {halo_i64(0), halo_i64(1)};

    halo_stream_read_start(&reads[0], in, first, sizeof(first));
    for (int i = 0; i < 2; i++) { /* streams are served behind calls */
        halo_call_start(&call, &next, &args[i], 1);
        check(halo_wait(&call) == 0 && !reads[0].done, "the read is not being done");
    }
    halo_stream_cancel(in, HALO_IN);
    halo_stream_read_start(&reads[1], in, second, sizeof(second));
    check(halo_wait(&reads[0]) == HALO_EIO && halo_wait(&reads[1]) == 0, "the wrong one failed");
    halo_stream_write_start(&write, out, second, reads[1].result.len);
    halo_wait(&write);
}

/* Reads a few bytes at a time, and takes its time in between. */
static void drip(uint32_t handle)
{
    unsigned char few[8];
    struct halo_future future;

    do {
        for (uint32_t i = 0; i < 20000000; i++)
            __asm__ volatile("");
        check(halo_stream_read_start(&future, handle, few, sizeof(few)) == 0 &&
                  halo_wait(&future) == 0,
              "a read failed");
    } while (future.result.len > 0);
}

/* Ends with more on its way out than a pipe takes. */
static void pour(void)
{
    static unsigned char much[300000];
    static struct halo_future future;

    check(halo_stream_write_start(&future, HALO_STDOUT, much, sizeof(much)) == 0, "no write");
}

/* Reads so many streams, closes the first half of them, and waits for the others. */
static void quit_half(uint32_t count)
{
    static unsigned char bytes[100][8];
    static struct halo_future reads[100];
    static uint32_t handles[100];

    for (uint32_t i = 0; i < count; i++) {
        const char name[] = {'s', (char)('0' + i / 10), (char)('0' + i % 10), 0};

        handles[i] = opened(name);
        halo_stream_read_start(&reads[i], handles[i], bytes[i], sizeof(bytes[i]));
    }
    (void)halo_poll(); /* all are asked for */
    for (uint32_t i = 0; i < count / 2; i++)
        halo_stream_close(handles[i]);
    while (halo_poll())
        continue;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    switch (mode[0]) {
    case 'a':
        ask(opened("host"));
        break;
    case 'd':
        drip(opened("host"));
        break;
    case 'p':
        pour();
        break;
    case 'b':
        read_beyond();
        break;
    case 'c':
        answer_connections(number(argv[2]));
        break;
    case 'e':
        errors();
        break;
    case 'f':
        filter(opened("in"), opened("out"));
        break;
    case 'g':
        read_again(opened("in"), opened("out"));
        break;
    case 'h':
        quit_half(number(argv[2]));
        break;
    case 'l':
        lines();
        break;
    case 'q': /* quits one stream, and waits for another */
        halo_stream_close(opened("host"));
        filter(opened("in"), opened("out"));
        break;
    case 's':
        starve();
        break;
    case 't':
        talk(opened("host"));
        break;
    default:
        return halo_serve();
    }
    return 0;
}
