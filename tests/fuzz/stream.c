/*
 * Any requests for streams, in any order, between any uses of them by the host: refused, or
 * answered once and within their room; what was not answered is in a flow, and within its window.
 */
#include "../unit/stream_box.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define WIRES 80u

static struct flight {
    struct stream_wire wire;
    unsigned char answer[4096];
    bool used, answered;
} flights[WIRES];

static int64_t some_read(void *context, void *to, size_t len)
{
    uint32_t *calls = context;

    if (++*calls % 3 == 0)
        return *calls % 2 ? -EAGAIN : 0;
    memset(to, 'f', len / 2 + 1);
    return (int64_t)(len / 2 + 1);
}

static int64_t some_write(void *context, const void *from, size_t len)
{
    uint32_t *calls = context;

    (void)from;
    return ++*calls % 3 ? (int64_t)(len / 2 + 1) : -EAGAIN;
}

static uint32_t count_flow(const struct stream_box *box, const struct halo_flow *flow, bool writes)
{
    const struct halo_request *requests = box->port.requests[HALO_QUEUE_G2H];

    uint32_t count = 0, moves = 0;
    uint64_t bytes = 0;

    for (uint32_t name = flow->requests.first; name; name = requests[name - 1].next) {
        const struct halo_request *r = &requests[name - 1];

        count++;
        if (r->message.kind == HALO_KIND_STREAM_CLOSE)
            continue;
        moves++;
        bytes += writes ? r->parked.readable_len - HALO_STREAM_HEAD
                        : r->parked.writable_len - 8 - r->stream.ways; /* what is spare */
    }
    if (count != flow->count || bytes != flow->bytes || moves > HALO_WINDOW_REQUESTS ||
        bytes > HALO_WINDOW_BYTES)
        abort();
    return count;
}

/* What is in flight is in a flow; an answer is whole, within its room, and never changes. */
static void check(const struct stream_box *box)
{
    uint32_t flying = 0, queued = 0;

    for (uint32_t i = 0; i < box->streams.used; i++)
        queued += count_flow(box, &box->streams.at[i].in, false) +
                  count_flow(box, &box->streams.at[i].out, true);
    for (uint32_t i = 0; i < WIRES; i++) {
        struct flight *f = &flights[i];
        const struct halo_message answer = stream_box_answer(&f->wire);

        if (!f->used)
            continue;
        if (!stream_box_is_answered(&f->wire)) {
            flying++;
        } else if (!f->answered) {
            if ((answer.kind != HALO_KIND_ANSWER && answer.kind != HALO_KIND_ERROR) ||
                answer.request != f->wire.request->message.request ||
                answer.length > f->wire.request->parked.writable_len - 8)
                abort();
            for (size_t k = f->wire.request->parked.writable_len; k < sizeof(f->wire.room); k++) {
                if (f->wire.room[k] != 0xee)
                    abort();
            }
            f->answered = true;
            memcpy(f->answer, f->wire.room, sizeof(f->answer));
        } else if (memcmp(f->answer, f->wire.room, sizeof(f->answer)) != 0) {
            abort();
        }
    }
    if (flying != queued)
        abort();
}

struct input {
    const uint8_t *at;
    size_t left;
};

