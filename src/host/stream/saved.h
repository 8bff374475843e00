/* What snapshots keep of streams: which there are, and what waits for them. */
#ifndef HALO_SRC_HOST_STREAM_SAVED_H
#define HALO_SRC_HOST_STREAM_SAVED_H

#include "stream.h"

struct halo_saved_stream {
    bool is_open;
    uint8_t ways;
    uint16_t generation;
    struct halo_saved_flow {
        struct halo_fifo requests;
        uint32_t count;
        uint64_t bytes;
        bool over;
    } in, out;
    char name[HALO_STREAM_NAME_MAX + 1];
};

struct halo_saved_streams {
    struct halo_saved_stream *at; /* of `used` places */
    uint32_t used, next, requests;
};

/* 0, or HALO_ENOMEM. */
int halo__streams_save(const struct halo_streams *streams, struct halo_saved_streams *saved);
void halo__streams_unsave(struct halo_saved_streams *saved);

/* Let go of all ends: 0, or HALO_EHOST with words where a thread may still write to guest memory.
 */
int halo__streams_let_go(struct halo_streams *streams);

/* After that: the streams as they were, each with the host's program as its end, until it is given
 * another. */
void halo__streams_bring_back(struct halo_streams *streams, const struct halo_saved_streams *saved);

#endif
