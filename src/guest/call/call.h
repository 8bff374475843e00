/*
 * Calls in the guest, both ways.
 *
 *     hello.c     before main: the names of imports and exports, for indices
 *     import.c    calls of the host's functions
 *     export.c    the host's calls of this program's functions: a service of the port's
 *     rows.c      those of them that come with rows; rows_result.c: what becomes of these, and
 *                 rows_memory.c: where
 *     call.c      what both need: nesting depth, and fetching what did not fit
 *
 * A call of the host's function:
 *
 *     program  halo_call_start       import.c   puts envelope and room for the answer into the port
 *     program  halo_wait        future.c   waits in the port, where the guest leaves
 *     port     op->answered     import.c   judges the answer, and reads it into the future
 *     program  future->result, then halo_future_free, which frees what the future holds
 *
 * A call of the host's of a function here:
 *
 *     port     service->serve   export.c   takes the message, judges it, calls the function
 *     program  halo_return      export.c   writes the answer and posts the buffer again
 *     port     service->flush   export.c   makes it visible, with the next wait
 *
 * The guest trusts the host to run it, but not to keep the rules: what comes is copied into private
 * memory and then judged, and a message that breaks a rule ends the guest with halo_panic.
 */
#ifndef HALO_SRC_GUEST_CALL_H
#define HALO_SRC_GUEST_CALL_H

#include <halo/guest.h>
#include "../../message/payload.h"
#include "../service.h"

extern struct halo_import __start_halo_imports[] __attribute__((weak, visibility("hidden")));
extern struct halo_import __stop_halo_imports[] __attribute__((weak, visibility("hidden")));
extern const struct halo_export __start_halo_exports[] __attribute__((weak, visibility("hidden")));
extern const struct halo_export __stop_halo_exports[] __attribute__((weak, visibility("hidden")));

static inline uint32_t halo__import_count(void)
{
    return (uint32_t)(__stop_halo_imports - __start_halo_imports);
}

static inline uint32_t halo__export_count(void)
{
    return (uint32_t)(__stop_halo_exports - __start_halo_exports);
}

/* A message up to the end of its envelope, and short lists behind it. */
struct halo__wire {
    struct halo_message message;
    unsigned char payload[HALO_WIRE_MAX + HALO_ARGUMENTS_MAX * 8];
};

_Static_assert(offsetof(struct halo__wire, payload) == HALO_PAYLOAD, "as on the wire");

/* Before main: what the host answered for an import, its index or an error. */
void halo__import_resolve(struct halo_import *import, int32_t index);

/* Functions of this program that were called and have not returned: what calls say of depth. */
extern uint32_t halo__serving;

/* Words for a result of another type than the signature says, in memory of this length. */
#define HALO_RESULT_WORDS 128u
const char *halo__result_words(char *words, enum halo_type type, enum halo_type expected);

/*
 * What messages of one kind need, learned from their lengths: room for the longest, by powers of
 * two; half of it after HALO_SHORT_RUN that needed less than half; 0 while `least` is enough. *run
 * counts those.
 */
#define HALO_SHORT_RUN 4096u
void halo__learn(uint32_t *room, uint32_t *run, uint32_t len, uint32_t least);

/*
 * Submit a request for what the host holds, into memory of that length. HALO_ENOMEM, HALO_EFULL: no
 * room for it now. Then for its answer: 0 and the bytes are in the memory, or the host's error.
 */
int halo__fetch_submit(struct halo_op *op, uint32_t ticket, void *memory, uint32_t length);
int halo__fetch_result(struct halo_answer *answer, uint32_t length);

/* Both, waiting for it: 0, or the host's error. */
int halo__fetch(const struct halo_deferred *deferred, void *memory);

/* Tell the host what this program imports and exports, and wait for the imports' indices. */
void halo__hello(void);

/* Of a program that exports something. */
extern const struct halo__service halo__export_service;

#endif
