/*
 * A picture of a sandbox: what its host knows of it at one moment, and the words of its rings, as a
 * plain structure. It is what a dump has, and what `halo inspect` shows.
 *
 *     picture_calls.c    calls, requests and streams, as they are or were at the guest's end
 *     picture.c          all the rest, of a sandbox
 *     picture_kept.c     the same of a snapshot
 *     picture_fields.c   to bytes and back
 *     dump.c             as a file, or as the answer on a socket
 *
 * What was read from bytes is as foreign as they are: its counts are within their bounds, its texts
 * end and are fit for a terminal, and nothing else is known of it.
 */
#ifndef HALO_SRC_PICTURE_H
#define HALO_SRC_PICTURE_H

#include <halo/inside.h>
#include "fields.h"
#include "loop.h"

#define HALO_PICTURE_VERSION 1u
#define HALO_PICTURE_FRAMES 64u
#define HALO_PICTURE_CALLS 512u     /* shown of those that are under way */
#define HALO_PICTURE_ARGUMENTS 160u /* bytes of their arguments as text */
#define HALO_PICTURE_TEXT 1023u
#define HALO_PICTURE_FIELDS_MAX (8u << 20) /* bytes of all of it */
#define HALO_AGE_UNKNOWN UINT64_MAX

/* Where a call is. */
enum halo_call_place {
    HALO_CALL_IS_SERVED = 1, /* a function of the host's, in the middle of it */
    HALO_CALL_IS_PUT_OFF,    /* the same, until a wait of the host's is over */
    HALO_CALL_IS_WAITING,    /* a function of the guest's; it has not gone out */
    HALO_CALL_IS_SENT,       /* it has, and is not answered */
};

struct halo_pictured_call {
    uint32_t place; /* enum halo_call_place */
    uint32_t depth;
    uint16_t request;
    uint64_t age_ns; /* since it was taken or sent, or HALO_AGE_UNKNOWN */
    char name[HALO_FUNCTION_NAME_MAX + 1];
    char arguments[HALO_PICTURE_ARGUMENTS + 1]; /* shortened */
};

/* Who has a request of the guest's that is in flight. */
enum halo_request_place {
    HALO_REQUEST_IS_POSTED = 1, /* a buffer for a message of the host's */
    HALO_REQUEST_IS_CALL,
    HALO_REQUEST_IS_STREAM,
};

struct halo_pictured_request {
    uint32_t queue, place; /* enum halo_queue_index, enum halo_request_place */
    uint16_t id, slots;
    uint32_t readable_len, writable_len;
    bool is_inline;
    struct halo_message message; /* as it was taken */
    uint32_t handle;             /* of a stream's */
    uint64_t done, age_ns;
};

struct halo_pictured_flow {
    uint32_t count;
    uint64_t bytes;
    bool blocked, over;
    uint64_t age_ns; /* of the first request */
};

/* What a descriptor is, that a stream ends in. */
enum halo_pictured_file {
    HALO_FILE_OTHER,
    HALO_FILE_PIPE,
    HALO_FILE_SOCKET,
    HALO_FILE_TERMINAL,
    HALO_FILE_REGULAR,
    HALO_FILE_DEVICE,
};

struct halo_pictured_stream {
    uint32_t handle, kind; /* enum halo_end_kind */
    uint32_t fd;           /* of a descriptor, or UINT32_MAX */
    uint32_t file;         /* enum halo_pictured_file */
    uint8_t ways;
    bool is_listener, is_closing, is_awaited, is_short, is_full, has_helper;
    char name[HALO_STREAM_NAME_MAX + 1];
    struct halo_pictured_flow in, out;
    uint64_t bytes_in, bytes_out;
};

/* A queue as its host stands in it: positions as in struct halo_positions. */
struct halo_pictured_queue {
    uint32_t size;
    uint64_t desc;
    uint16_t avail, used, published;
    uint32_t staged;
    uint32_t driver_event, device_event;
    uint32_t broken; /* enum halo_broken */
    uint16_t broken_slot, broken_id;
    uint64_t broken_addr, broken_meta;
    uint64_t (*words)[2]; /* of each descriptor, addr and meta, as they are in shared memory */
};

/* Memory of one kind. */
enum halo_pictured_use {
    HALO_USE_PROGRAM = 1,
    HALO_USE_HEAP,
    HALO_USE_STACK,
    HALO_USE_POOL,
    HALO_USE_RINGS,
    HALO_USE_TOLD, /* boot page, arguments, saved registers */
    HALO_USE_DOORBELL,
};

struct halo_pictured_range {
    uint64_t base, len;
    uint32_t prot, rights; /* enum halo_prot; enum halo_right */
    uint32_t use;
};

#define HALO_PICTURE_RANGES (2u * HALO_RANGE_MAX)

struct halo_picture {
    /* Of what it is. */
    char backend[16];
    bool is_snapshot, is_threaded, on_stacks;
    uint64_t ram_len;

    /* How it is. */
    uint32_t state, guest; /* enum halo_state, enum halo_guest_state */
    bool is_inside, has_more;
    uint32_t serving, waits; /* as in struct halo_port */
    uint64_t wake_ns;        /* until a guest that waits goes on even so, or 0 */
    uint32_t error;          /* with which it has ended: minus that, or 0 */
    uint32_t exit_code;
    char missing[HALO_FUNCTION_NAME_MAX + 1]; /* what a restored guest imports, and nobody has */
    char words[HALO_PICTURE_TEXT + 1], shortage[HALO_PICTURE_TEXT + 1];
    bool has_fault, is_overflow;
    struct halo_fault fault;
    struct halo_poison poison; /* but for its processor */
    struct halo_processor processor;
    uint32_t frame_count;
    struct halo_frame frames[HALO_PICTURE_FRAMES];
    uint64_t run_ns, left_ns; /* how long it has been run for, all together; since it last left */
    struct halo_stats stats;

    uint32_t range_count;
    struct halo_pictured_range ranges[HALO_PICTURE_RANGES];
    struct halo_pictured_queue queues[HALO_QUEUE_COUNT];
    uint64_t stack_lens[HALO_STACK_COUNT]; /* of the other transport: bytes that lie there */
    uint32_t event_count;                  /* the oldest first */
    struct halo_pictured_event {
        uint64_t age_ns, requests;
        uint32_t kind; /* enum halo_exit_kind */
        uint64_t op, a;
    } events[HALO_LAST_EXITS];

    /* What is under way; what does not fit is counted. */
    uint32_t export_count, import_count, missing_calls;
    uint32_t request_count, call_count, stream_count;
    struct halo_pictured_request *requests;
    struct halo_pictured_call *calls;
    struct halo_pictured_stream *streams;

    /* Pages of guest memory, in the order of their addresses, where it has them. */
    bool has_memory;
    uint64_t *present; /* a bit for each page, or NULL */
};

void halo__picture_free(struct halo_picture *picture);

/* Write it or read it: 0, HALO_EGUEST for bytes that are none, or HALO_ENOMEM. Freed in any case.
 */
int halo__picture_fields(struct halo_fields *fields, struct halo_picture *picture);

#endif
