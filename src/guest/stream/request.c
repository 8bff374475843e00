/*
 * A guest's requests for streams. Each is a future, as a call is: a read's result are the bytes
 * that came, a write's those that went.
 */
#include "stream.h"
#include "../port.h"
#include "../trace.h"

#define IO_COUNT 64u /* more come from the heap */
#define BUF_MAX 128u
#define AHEAD_MAX 96u /* requests in the ring behind the first of their way */

/* The headers of a request and of its answer, in one piece of the pool. */
#define HEAD_LEN 64u
#define ANSWER_AT 32u
#define HEAD_COUNT (2 * HALO_STREAMS_MAX + AHEAD_MAX + 32) /* and some cancels */

enum { ENOENT_ = 2, ESTALE_ = 116, ECANCELED_ = 125 };

/*
 * What was started of one way of a stream and is not answered. The first of it may wait for ever,
 * and so may all behind it. Room in the ring is reserved for the first of each way of every stream;
 * those behind share a part of the rest, and beyond that they wait here, in order, until those
 * before them were answered. So there is always room for what does not wait for ever (STR-08).
 */
struct window {
    uint32_t count, bytes; /* reads or writes, which the window bounds */
    uint32_t sent;         /* in the ring: also ends and closes, which are behind the writes */
    struct halo_future *unsent;
};

static struct {
    struct halo__io ios[IO_COUNT];
    uint32_t io_count; /* so many have been used; what never was is memory that nobody touches */
    struct halo__io *free_io;
    struct halo_pool bufs;
    uint32_t buf_next[BUF_MAX];
    unsigned char *heads;
    uint16_t free_heads[HEAD_COUNT]; /* by number, a stack of so many: */
    uint32_t free_head_count;
    struct window windows[HALO_STREAMS_MAX][2]; /* by the place in a handle, and by way */
    uint64_t closing[HALO_STREAMS_MAX]; /* 1 + a handle whose close was not sent: it is stale all
                                           the same */
    uint32_t ahead;
    uint32_t reserve; /* descriptors for each way; 0 where the host's ring is too small for that */
} streams;

struct halo__memory halo__stream_start(struct halo__memory memory)
{
    const uint64_t len = HEAD_COUNT * HEAD_LEN, left = memory.len < len ? 0 : memory.len - len;
    const uint64_t count = left / HALO_STREAM_BUF;
    unsigned char *bufs = (unsigned char *)memory.base + len;

    halo__check(halo_pool_init(&streams.bufs, bufs, HALO_STREAM_BUF,
                               count < BUF_MAX ? (uint32_t)count : BUF_MAX, streams.buf_next),
                "the pool is too small");
    streams.heads = memory.base;
    while (streams.free_head_count < HEAD_COUNT) {
        streams.free_heads[streams.free_head_count] = (uint16_t)streams.free_head_count;
        streams.free_head_count++;
    }
    if (halo__port.driver.place.size >= HALO_QUEUE_SIZE_MAX)
        streams.reserve = HALO_MOVE_SLOTS;
    halo__port_reserved = streams.reserve * HALO_STREAMS_MAX * 2;
    return (struct halo__memory){NULL, 0};
}

/* --- Answers ---------------------------------------------------------------------------------- */

static struct window *window_of(uint32_t handle, bool is_write)
{
    return &streams.windows[handle % HALO_STREAMS_MAX][is_write];
}

static struct window *window_for(const struct halo_future *future)
{
    return window_of(future->ticket, future->kind != HALO_KIND_STREAM_READ);
}

static bool is_move(const struct halo_future *future)
{
    return future->kind == HALO_KIND_STREAM_READ || future->kind == HALO_KIND_STREAM_WRITE;
}

bool halo__window_has_room(uint32_t handle, bool is_write, uint32_t len)
{
    const struct window *window = window_of(handle, is_write);

    return window->count < HALO_WINDOW_REQUESTS && len <= HALO_WINDOW_BYTES - window->bytes;
}

int halo__stream_error(int32_t os_error)
{
    if (os_error == ENOENT_)
        return HALO_ENAME;
    return os_error == ESTALE_ ? HALO_ESTALE : HALO_EIO;
}

static void fail(struct halo_future *future, int32_t os_error)
{
    future->code = os_error;
    future->error = halo__stream_error(os_error);
    future->text = halo_strerror(future->error);
}

