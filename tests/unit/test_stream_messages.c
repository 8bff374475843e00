/* Stream requests, as a guest may send them: groups DEV, TOC, STR and RES. */
#include "stream_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD HALO_STREAM_HEAD

static struct stream_box *box;
static struct stream_wire wire, wires[HALO_WINDOW_REQUESTS + 1];
static uint32_t host; /* a stream of the host's own, both ways */

static int setup(void **state)
{
    (void)state;
    box = stream_box_open();
    assert_int_equal(stream_box_offer(box, "own", halo_end_host(), HALO_IN | HALO_OUT, &host), 0);
    wire.message = (struct halo_message){HALO_KIND_STREAM_READ, 0, 7, 8};
    wire.stream = (struct halo_stream_request){host, 0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stream_box_close(box);
    return 0;
}

static const char *ask(struct stream_wire *w, enum halo_kind kind, uint32_t handle, uint32_t ways)
{
    return stream_box_send(box, w, kind, handle, ways, kind == HALO_KIND_STREAM_WRITE ? 16 : 0, 64);
}

static void dev_18_a_header_may_be_cut_anywhere(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= HEAD; piece++) {
        assert_null(stream_box_take(box, &wire, HEAD, piece, 64));
        assert_int_equal(wire.request->message.kind, HALO_KIND_STREAM_READ);
        assert_int_equal(wire.request->message.request, 7);
        assert_int_equal(wire.request->stream.handle, host);
        assert_ptr_equal(halo__flow_first(&box->streams, &box->streams.at[host & 0xffff].in),
                         wire.request);
        halo__flow_pop(&box->streams, &box->streams.at[host & 0xffff].in);
    }
}

static void dev_18_dev_19_short_chains_are_refused(void **state)
{
    (void)state;
    for (size_t len = 1; len < HEAD; len++)
        assert_non_null(stream_box_take(box, &wire, len, 16, 64));
    for (size_t room = 0; room < 12; room++)
        assert_non_null(stream_box_take(box, &wire, HEAD, 16, room));
    assert_int_equal(box->streams.at[host & 0xffff].in.count, 0);
}

static void toc_04_a_header_that_changes_later_changes_nothing(void **state)
{
    (void)state;
    assert_null(stream_box_take(box, &wire, HEAD, 16, 64));
    memset(&wire, 0xff, HEAD);
    assert_int_equal(wire.request->message.kind, HALO_KIND_STREAM_READ);
    assert_int_equal(wire.request->message.length, 8);
    assert_int_equal(wire.request->stream.handle, host);
}

static void str_07_rpc_06_every_other_header_is_refused(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 256; kind++) {
        for (unsigned ways = 0; ways < 8; ways++) {
            bool good = false;
            const char *why;

            if (kind == HALO_KIND_STREAM_OPEN)
                continue;
            if (kind == HALO_KIND_STREAM_READ) /* STR-09 */
                good = ways <= HALO_SPARE_MAX;
            if (kind == HALO_KIND_STREAM_WRITE)
                good = ways == 0;
            if (kind == HALO_KIND_STREAM_CANCEL)
                good = ways >= 1 && ways <= 3;
            if (kind == HALO_KIND_STREAM_CLOSE)
                good = ways == 2 || ways == 3;
            why = stream_box_send(box, &wire, (enum halo_kind)kind, 0x55, ways, 0, 64);
            assert_true((why == NULL) == good);
            assert_true(stream_box_is_answered(&wire) == good); /* there is no such stream */
            if (kind != HALO_KIND_STREAM_WRITE)
                assert_non_null(
                    stream_box_send(box, &wire, (enum halo_kind)kind, 0x55, ways, 1, 64));
        }
    }
    teardown(state);
    setup(state);
    for (unsigned bit = 0; bit < 32; bit++) {
        wire.message = (struct halo_message){HALO_KIND_STREAM_READ, 0, 7, 8 ^ 1u << bit};
        assert_non_null(stream_box_take(box, &wire, HEAD, 16, 64));
        wire.message = (struct halo_message){HALO_KIND_STREAM_READ, (uint8_t)(1u << bit % 8), 7, 8};
        assert_non_null(stream_box_take(box, &wire, HEAD, 16, 64));
    }
}

