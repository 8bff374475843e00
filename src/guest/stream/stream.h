/*
 * Streams in the guest: a service of the port's.
 *
 *     request.c    requests as futures, the window, buffers: what all else here is made of
 *     reader.c     reads ahead, buffers and lines
 *     writer.c     gathers small writes
 *     handle.c     opens and closes
 *
 * A reader's read:
 *
 *     program  halo_reader_open   reader.c    posts reads, each with a buffer of its own
 *     reader   halo__io_start     request.c   puts one into the port, when the window has room
 *     program  halo_reader_next   reader.c    waits in the port until the oldest was answered
 *     port     op->answered       request.c   judges the header; the bytes are in the buffer
 *     program  looks at the bytes; the next halo_reader_next posts the buffer again
 *
 * A write goes the same way once its buffer is full, or when the port calls before_wait. Requests
 * go out together, and answers are taken when they are needed: the host is entered only when there
 * is nothing left to do without it. docs/protocol.md, section 5.
 *
 * All of it belongs to the ring; with the stack transport there are no streams.
 */
#ifndef HALO_SRC_GUEST_STREAM_H
#define HALO_SRC_GUEST_STREAM_H

#include <halo/guest.h>
#include "../service.h"

extern const struct halo__service halo__stream_service;

/* Make stream buffers of this part of the pool; leaves nothing of it. */
struct halo__memory halo__stream_start(struct halo__memory memory);

/* Send out what was written and fills no buffer, and what was put off: before every wait. */
void halo__stream_push(void);

/* Submit what was put off, as far as there is room by now. */
void halo__stream_send_unsent(void);

/* Cancel requests of these ways; end them, HALO_OUT, or all of the stream. */
void halo__stream_cancel(uint32_t handle, uint32_t ways);
void halo__stream_close(uint32_t handle, uint32_t ways);

/*
 * Read 1 to 4 bytes; `to` has room for 4, which are read whatever was asked for where the host
 * cannot leave some alone. 0 bytes, where the host can be asked for them: it is done when a read
 * would not wait, and fails with EOPNOTSUPP where the stream's end cannot say.
 */
bool halo__stream_can_ask(void);
int halo__stream_read_few(struct halo_future *future, uint32_t handle, void *to, uint32_t len);

/* The error for an errno of the end's, as far as this library has words for it. */
int halo__stream_error(int32_t os_error);

/* A request of a reader's or a writer's, with its buffer, until its answer was consumed. */
struct halo__io {
    struct halo_future future;
    struct halo__io *next; /* of the free ones */
    void *buf;
    /* Called with the answer, and then it is free; NULL: it waits until a reader looks at it. */
    void (*answered)(struct halo__io *io);
    struct halo_writer *writer; /* whose write it is */
    bool abandoned;             /* nobody waits for it: free it when it comes back */
};

/* One that is free, or NULL where there is no memory; and back. Its buffer goes with it. */
struct halo__io *halo__io_alloc(void);
void halo__io_free(struct halo__io *io);

/* The function in its op. */
bool halo__io_answered(struct halo_op *op, struct halo_answer *answer);

/* Start it, on its buffer; both are the request's until it is answered. */
void halo__io_start(struct halo__io *io, enum halo_kind kind, uint32_t handle, uint32_t len);

/* Memory of a stream buffer's length, out of the pool where there is some; NULL: none at all. */
void *halo__buf_alloc(uint32_t len);
void halo__buf_free(void *buf);
/* Buffers of the pool that are free. */
uint32_t halo__buf_count(void);

/* So many bytes more may be in flight this way. */
bool halo__window_has_room(uint32_t handle, bool is_write, uint32_t len);

/* Whether a standard stream could not be written to, and which. */
bool halo__write_failed(uint32_t *handle);
/* End the program, for that reason: the host has the words. */
_Noreturn void halo__end_unwritten(uint32_t handle);

/* Send out what was written to this stream, and fills no buffer. */
void halo__writer_push(uint32_t handle);

#endif
