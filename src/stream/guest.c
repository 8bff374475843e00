/*
 * Streams in the guest: requests are posted ahead, answers are taken when they are needed, and the
 * host is entered only when there is nothing left to do. protocol.md, section 5.
 */
#include "../guest/runtime.h"
#include <halo/driver.h>
#include <halo/pool.h>

#define RING_MAX 256u
#define FRAME_COUNT 128u /* requests in flight at most */
#define BUF_MAX 128u
/* Buffers that readers leave alone: what they read ahead must not keep a write from ever going out.
 */
#define WRITE_RESERVE 1u

/* Request and answer headers, in shared memory: one 64-byte buffer of the small pool. */
struct request {
    struct halo_message message;
    struct halo_stream_request stream;
};

struct frame {
    struct request request;
    unsigned char padding[16];
    struct halo_message answer;
    union {
        struct halo_stream_written written;
        struct halo_stream_error error;
    } payload;
    unsigned char rest[20];
};

_Static_assert(sizeof(struct frame) == 64, "a frame is one small buffer");

/*
 * A request from its posting until its answer was consumed. The ring hands out a chain's id again
 * as soon as the chain came back, which may be earlier: requests are numbered by their frames.
 */
struct io {
    HALO_SHARED struct frame *frame;
    void *buf;
    uint32_t handle;
    bool is_write;
    bool abandoned; /* nobody waits for it: free it when it comes back */
    bool done;
    uint32_t len;  /* bytes read */
    int32_t error; /* errno of the host */
};

static struct {
    struct halo_driver driver;
    struct halo_driver_chain chains[RING_MAX];
    struct io *by_chain[RING_MAX]; /* the request of a chain in flight */
    struct io ios[FRAME_COUNT];
    struct halo_pool frames, bufs;
    uint32_t frame_next[FRAME_COUNT], buf_next[BUF_MAX];
    uint32_t writes; /* in flight */
    int32_t write_error[HALO_STDERR + 1];
} queue;

static void check(int error, const char *what)
{
    if (error < 0)
        halo_panic(what);
}

void halo__stream_start(const struct halo_boot *boot)
{
    const struct halo_boot_queue *ring = &boot->queue[HALO_QUEUE_G2H];
    const uint64_t frames_len =
        (FRAME_COUNT * sizeof(struct frame) + HALO_PAGE - 1) / HALO_PAGE * HALO_PAGE;
    const struct halo_ring_place place = {
        .desc = halo_shm_share((void *)(uintptr_t)ring->desc),
        .driver_event = halo_shm_share((void *)(uintptr_t)ring->driver_event),
        .device_event = halo_shm_share((void *)(uintptr_t)ring->device_event),
        .size = ring->size,
    };
    uint64_t buf_count;

    if (boot->queue_count < 1 || ring->size > RING_MAX || boot->pool_len < frames_len)
        halo_panic("the host offers a queue or a pool that this guest cannot use"); /* DRV-17 */
    buf_count = (boot->pool_len - frames_len) / HALO_STREAM_BUF;
    check(halo_driver_init(&queue.driver, &place, queue.chains), "the ring is misplaced");
    check(halo_pool_init(&queue.frames, (void *)(uintptr_t)boot->pool_base, sizeof(struct frame),
                         FRAME_COUNT, queue.frame_next),
          "the pool is misplaced");
    check(halo_pool_init(&queue.bufs, (void *)(uintptr_t)(boot->pool_base + frames_len),
                         HALO_STREAM_BUF, buf_count < BUF_MAX ? (uint32_t)buf_count : BUF_MAX,
                         queue.buf_next),
          "the pool is too small");
}

static void release(struct io *io)
{
    halo_pool_free(&queue.frames, halo_shm_expose(io->frame));
    if (io->buf)
        halo_pool_free(&queue.bufs, io->buf);
    *io = (struct io){.frame = NULL};
}