static void str_01_more_than_the_window_is_refused(void **state)
{
    static const enum halo_kind kinds[] = {HALO_KIND_STREAM_READ, HALO_KIND_STREAM_WRITE};

    (void)state;
    for (uint32_t k = 0; k < 2; k++) {
        struct halo_stream *stream = &box->streams.at[host & 0xffff];
        struct halo_flow *flow = k ? &stream->out : &stream->in;

        for (uint32_t i = 0; i < HALO_WINDOW_REQUESTS; i++)
            assert_null(ask(&wires[i], kinds[k], host, 0));
        assert_int_equal(flow->count, HALO_WINDOW_REQUESTS);
        assert_non_null(ask(&wire, kinds[k], host, 0));
        assert_int_equal(flow->count, HALO_WINDOW_REQUESTS);
        assert_null(ask(&wire, HALO_KIND_STREAM_CANCEL, host, k ? HALO_OUT : HALO_IN));
        assert_int_equal(flow->count, 0);
        assert_int_equal(flow->bytes, 0);
        for (uint32_t i = 0; i < HALO_WINDOW_REQUESTS; i++)
            assert_int_equal(stream_box_errno(&wires[i]), ECANCELED);
    }
}

static void str_01_nor_in_bytes(void **state)
{
    static unsigned char large[HALO_WINDOW_BYTES + 64];
    struct halo_request *r = &box->port.requests[HALO_QUEUE_G2H][0];

    (void)state;
    for (uint64_t room = HALO_WINDOW_BYTES + 9; room >= HALO_WINDOW_BYTES + 8; room--) {
        port_box_request(r, 0, &wire, HEAD, HEAD, large, room);
        assert_true((port_box_take(&box->port, HALO_QUEUE_G2H, r, HALO_ANSWER_MIN) == NULL) ==
                    (room == HALO_WINDOW_BYTES + 8));
    }
    assert_non_null(stream_box_send(box, &wires[0], HALO_KIND_STREAM_READ, host, 0, 0, 12));
}

static void str_04_unknown_handles_are_an_error(void **state)
{
    static const uint32_t handles[] = {0, 1, 2, 4, 255, 256, 0xffff, 0x10003, 0xffffffff};

    (void)state;
    for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++) {
        assert_null(ask(&wire, HALO_KIND_STREAM_READ, handles[i], 0));
        assert_int_equal(stream_box_errno(&wire), EBADF);
        assert_null(ask(&wire, HALO_KIND_STREAM_CLOSE, handles[i], HALO_IN | HALO_OUT));
        assert_int_equal(stream_box_errno(&wire), EBADF);
    }
    for (uint32_t i = 0; i < HALO_STREAMS_MAX; i++)
        assert_true(box->streams.at[i].kind == (i == (host & 0xffff) ? HALO_END_HOST : 0));
}

static void rpc_09_a_stale_handle_is_an_error(void **state)
{
    uint32_t next = 0;

    (void)state;
    assert_int_equal(stream_box_shut(box, host), 0);
    for (uint32_t kind = HALO_KIND_STREAM_READ; kind <= HALO_KIND_STREAM_CLOSE; kind++) {
        assert_null(
            ask(&wire, (enum halo_kind)kind, host, kind == HALO_KIND_STREAM_CLOSE ? HALO_OUT : 0));
        assert_int_equal(stream_box_errno(&wire), ESTALE);
    }
    assert_int_equal(stream_box_shut(box, host), HALO_ESTALE);
    while ((next & 0xffff) != (host & 0xffff)) { /* until its place is used again */
        assert_int_equal(stream_box_offer(box, NULL, halo_end_host(), HALO_IN, &next), 0);
        if ((next & 0xffff) != (host & 0xffff))
            assert_int_equal(stream_box_shut(box, next), 0);
    }
    assert_int_not_equal(next, host);
    assert_null(ask(&wire, HALO_KIND_STREAM_READ, host, 0));
    assert_int_equal(stream_box_errno(&wire), ESTALE);
    assert_null(ask(&wire, HALO_KIND_STREAM_READ, next, 0));
    assert_false(stream_box_is_answered(&wire));
}

