/*
 * Streams in the guest.
 *
 *     request.c    requests as futures: what all else here is made of
 *     reader.c     reads ahead, buffers and lines
 *     writer.c     gathers small writes
 *
 * Requests go out together, and answers are taken when they are needed: the host is entered only
 * when there is nothing left to do without it. docs/protocol.md, section 5.
 */
#ifndef HALO_SRC_STREAM_GUEST_H
#define HALO_SRC_STREAM_GUEST_H

#include "../port.h"
#include "../start.h"

/* A request of a reader's or a writer's, with its buffer, until its answer was consumed. */
struct halo__io {
    struct halo_future future;
    struct halo__io *next; /* of the free ones */
    void *buf;
    struct halo_writer *writer; /* whose write it is, or NULL */
    bool abandoned;             /* nobody waits for it: free it when it comes back */
};

/* One that is free, or NULL where there is no memory; and back. Its buffer goes with it. */
struct halo__io *halo__io_alloc(void);
void halo__io_free(struct halo__io *io);

/* Start it, on its buffer; both are the request's until it is answered. */
void halo__io_start(struct halo__io *io, enum halo_kind kind, uint32_t handle, uint32_t len);

/* Memory of a stream buffer's length, out of the pool where there is some; NULL: none at all. */
void *halo__buf_alloc(uint32_t len);
void halo__buf_free(void *buf);
/* Buffers of the pool that are free. */
uint32_t halo__buf_count(void);

/* So many bytes more may be in flight this way. */
bool halo__window_has_room(uint32_t handle, bool is_write, uint32_t len);

/* A write was answered. */
void halo__writer_answered(struct halo__io *io);

/* Send out what was written to this stream, and fills no buffer. */
void halo__writer_push(uint32_t handle);

#endif