/* Write down what an answer says. The header is looked at in a private copy. */
static void finish(struct io *io, uint32_t len)
{
    struct halo_message answer;

    halo_shm_copy_in(&answer, &io->frame->answer, sizeof(answer)); /* DRV-08 */
    if (len < sizeof(answer) || answer.length > len - sizeof(answer))
        halo_panic("the host sent a malformed answer"); /* DRV-05 */
    io->done = true;
    if (answer.kind == HALO_KIND_ERROR) {
        /* The error lies in the first bytes after the header: the frame's, or the buffer's. */
        struct halo_stream_error error;

        halo_shm_copy_in(&error,
                         io->is_write ? (HALO_SHARED void *)&io->frame->payload
                                      : halo_shm_share(io->buf),
                         sizeof(error));
        io->error = error.error ? error.error : -1;
    } else {
        io->len = io->is_write ? 0 : answer.length;
    }
    if (io->is_write) {
        queue.writes--;
        if (io->error && !queue.write_error[io->handle])
            queue.write_error[io->handle] = io->error;
        release(io);
    } else if (io->abandoned) {
        release(io);
    }
}

/* Take all answers that are there. Returns whether there were any. */
static bool take_answers(void)
{
    struct halo_used used;
    bool any = false;
    int got;

    while ((got = halo_driver_poll(&queue.driver, &used)) > 0) {
        finish(queue.by_chain[used.id], used.len);
        any = true;
    }
    check(got, "the host broke the ring");
    return any;
}

/* Take answers; where there are none, leave the guest until there are. */
static void wait_for_answers(void)
{
    while (!take_answers()) {
        if (!halo_driver_arm(&queue.driver))
            halo__doorbell(HALO_DOORBELL_WAIT, 0, 0);
    }
}

static void publish(void)
{
    halo_driver_publish(&queue.driver);
    if (halo_driver_should_kick(&queue.driver))
        halo__doorbell(HALO_DOORBELL_KICK, HALO_QUEUE_G2H, 0);
}

static uint64_t address(const void *pointer)
{
    return (uintptr_t)pointer;
}

/* Stage a request in a frame and a buffer; both are the request's from here on. */
static struct io *post(enum halo_kind kind, uint32_t handle, struct frame *frame, void *buf,
                       uint32_t len)
{
    struct io *io = &queue.ios[frame - (struct frame *)(void *)queue.frames.base];
    const bool is_write = kind == HALO_KIND_STREAM_WRITE;
    const struct request request = {
        .message = {.kind = (uint8_t)kind, .length = sizeof(request.stream) + (is_write ? len : 0)},
        .stream = {.handle = handle},
    };
    const struct halo_buf header = {address(&frame->request), sizeof(request)};
    const struct halo_buf data = {address(buf), len};
    const struct halo_buf answer = {address(&frame->answer),
                                    is_write ? sizeof(frame->answer) + sizeof(frame->payload)
                                             : sizeof(frame->answer)};
    const struct halo_buf write_chain[] = {header, data, answer};
    const struct halo_buf read_chain[] = {header, answer, data};
    int id;

    halo_shm_copy_out(&((HALO_SHARED struct frame *)halo_shm_share(frame))->request, &request,
                      sizeof(request));
    id = is_write ? halo_driver_add(&queue.driver, write_chain, 2, 1)
                  : halo_driver_add(&queue.driver, read_chain, 1, 2);
    /* Frames are fewer than a third of the ring: it is never full. */
    check(id, "the ring refuses a request");
    queue.by_chain[id] = io;
    *io = (struct io){
        .frame = halo_shm_share(frame), .buf = buf, .handle = handle, .is_write = is_write};
    return io;
}

/* Add one more read to the end of a reader's circle. */
static void post_read(struct halo_reader *reader, struct frame *frame, void *buf)
{
    const struct io *io = post(HALO_KIND_STREAM_READ, reader->handle, frame, buf, HALO_STREAM_BUF);

    reader->ios[(reader->first + reader->count) % HALO_READER_DEPTH] = (uint16_t)(io - queue.ios);
    reader->count++;
}