static void str_05_there_is_one_end(void **state)
{
    (void)state;
    assert_null(ask(&wires[0], HALO_KIND_STREAM_WRITE, host, 0));
    assert_null(ask(&wires[1], HALO_KIND_STREAM_CLOSE, host, HALO_OUT));
    assert_false(stream_box_is_answered(&wires[1])); /* behind the write */
    assert_null(ask(&wires[2], HALO_KIND_STREAM_WRITE, host, 0));
    assert_int_equal(stream_box_errno(&wires[2]), EPIPE);
    assert_null(ask(&wires[2], HALO_KIND_STREAM_CLOSE, host, HALO_OUT));
    assert_int_equal(stream_box_errno(&wires[2]), EPIPE);
    /* Cancelling what is done, or never was, is nothing. */
    assert_null(ask(&wires[2], HALO_KIND_STREAM_CANCEL, host, HALO_IN));
    assert_int_equal(stream_box_answer(&wires[2]).kind, HALO_KIND_ANSWER);
    assert_null(ask(&wires[3], HALO_KIND_STREAM_READ, host, 0));
    assert_null(ask(&wires[4], HALO_KIND_STREAM_CLOSE, host, HALO_IN | HALO_OUT));
    assert_int_equal(stream_box_errno(&wires[3]), ECANCELED);
    assert_null(ask(&wires[2], HALO_KIND_STREAM_CLOSE, host, HALO_IN | HALO_OUT));
    assert_int_equal(stream_box_errno(&wires[2]), ESTALE);
    /* The host finds what was written, and the end. */
    {
        const void *bytes;

        assert_int_equal(stream_box_peek(box, host, &bytes), 16);
        assert_int_equal(stream_box_peek(box, host, &bytes), 0);
        assert_int_equal(stream_box_peek(box, host, &bytes), 0);
    }
    for (int i = 0; i < 5; i++)
        assert_true(i == 2 || i == 3 || stream_box_answer(&wires[i]).kind == HALO_KIND_ANSWER);
}

static void str_08_closing_needs_no_window(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < HALO_WINDOW_REQUESTS; i++)
        assert_null(ask(&wires[i], HALO_KIND_STREAM_WRITE, host, 0));
    assert_null(ask(&wire, HALO_KIND_STREAM_CLOSE, host, HALO_OUT));
    assert_null(ask(&wires[HALO_WINDOW_REQUESTS], HALO_KIND_STREAM_CLOSE, host, 3));
    assert_false(stream_box_is_answered(&wire));
    assert_int_equal(stream_box_shut(box, host), 0);
    for (uint32_t i = 0; i < HALO_WINDOW_REQUESTS; i++)
        assert_int_equal(stream_box_errno(&wires[i]), ECANCELED);
    assert_int_equal(stream_box_answer(&wire).kind, HALO_KIND_ANSWER);
    assert_int_equal(stream_box_answer(&wires[HALO_WINDOW_REQUESTS]).kind, HALO_KIND_ANSWER);
}

static void str_03_a_host_that_does_not_read_queues_nothing_more(void **state)
{
    const void *bytes;

    (void)state;
    for (uint32_t i = 0; i < HALO_WINDOW_REQUESTS; i++)
        assert_null(ask(&wires[i], HALO_KIND_STREAM_WRITE, host, 0));
    assert_non_null(ask(&wire, HALO_KIND_STREAM_WRITE, host, 0));
    for (uint32_t i = 0; i < HALO_WINDOW_REQUESTS; i++) {
        assert_int_equal(stream_box_peek(box, host, &bytes), 16);
        assert_ptr_equal(bytes, wires[i].data); /* where the guest wrote them */
        assert_false(stream_box_is_answered(&wires[i]));
    }
}

