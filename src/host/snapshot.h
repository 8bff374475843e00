/*
 * A snapshot from the inside: what the parts have saved, and the memory. It is private memory of
 * the host's, without a pointer into a sandbox, and whatever restores from it believes it. So of a
 * file it is made in two steps: halo__snapshot_fields reads it as the foreign thing that it is, and
 * halo__snapshot_judge says whether it is a snapshot.
 */
#ifndef HALO_SRC_SNAPSHOT_H
#define HALO_SRC_SNAPSHOT_H

#include <halo/snapshot.h>
#include "call/saved.h"
#include "error.h"
#include "fields.h"
#include "loop.h"
#include "machine/image.h"
#include "port_saved.h"
#include "stream/saved.h"

struct halo_snapshot {
    struct halo_image image;
    struct halo_saved_port port;
    struct halo_saved_calls calls;
    struct halo_saved_streams streams;
    enum halo_state state;
    enum halo_transport transport;
    int64_t wake; /* ns until a guest that waits goes on even so, or 0 */
};

/* What a file said: nothing of it may be used before it was judged. */
struct halo_foreign {
    struct halo_snapshot snapshot;
    bool listed[HALO_QUEUE_COUNT][HALO_QUEUE_SIZE_MAX]; /* requests that are in some list */
};

/*
 * All but the pages, written or read. What was read has counts within their bounds and room for as
 * many; nothing else is known of it. 0, HALO_EGUEST where the bytes are no such fields, or
 * HALO_ENOMEM. What was read is freed as a snapshot is, in any case.
 */
int halo__snapshot_fields(struct halo_fields *fields, struct halo_foreign *foreign);

/* NULL where it can be restored like one that was taken here; or what is wrong with it. */
const char *halo__snapshot_judge(struct halo_foreign *foreign);

#endif