/* Memory for the headers of a request, or NULL. */
static inline unsigned char *alloc_head(void)
{
    if (streams.free_head_count == 0)
        return NULL;
    return streams.heads + streams.free_heads[--streams.free_head_count] * HEAD_LEN;
}

static inline void free_head(struct halo_future *future)
{
    const size_t offset = (size_t)((unsigned char *)future->memory - streams.heads);

    streams.free_heads[streams.free_head_count++] = (uint16_t)(offset / HEAD_LEN);
    future->memory = NULL;
}

/* It has left the ring. */
static void leave_ring(struct halo_future *future, struct window *window)
{
    free_head(future);
    if (future->kind == HALO_KIND_STREAM_CANCEL)
        return;
    if (--window->sent == 0)
        halo__port_reserved += streams.reserve;
    else
        streams.ahead--;
}

/*
 * Write down what an answer says; NULL where the request has failed before it went out. The bytes
 * that were read lie in the buffer that was lent for them; the header lies where it was lent room,
 * and is read from a private copy, as an error is.
 */
static bool answered(struct halo_op *op, struct halo_answer *answer)
{
    struct halo_future *future = (struct halo_future *)op;
    struct window *window = window_for(future);
    struct halo_message message = {.kind = HALO_KIND_ANSWER};
    struct {
        struct halo_message again;
        struct halo_stream_error error;
    } failed = {0};

    if (answer) {
        const unsigned char *head = future->memory;

        if (answer->len >= sizeof(message))
            halo_shm_copy_in(&message, halo_shm_share((void *)(uintptr_t)(head + ANSWER_AT)),
                             sizeof(message));
        if (answer->len < sizeof(message) ||
            message.length > answer->len - sizeof(message)) /* DRV-05, DRV-08 */
            halo_panic("the host sent a malformed answer");
        leave_ring(future, window);
    }
    if (is_move(future)) {
        window->count--;
        window->bytes -= future->length;
    }
    if (!answer) {
        fail(future, future->code);
    } else if (message.kind == HALO_KIND_ERROR) {
        (void)halo_answer_read(&halo__port, answer, &failed, sizeof(failed));
        fail(future, failed.error.error);
    } else if (future->kind == HALO_KIND_STREAM_READ) {
        const uint32_t most = future->length - future->room;

        future->result.len = message.length <= most ? message.length : most;
    }
    future->done = true;
    return false;
}

/* --- Requests --------------------------------------------------------------------------------- */

static void give_up(struct halo_send *send, struct halo_future *future)
{
    halo_send_drop(send);
    free_head(future);
}

/* A header, and the buffer; and room for the answer. HALO_ENOMEM where there is no memory for it.
 */
static int build(struct halo_send *send, struct halo_future *future)
{
    const bool reads = future->kind == HALO_KIND_STREAM_READ;
    const bool writes = future->kind == HALO_KIND_STREAM_WRITE;
    const uint32_t len = future->length;
    void *buf = (void *)(uintptr_t)future->result.bytes;
    const struct {
        struct halo_message message;
        struct halo_stream_request stream;
    } request = {
        .message = {.kind = (uint8_t)future->kind,
                    .length = (uint32_t)sizeof(request.stream) + (writes ? len : 0)},
        .stream = {.handle = future->ticket, .ways = future->room},
    };
    unsigned char *head = alloc_head();
    int error;

    _Static_assert(sizeof(request) <= ANSWER_AT, "two headers, one behind the other");
    future->memory = head;
    if (!head)
        return HALO_ENOMEM;
    memcpy(head, &request, sizeof(request));
    halo_send_begin(send, &halo__port);
    error = halo_send_lend_readable(send, head, sizeof(request));
    if (!error && writes)
        error = halo_send_lend_readable(send, buf, len);
    if (!error)
        error = halo_send_lend_writable(send, head + ANSWER_AT,
                                        sizeof(struct halo_message) +
                                            (reads ? 0 : sizeof(struct halo_stream_written)));
    if (!error && reads)
        error = halo_send_lend_writable(send, buf, len);
    if (error)
        give_up(send, future);
    return error;
}

/* There is room for it in the ring: what is reserved for the first, or what those behind share. */
static bool may_go(const struct window *window)
{
    return window->sent == 0 || streams.reserve == 0 ||
           (streams.ahead < AHEAD_MAX &&
            halo_sender_room(&halo__port) >= halo__port_reserved + HALO_MOVE_SLOTS);
}