static void ways_that_were_not_given_are_an_error(void **state)
{
    uint32_t in, out;

    (void)state;
    assert_int_equal(stream_box_offer(box, NULL, halo_end_host(), HALO_IN, &in), 0);
    assert_int_equal(stream_box_offer(box, NULL, halo_end_host(), HALO_OUT, &out), 0);
    assert_null(ask(&wire, HALO_KIND_STREAM_WRITE, in, 0));
    assert_int_equal(stream_box_errno(&wire), EBADF);
    assert_null(ask(&wire, HALO_KIND_STREAM_CLOSE, in, HALO_OUT));
    assert_int_equal(stream_box_errno(&wire), EBADF);
    assert_null(ask(&wire, HALO_KIND_STREAM_READ, out, 0));
    assert_int_equal(stream_box_errno(&wire), EBADF);
}

/* Open by a name of `len` bytes: NULL, or what cannot be understood. */
static const char *open_name(const char *name, size_t len, size_t room)
{
    unsigned char *at = (unsigned char *)&wire;

    wire.message = (struct halo_message){HALO_KIND_STREAM_OPEN, 0, 7, (uint32_t)len};
    memcpy(at + sizeof(wire.message), name, len);
    return stream_box_take(box, &wire, sizeof(wire.message) + len, 5, room);
}

static void names_are_found_or_not(void **state)
{
    static const char name[] = "a name of 63 bytes, which is the longest that there can be, ......";
    struct halo_stream_opened opened;
    char text[64];

    (void)state;
    assert_null(open_name("own", 3, 16));
    assert_int_equal(stream_box_answer(&wire).kind, HALO_KIND_ANSWER);
    memcpy(&opened, wire.room + 8, sizeof(opened));
    assert_int_equal(opened.handle, host);
    assert_int_equal(opened.ways, HALO_IN | HALO_OUT);
    assert_null(open_name("ow", 2, 16));
    assert_int_equal(stream_box_errno(&wire), ENOENT);
    assert_null(open_name("own", 4, 16)); /* with its zero byte */
    assert_int_equal(stream_box_errno(&wire), ENOENT);
    assert_non_null(open_name("own", 3, 15)); /* no room for the answer */
    assert_non_null(open_name("", 0, 16));
    assert_non_null(open_name(name, 64, 16));
    memcpy(text, name, 63);
    text[63] = '\0';
    assert_int_equal(stream_box_offer(box, text, halo_end_host(), HALO_IN, NULL), 0);
    assert_null(open_name(name, 63, 16));
    assert_int_equal(stream_box_answer(&wire).kind, HALO_KIND_ANSWER);
}