int halo_reader_open(struct halo_reader *reader, uint32_t handle)
{
    *reader = (struct halo_reader){.handle = handle};
    while (reader->count < HALO_READER_DEPTH) {
        void *buf = queue.bufs.free_count > WRITE_RESERVE ? halo_pool_alloc(&queue.bufs) : NULL;
        struct frame *frame = buf ? halo_pool_alloc(&queue.frames) : NULL;

        if (!frame) {
            if (buf)
                halo_pool_free(&queue.bufs, buf);
            break;
        }
        post_read(reader, frame, buf);
    }
    publish();
    return reader->count > 0 ? 0 : HALO_ENOMEM;
}

/* The buffer that the program has finished with is posted again, or freed at the end. */
static void give_back(struct halo_reader *reader)
{
    struct frame *frame;

    if (!reader->lent)
        return;
    frame = reader->ended ? NULL : halo_pool_alloc(&queue.frames);
    if (frame) {
        post_read(reader, frame, reader->lent);
        publish();
    } else {
        halo_pool_free(&queue.bufs, reader->lent);
    }
    reader->lent = NULL;
}

int64_t halo_reader_next(struct halo_reader *reader, const void **bytes)
{
    struct io *io;
    int64_t len;

    give_back(reader);
    if (reader->os_error)
        return HALO_EIO;
    if (reader->ended || reader->count == 0)
        return 0;
    io = &queue.ios[reader->ios[reader->first]];
    if (!io->done) {
        take_answers();
        while (!io->done)
            wait_for_answers();
    }
    reader->first = (reader->first + 1) % HALO_READER_DEPTH;
    reader->count--;
    len = io->len;
    if (io->error || len == 0) {
        reader->os_error = io->error;
        reader->ended = true;
        release(io);
        return reader->os_error ? HALO_EIO : 0;
    }
    reader->lent = io->buf;
    *bytes = io->buf;
    io->buf = NULL;
    release(io);
    return len;
}

void halo_reader_close(struct halo_reader *reader)
{
    reader->ended = true;
    give_back(reader);
    for (; reader->count > 0; reader->count--) {
        struct io *io = &queue.ios[reader->ios[reader->first]];

        if (io->done)
            release(io);
        else
            io->abandoned = true;
        reader->first = (reader->first + 1) % HALO_READER_DEPTH;
    }
}

/* A buffer and a frame for a write, waiting for earlier writes where all are taken. */
static void alloc_for_write(void **buf, struct frame **frame)
{
    while (!(*buf = halo_pool_alloc(&queue.bufs)))
        wait_for_answers();
    while (!(*frame = halo_pool_alloc(&queue.frames)))
        wait_for_answers();
}

int halo_write(uint32_t handle, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    if (handle > HALO_STDERR)
        return HALO_EINVAL;
    while (len > 0 && !queue.write_error[handle]) {
        uint32_t part = len < HALO_STREAM_BUF ? (uint32_t)len : HALO_STREAM_BUF;
        struct frame *frame;
        void *buf;

        alloc_for_write(&buf, &frame);
        memcpy(buf, at, part);
        post(HALO_KIND_STREAM_WRITE, handle, frame, buf, part);
        publish();
        queue.writes++;
        at += part;
        len -= part;
    }
    return queue.write_error[handle] ? HALO_EIO : 0;
}

int halo_flush(void)
{
    while (queue.writes > 0)
        wait_for_answers();
    for (uint32_t i = 0; i <= HALO_STDERR; i++) {
        if (queue.write_error[i])
            return HALO_EIO;
    }
    return 0;
}

int halo_write_error(uint32_t handle)
{
    return handle <= HALO_STDERR ? queue.write_error[handle] : 0;
}