/* Into the ring. False where it does not fit now, which is only until others were answered. */
static bool go(struct window *window, struct halo_future *future)
{
    struct halo_token token;
    struct halo_send send;
    int error = build(&send, future);

    if (!error) {
        error = halo_send_submit(&send, (uintptr_t)&future->op, &token);
        if (error)
            give_up(&send, future);
        else
            halo__trace(HALO_EVENT_SUBMIT, halo_token_id(token), 0);
    }
    if (error == HALO_ENOMEM || error == HALO_EFULL)
        return false;
    halo__check(error, "the ring refuses a request");
    if (window->sent++ == 0)
        halo__port_reserved -= streams.reserve;
    else
        streams.ahead++;
    return true;
}

static void put_off(struct window *window, struct halo_future *future)
{
    struct halo_future **link = &window->unsent; /* not long: a window bounds it */

    while (*link)
        link = &(*link)->next;
    *link = future;
    future->next = NULL;
    halo__port_unsent++;
}

static struct halo_future *take_unsent(struct halo_future **link)
{
    struct halo_future *future = *link;

    *link = future->next;
    halo__port_unsent--;
    return future;
}

/* What was put off of one way, as far as it may go. */
static void send_unsent(struct window *window)
{
    while (window->unsent && may_go(window) && go(window, window->unsent)) {
        if (window->unsent->kind == HALO_KIND_STREAM_CLOSE && window->unsent->room & HALO_IN)
            streams.closing[window->unsent->ticket % HALO_STREAMS_MAX] = 0;
        (void)take_unsent(&window->unsent);
    }
}

void halo__stream_send_unsent(void)
{
    for (uint32_t i = 0; i < HALO_STREAMS_MAX && halo__port_unsent > 0; i++) {
        send_unsent(&streams.windows[i][false]);
        send_unsent(&streams.windows[i][true]);
    }
}

/* It ends without having gone out. */
static void fail_unsent(struct halo_future *future, int32_t os_error)
{
    future->code = os_error;
    (void)future->op.answered(&future->op, NULL);
}

/* Add a request to what was started; there is room in its window. Returns whether it was put off.
 */
static bool start(struct halo_future *future, struct halo_op op, enum halo_kind kind,
                  uint32_t handle, uint32_t ways, const void *buf, uint32_t len)
{
    struct window *window;

    /* All but the bytes of an answer, which are many, and written before they are read. */
    future->op = op;
    future->import = NULL;
    future->done = false;
    future->error = 0;
    future->code = 0;
    future->text = "";
    future->result = (struct halo_value){.type = HALO_BYTES, .len = len, .bytes = buf};
    future->memory = NULL;
    future->room = ways;
    future->ticket = handle;
    future->length = len;
    future->kind = kind;
    future->again = NULL;
    future->next = NULL;
    window = window_for(future);
    if (is_move(future)) {
        window->count++;
        window->bytes += len;
    }
    if (streams.closing[handle % HALO_STREAMS_MAX] == 1ull + handle) {
        fail_unsent(future, ESTALE_);
        return false;
    }
    if (!window->unsent && may_go(window) && go(window, future))
        return false;
    put_off(window, future);
    return true;
}

static void wait_for_window(uint32_t handle, bool is_write, uint32_t len)
{
    while (!halo__window_has_room(handle, is_write, len))
        halo__port_wait();
}

static int start_checked(struct halo_future *future, enum halo_kind kind, uint32_t handle,
                         uint32_t spare, const void *buf, size_t len)
{
    int error = len == 0 || len > HALO_WINDOW_BYTES ? HALO_EINVAL : 0;

    /* Room for any answer: HALO_ANSWER_MIN of the host's. */
    if (kind == HALO_KIND_STREAM_READ && len < sizeof(struct halo_stream_error))
        error = HALO_EINVAL;
    if (halo__on_stacks())
        error = HALO_ETRANSPORT;
    if (error) {
        *future = (struct halo_future){
            .done = true, .error = error, .text = halo_strerror(error), .result = halo_void()};
        return error;
    }
    wait_for_window(handle, kind == HALO_KIND_STREAM_WRITE, (uint32_t)len);
    (void)start(future, (struct halo_op){answered}, kind, handle, spare, buf, (uint32_t)len);
    return 0;
}

int halo_stream_read_start(struct halo_future *future, uint32_t handle, void *to, size_t len)
{
    return start_checked(future, HALO_KIND_STREAM_READ, handle, 0, to, len);
}