static void offers_that_are_none_are_refused(void **state)
{
    static const struct halo_end_functions nothing = {.read = NULL};
    const struct halo_end none = {.kind = HALO_END_NONE};
    int pipes[2];
    uint32_t handle;

    (void)state;
    assert_int_equal(stream_box_offer(box, "own", halo_end_host(), HALO_IN, NULL), HALO_EINVAL);
    assert_int_equal(stream_box_offer(box, "", halo_end_host(), HALO_IN, NULL), HALO_EINVAL);
    assert_int_equal(stream_box_offer(box, NULL, halo_end_host(), 0, NULL), HALO_EINVAL);
    assert_int_equal(stream_box_offer(box, NULL, halo_end_host(), 4, NULL), HALO_EINVAL);
    assert_int_equal(stream_box_offer(box, NULL, none, HALO_IN, NULL), HALO_EINVAL);
    assert_int_equal(stream_box_offer(box, NULL, halo_end_fd(-1), HALO_IN, NULL), HALO_EINVAL);
    assert_int_equal(
        stream_box_offer(box, NULL, halo_end_functions(&nothing, NULL, -1), HALO_IN, NULL),
        HALO_EINVAL);
    assert_int_equal(stream_box_offer(box, NULL, halo_end_functions(NULL, NULL, -1), HALO_IN, NULL),
                     HALO_EINVAL);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(stream_box_offer(box, NULL, halo_end_file(pipes[0], 0), HALO_IN, NULL),
                     HALO_EINVAL);
    assert_int_equal(stream_box_attach(box, 3, halo_end_fd(pipes[0])), HALO_EINVAL);
    for (uint32_t i = HALO_STDIN; i <= HALO_STDERR; i++)
        assert_int_equal(stream_box_attach(box, i, halo_end_functions(&nothing, NULL, -1)),
                         HALO_EINVAL);
    close(pipes[0]);
    close(pipes[1]);
    for (uint32_t i = 4; i < HALO_STREAMS_MAX; i++)
        assert_int_equal(stream_box_offer(box, NULL, halo_end_host(), HALO_IN, &handle), 0);
    assert_int_equal(stream_box_offer(box, NULL, halo_end_host(), HALO_IN, NULL), HALO_EFULL);
    assert_int_equal(stream_box_shut(box, handle), 0);
    assert_int_equal(stream_box_offer(box, NULL, halo_end_host(), HALO_IN, NULL), 0);
}

/* Bytes both ways between a guest's requests and memory, to its ends. */
static void memory_ends_where_it_ends(void **state)
{
    unsigned char to[24];
    const struct halo_stream_stats *stats;
    uint32_t handle;

    (void)state;
    memset(to, 0, sizeof(to));
    assert_int_equal(stream_box_offer(box, NULL, halo_end_memory("0123456789", 10, to, sizeof(to)),
                                      HALO_IN | HALO_OUT, &handle),
                     0);
    assert_null(stream_box_send(box, &wires[0], HALO_KIND_STREAM_READ, handle, 0, 0, 16));
    assert_null(stream_box_send(box, &wires[1], HALO_KIND_STREAM_READ, handle, 0, 0, 16));
    assert_null(stream_box_send(box, &wires[2], HALO_KIND_STREAM_READ, handle, 0, 0, 16));
    memcpy(wires[3].data, "sixteen bytes...", 16);
    assert_null(ask(&wires[3], HALO_KIND_STREAM_WRITE, handle, 0));
    memcpy(wires[4].data, "and there is no room", 16);
    assert_null(ask(&wires[4], HALO_KIND_STREAM_WRITE, handle, 0));
    stream_box_serve(box);
    assert_memory_equal(wires[0].room + 8, "01234567", 8);
    assert_int_equal(stream_box_answer(&wires[1]).length, 2);
    assert_memory_equal(wires[1].room + 8, "89\xee", 3);
    assert_int_equal(stream_box_answer(&wires[2]).length, 0);
    assert_int_equal(stream_box_answer(&wires[2]).flags, HALO_MESSAGE_END);
    assert_int_equal(stream_box_answer(&wires[3]).kind, HALO_KIND_ANSWER);
    assert_int_equal(stream_box_errno(&wires[4]), ENOSPC);
    assert_memory_equal(to, "sixteen bytes...and ther", 24);
    stats = &box->streams.at[handle & 0xffff].stats;
    assert_int_equal(stats->bytes_in, 10);
    assert_int_equal(stats->bytes_out, 24);
}