static uint32_t take(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

/* A handle that there is, or was, or none. */
static uint32_t handle_of(struct stream_box *box, uint32_t byte)
{
    const uint32_t place = byte & 15;

    if (byte >= 0xf0)
        return byte << 12 | byte;
    return place | (uint32_t)(box->streams.at[place].generation - (byte >> 4 == 1)) << 16;
}

/* Returns whether it was understood; what is not would have ended the guest. */
static bool request(struct stream_box *box, struct input *in)
{
    static const uint8_t kinds[] = {HALO_KIND_STREAM_READ,  HALO_KIND_STREAM_READ,
                                    HALO_KIND_STREAM_WRITE, HALO_KIND_STREAM_WRITE,
                                    HALO_KIND_STREAM_CLOSE, HALO_KIND_STREAM_CANCEL,
                                    HALO_KIND_STREAM_OPEN};
    const uint32_t kind = take(in), ways = take(in), handle = take(in), size = take(in);
    struct flight *f = flights;
    struct stream_wire *wire;
    size_t whole = HALO_STREAM_HEAD;
    uint32_t room = 12 + size * 8;

    while (f < flights + WIRES && f->used && !f->answered)
        f++;
    if (f == flights + WIRES)
        return true;
    wire = &f->wire;
    wire->message = (struct halo_message){.kind = kind < 224 ? kinds[kind % 7] : (uint8_t)kind,
                                          .request = (uint16_t)(handle << 8 | size)};
    wire->stream = (struct halo_stream_request){handle_of(box, handle), ways < 200 ? 0 : ways & 3};
    if (wire->message.kind == HALO_KIND_STREAM_WRITE) {
        whole += size * 8;
        room = 12;
    } else if (wire->message.kind == HALO_KIND_STREAM_OPEN) {
        memcpy(&wire->stream, "own\0more", 8);
        whole = 8 + size % 9;
    } else if (wire->message.kind != HALO_KIND_STREAM_READ) {
        wire->stream.ways = ways < 200 ? 2 + (ways & 1) : ways & 7;
        room = 12;
    }
    if (ways >= 250) { /* cut, or too long */
        whole = size % 32 + 1;
        room = ways - 250 + size % 16;
    }
    wire->message.length = (uint32_t)(whole - 8);
    if (ways == 249)
        wire->message.length ^= 1u << size % 32;
    f->used = true;
    f->answered = false;
    if (!stream_box_take(box, wire, whole, 1 + ways % 40 < whole / 29 + 1 ? whole : 1 + ways % 40,
                         room))
        return true;
    if (stream_box_is_answered(wire))
        abort();
    f->used = false;
    return false;
}

/* What the host's program may do with a stream of its own, at any time. */
static void use(struct stream_box *box, struct input *in)
{
    const uint32_t what = take(in), handle = handle_of(box, take(in));
    const enum halo_way way = what % 9 < 2 ? HALO_OUT : HALO_IN;
    struct halo_streams *streams = &box->streams;
    struct halo_stream *stream;
    struct halo_span span;

    if (what % 9 == 7) {
        if (what > 100)
            (void)stream_box_shut(box, handle);
        return;
    }
    if (what % 9 == 8) {
        (void)stream_box_offer(box, NULL, halo_end_host(), 1 + what % 3, NULL);
        return;
    }
    if (halo__direct_find(streams, handle, way, &stream))
        return;
    switch (what % 9) {
    case 0:
        (void)halo__direct_peek(streams, stream, &span);
        break;
    case 1: /* look at some of it */
        if (halo__direct_peek(streams, stream, &span) == 1)
            halo__direct_consume(streams, stream, span.len < what + 1 ? span.len : what + 1);
        break;
    case 2:
    case 3:
        if (halo__direct_reserve(streams, stream, &span) != 1)
            break;
        memset(halo_shm_expose(span.base), 'r', span.len);
        if (halo__direct_commit(streams, stream,
                                what % 9 == 2 && what < span.len ? what : span.len))
            abort();
        break;
    case 4:
        (void)halo__direct_commit(streams, stream, what / 9);
        break;
    case 5:
        halo__direct_flush(streams, stream);
        break;
    default:
        halo__direct_end(streams, stream);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct halo_end_functions functions = {some_read, some_write, NULL};
    static unsigned char to[1000];
    struct stream_box *box = stream_box_open();
    struct input in = {data, len};
    uint32_t calls = 0;
    int pair[2];

    memset(flights, 0, sizeof(flights));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) ||
        stream_box_attach(box, HALO_STDIN, halo_end_memory(to, 1000, NULL, 0)) ||
        stream_box_attach(box, HALO_STDOUT, halo_end_fd(pair[0])) ||
        stream_box_offer(box, "own", halo_end_host(), HALO_IN | HALO_OUT, NULL) ||
        stream_box_offer(box, NULL, halo_end_memory("x", 1, to, sizeof(to)), 3, NULL) ||
        stream_box_offer(box, NULL, halo_end_functions(&functions, &calls, -1), 3, NULL) ||
        stream_box_offer(box, NULL, halo_end_fd(pair[1]), 3, NULL))
        abort();
    while (in.left > 0) {
        const uint32_t op = take(&in);

        if (op < 128) {
            if (!request(box, &in))
                break; /* the guest has ended */
        } else if (op < 192) {
            use(box, &in);
        } else {
            if (op & 1)
                halo__streams_retry(&box->streams);
            halo__direct_flush_all(&box->streams);
            stream_box_serve(box);
        }
        check(box);
    }
    close(pair[0]);
    close(pair[1]);
    stream_box_close(box);
    return 0;
}