bool halo__stream_can_ask(void)
{
    return halo_boot_page()->spare_max >= sizeof(struct halo_stream_error);
}

int halo__stream_read_few(struct halo_future *future, uint32_t handle, void *to, uint32_t len)
{
    const uint32_t room = sizeof(struct halo_stream_error), spare = room - len;

    return start_checked(future, HALO_KIND_STREAM_READ, handle,
                         halo_boot_page()->spare_max >= spare ? spare : 0, to, room);
}

int halo_stream_write_start(struct halo_future *future, uint32_t handle, const void *from,
                            size_t len)
{
    return start_checked(future, HALO_KIND_STREAM_WRITE, handle, 0, from, len);
}

/* --- Ends and cancels ------------------------------------------------------------------------- */

/* Requests whose answer nobody waits for are the library's own. */
static void ignore(struct halo__io *io)
{
    (void)io;
}

static struct halo__io *ignored_io(void)
{
    struct halo__io *io;

    while (!(io = halo__io_alloc()))
        halo__port_wait(); /* others are freed when they are answered */
    io->buf = NULL;
    io->answered = ignore;
    io->abandoned = false;
    return io;
}

/* Cancel what was put off of one way of this stream, but ends and closes. */
static void cancel_unsent(uint32_t handle, bool is_write)
{
    struct halo_future **link = &window_of(handle, is_write)->unsent;

    while (*link) {
        if (is_move(*link) && (*link)->ticket == handle)
            fail_unsent(take_unsent(link), ECANCELED_);
        else
            link = &(*link)->next;
    }
}

void halo__stream_cancel(uint32_t handle, uint32_t ways)
{
    struct halo__io *io = ignored_io();
    struct halo_send send;

    io->future = (struct halo_future){
        .op = {halo__io_answered}, .kind = HALO_KIND_STREAM_CANCEL, .ticket = handle, .room = ways};
    if (ways & HALO_IN)
        cancel_unsent(handle, false);
    if (ways & HALO_OUT)
        cancel_unsent(handle, true);
    while (build(&send, &io->future) == HALO_ENOMEM)
        halo__port_wait();
    halo__port_submit(&send, &io->future.op);
}

void halo__stream_close(uint32_t handle, uint32_t ways)
{
    struct halo__io *io = ignored_io();
    const bool whole = ways & HALO_IN;

    if (whole)
        cancel_unsent(handle, false);
    if (start(&io->future, (struct halo_op){halo__io_answered}, HALO_KIND_STREAM_CLOSE, handle,
              ways, NULL, 0) &&
        whole) { /* behind writes: reads end at once all the same */
        streams.closing[handle % HALO_STREAMS_MAX] = 1ull + handle;
        halo__stream_cancel(handle, HALO_IN);
    }
}

/* --- For readers and writers ------------------------------------------------------------------ */

struct halo__io *halo__io_alloc(void)
{
    struct halo__io *io = streams.free_io;

    if (io)
        streams.free_io = io->next;
    else if (streams.io_count < IO_COUNT)
        io = &streams.ios[streams.io_count++];
    else
        io = malloc(sizeof(*io));
    return io;
}

void halo__io_free(struct halo__io *io)
{
    if (io->buf)
        halo__buf_free(io->buf);
    io->next = streams.free_io;
    streams.free_io = io;
}

bool halo__io_answered(struct halo_op *op, struct halo_answer *answer)
{
    struct halo__io *io = (struct halo__io *)op;

    (void)answered(op, answer);
    if (io->answered)
        io->answered(io);
    if (io->answered || io->abandoned)
        halo__io_free(io);
    return false;
}

void halo__io_start(struct halo__io *io, enum halo_kind kind, uint32_t handle, uint32_t len)
{
    io->abandoned = false;
    wait_for_window(handle, kind == HALO_KIND_STREAM_WRITE, len);
    (void)start(&io->future, (struct halo_op){halo__io_answered}, kind, handle, 0, io->buf, len);
}

void *halo__buf_alloc(uint32_t len)
{
    void *buf = len == HALO_STREAM_BUF ? halo_pool_alloc(&streams.bufs) : NULL;

    return buf ? buf : malloc(len);
}

void halo__buf_free(void *buf)
{
    if (halo_pool_free(&streams.bufs, buf))
        free(buf); /* it is not the pool's */
}

uint32_t halo__buf_count(void)
{
    return streams.bufs.free_count;
}