/* Bytes of the room that a read does not ask for: no end puts anything there. */
static void str_09_spare_bytes_are_left_alone(void **state)
{
    struct halo_stream *stream = &box->streams.at[host & 0xffff];
    struct halo_span span;
    uint32_t handle;

    (void)state;
    assert_int_equal(
        stream_box_offer(box, NULL, halo_end_memory("0123456789", 10, NULL, 0), HALO_IN, &handle),
        0);
    for (uint32_t spare = HALO_SPARE_MAX - 1; spare > 0; spare--) { /* 1, 2 and 3 bytes */
        memset(wire.room, 0xee, sizeof(wire.room));
        assert_null(stream_box_send(box, &wire, HALO_KIND_STREAM_READ, handle, spare, 0, 12));
        stream_box_serve(box);
        assert_int_equal(stream_box_answer(&wire).length, 4 - spare);
        assert_memory_equal(wire.room + 8 + 4 - spare, "\xee\xee\xee", spare);
        assert_null(stream_box_send(box, &wire, HALO_KIND_STREAM_READ, host, spare, 0, 12));
        assert_int_equal(stream->in.bytes, 4 - spare);
        assert_int_equal(halo__direct_reserve(&box->streams, stream, &span), 1);
        assert_true(span.len <= 4 - spare);
        assert_int_not_equal(halo__direct_commit(&box->streams, stream, 5 - spare), 0);
        assert_int_equal(halo__direct_commit(&box->streams, stream, 4 - spare), 0);
        assert_int_equal(stream_box_answer(&wire).length, 4 - spare);
        assert_int_equal(stream->in.bytes, 0);
    }
    assert_null(stream_box_send(box, &wire, HALO_KIND_STREAM_READ, handle, 0, 0, 12));
    stream_box_serve(box);
    assert_memory_equal(wire.room + 8, "6789", 4);
    assert_null(stream_box_send(box, &wire, HALO_KIND_STREAM_READ, host, 3, 0, 12));
    assert_null(ask(&wires[0], HALO_KIND_STREAM_CANCEL, host, HALO_IN));
    assert_int_equal(stream_box_errno(&wire), ECANCELED); /* for which there is room */
    assert_non_null(
        stream_box_send(box, &wire, HALO_KIND_STREAM_READ, handle, HALO_SPARE_MAX + 1, 0, 64));
}

/* A function that lies about what it did. */
static int64_t said;

static int64_t say_read(void *context, void *to, size_t len)
{
    (void)context;
    (void)to;
    (void)len;
    return said;
}

static int64_t say_write(void *context, const void *from, size_t len)
{
    (void)context;
    (void)from;
    (void)len;
    return said;
}

static void functions_are_believed_no_further_than_can_be_true(void **state)
{
    static const struct halo_end_functions functions = {say_read, say_write, NULL};
    static const struct {
        int64_t says;
        int read_error, write_error; /* 0: none; -1: waits */
    } cases[] = {{8, 0, 0},
                 {17, EIO, EIO},
                 {INT64_MAX, EIO, EIO},
                 {-EAGAIN, -1, -1},
                 {-EPERM, EPERM, EPERM},
                 {-5000, EIO, EIO},
                 {INT64_MIN, EIO, EIO},
                 {0, 0, EIO}};
    uint32_t handle;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        said = cases[i].says;
        assert_int_equal(stream_box_offer(box, NULL, halo_end_functions(&functions, NULL, -1),
                                          HALO_IN | HALO_OUT, &handle),
                         0);
        assert_null(stream_box_send(box, &wires[0], HALO_KIND_STREAM_READ, handle, 0, 0, 16));
        assert_null(ask(&wires[1], HALO_KIND_STREAM_WRITE, handle, 0));
        stream_box_serve(box);
        assert_int_equal(stream_box_is_answered(&wires[0]), cases[i].read_error >= 0);
        assert_int_equal(stream_box_is_answered(&wires[1]), cases[i].write_error >= 0);
        if (cases[i].read_error >= 0) {
            assert_int_equal(stream_box_errno(&wires[0]), cases[i].read_error);
            assert_int_equal(stream_box_errno(&wires[1]), cases[i].write_error);
        } else {
            assert_true(halo__port_needs_host(&box->port));
        }
        assert_int_equal(stream_box_shut(box, handle), 0);
    }
}

/* An end that blocks keeps only its own requests, until it can go on. */
static void a_blocked_end_delays_only_its_own(void **state)
{
    uint32_t slow, fast;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(
        stream_box_offer(box, NULL, halo_end_given(pair[0]), HALO_IN | HALO_OUT, &slow), 0);
    assert_int_equal(stream_box_offer(box, NULL, halo_end_memory("x", 1, NULL, 0), HALO_IN, &fast),
                     0);
    assert_null(ask(&wires[0], HALO_KIND_STREAM_READ, slow, 0));
    assert_null(ask(&wires[1], HALO_KIND_STREAM_READ, fast, 0));
    assert_null(ask(&wires[2], HALO_KIND_STREAM_WRITE, slow, 0));
    stream_box_serve(box);
    assert_false(stream_box_is_answered(&wires[0]));
    assert_true(stream_box_is_answered(&wires[1]));
    assert_true(stream_box_is_answered(&wires[2]));
    assert_int_equal(box->poller.armed_count, 1);
    assert_int_equal(write(pair[1], "abc", 3), 3);
    stream_box_serve(box);
    assert_int_equal(stream_box_answer(&wires[0]).length, 3);
    assert_int_equal(box->poller.armed_count, 0);
    /* Half of it is closed, and reads go on. */
    assert_null(ask(&wires[2], HALO_KIND_STREAM_CLOSE, slow, HALO_OUT));
    assert_null(ask(&wires[0], HALO_KIND_STREAM_READ, slow, 0));
    stream_box_serve(box);
    assert_int_equal(read(pair[1], wires[5].data, 64), 16);
    assert_int_equal(read(pair[1], wires[5].data, 64), 0);
    assert_int_equal(write(pair[1], "de", 2), 2);
    stream_box_serve(box);
    assert_int_equal(stream_box_answer(&wires[0]).length, 2);
    close(pair[1]);
}

/* The file behind a descriptor may live on elsewhere: what was watched for it is forgotten. */
static void a_closed_stream_is_watched_no_more(void **state)
{
    int pipes[2];

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    for (int i = 0; i < 3; i++) {
        uint32_t handle;

        assert_int_equal(stream_box_offer(box, NULL, halo_end_fd(pipes[0]), HALO_IN, &handle), 0);
        assert_null(ask(&wires[i], HALO_KIND_STREAM_READ, handle, 0));
        stream_box_serve(box);
        assert_false(stream_box_is_answered(&wires[i]));
        assert_int_equal(box->poller.armed_count, 1);
        assert_null(ask(&wire, HALO_KIND_STREAM_CANCEL, handle, HALO_IN));
        stream_box_serve(box);
        assert_int_equal(box->poller.armed_count, 0); /* nobody waits for it */
        assert_null(ask(&wires[i], HALO_KIND_STREAM_READ, handle, 0));
        stream_box_serve(box);
        assert_int_equal(box->poller.armed_count, 1);
        assert_int_equal(stream_box_shut(box, handle), 0);
        assert_int_equal(box->poller.armed_count, 0);
    }
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(dev_18_a_header_may_be_cut_anywhere),
        TEST(dev_18_dev_19_short_chains_are_refused),
        TEST(toc_04_a_header_that_changes_later_changes_nothing),
        TEST(str_07_rpc_06_every_other_header_is_refused),
        TEST(str_01_more_than_the_window_is_refused),
        TEST(str_01_nor_in_bytes),
        TEST(str_03_a_host_that_does_not_read_queues_nothing_more),
        TEST(str_04_unknown_handles_are_an_error),
        TEST(rpc_09_a_stale_handle_is_an_error),
        TEST(str_05_there_is_one_end),
        TEST(str_08_closing_needs_no_window),
        TEST(ways_that_were_not_given_are_an_error),
        TEST(names_are_found_or_not),
        TEST(offers_that_are_none_are_refused),
        TEST(memory_ends_where_it_ends),
        TEST(str_09_spare_bytes_are_left_alone),
        TEST(functions_are_believed_no_further_than_can_be_true),
        TEST(a_blocked_end_delays_only_its_own),
        TEST(a_closed_stream_is_watched_no_more),
    };

    return cmocka_run_group_tests_name("stream messages", tests, NULL, NULL);
}
