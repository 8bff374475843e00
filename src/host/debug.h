/*
 * A debugger at a guest: gdb.h's packets, over a socket, on a machine. The loop calls it: before
 * each step, where the guest stands still, and with each exit that may be a trap.
 *
 *     STARTING   the guest has not run: the first instruction of its own is a trap
 *     RUNNING    it runs, or waits for its host; whatever comes from gdb holds it
 *     HELD       it stands, and gdb reads, writes, and lets it go on
 *     OVER       gdb has detached, is gone, has killed the guest, or was told of its end
 *
 * A breakpoint is a byte in guest memory, which the host writes: no page of the guest's becomes
 * writable for it. Single steps are the processor's. A watched place is looked at after each step,
 * for not every KVM has debug registers, and no process has them without ptrace.
 */
#ifndef HALO_SRC_DEBUG_H
#define HALO_SRC_DEBUG_H

#include "gdb.h"
#include "machine/machine.h"

#define HALO_DEBUG_POINTS 64u
#define HALO_DEBUG_WATCHES 4u
#define HALO_DEBUG_WATCH_LEN 64u

struct halo_debug {
    struct halo_machine *machine;
    struct halo_gdb gdb;
    int fd;
    enum { HALO_DEBUG_STARTING, HALO_DEBUG_RUNNING, HALO_DEBUG_HELD, HALO_DEBUG_OVER } state;
    enum halo_gdb_wish doing; /* GO, STEP or RANGE, while it runs */
    bool is_kept;             /* it is from a snapshot, and was not seen since */

    /* Bytes of the guest's code in place of which a trap stands. */
    struct halo_debug_point {
        uint64_t address;
        uint32_t kind;
        unsigned char byte;
    } points[HALO_DEBUG_POINTS];
    uint32_t point_count;
    struct halo_debug_point own; /* the debugger's: where the guest starts, or behind a `syscall` */
    bool has_own;
    struct halo_debug_watch {
        uint64_t address, len;
        unsigned char bytes[HALO_DEBUG_WATCH_LEN];
    } watches[HALO_DEBUG_WATCHES];
    uint32_t watch_count;

    unsigned char rest[4096]; /* what has come, and was not taken */
    size_t rest_len, rest_at;
    size_t out_at; /* what was sent of gdb.out */
};

/* gdb is at the other end of the socket, which becomes the debugger's. `start`: of a guest that has
 * not run, the address at which it is to be held first; or 0. `is_kept`: it is from a snapshot, and
 * waits for its host before it runs. NULL: no memory. */
struct halo_debug *halo__debug_new(struct halo_machine *machine, int fd, uint64_t start,
                                   bool is_kept);
/* What stands in guest memory goes, where the guest stands still. NULL is fine. */
void halo__debug_free(struct halo_debug *debug);

/*
 * Around what takes or replaces guest memory while nobody runs. Lifted, no trap of the debugger's
 * stands in it; lowered, all do again. Restored, to where a guest waits for its host: of the same
 * program, and gdb's breakpoints and places go on to count; of another one, and the guest that gdb
 * knows has ended. NULL is fine.
 */
void halo__debug_lift(struct halo_debug *debug);
void halo__debug_lower(struct halo_debug *debug);
void halo__debug_restored(struct halo_debug *debug, bool is_same);

/* gdb has something to say, or holds the guest. */
bool halo__debug_is_wanted(const struct halo_debug *debug);

/*
 * The guest stands still: while it is held, do what gdb asks for. Returns 0 where it goes on, or
 * where there is nothing; HALO_EINTERRUPTED: it is held, still; HALO_DEBUG_KILL.
 */
#define HALO_DEBUG_KILL 1
int halo__debug_serve(struct halo_debug *debug);

/* Whether an exit was a trap of the debugger's: then the next step is its own. */
bool halo__debug_takes(struct halo_debug *debug, const struct halo_exit *exit);

/* The guest has ended: gdb looks at it once more where that was by a signal, and is told. */
void halo__debug_end(struct halo_debug *debug, uint32_t signal, int exit_code);

/* The signal of a program of Linux's that ended so: of an error, and of a fault. */
uint32_t halo__debug_signal(int error, uint32_t vector);

/* AT_ values of a program, by which gdb finds where it lies: HALO_DEBUG_VALUES_LEN bytes. */
#define HALO_DEBUG_VALUES_LEN 96u
void halo__debug_values(const struct halo_layout *layout, unsigned char *bytes);

/* --- Between its files ------------------------------------------------------------------------ */

/* Bytes of guest memory that there are from there on, `len` at most; how many there were. */
size_t halo__debug_take(struct halo_machine *machine, uint64_t address, void *to, size_t len);
/* All of them, or none. The host's mapping is writable: the guest's pages stay what they are. */
bool halo__debug_put(struct halo_machine *machine, uint64_t address, const void *from, size_t len);

/* The same as gdb sees it, without its breakpoints; what struct halo_gdb_target asks for. */
size_t halo__debug_read(void *of, uint64_t address, void *to, size_t len);
bool halo__debug_write(void *of, uint64_t address, const void *from, size_t len);
int halo__debug_point(void *of, uint32_t kind, uint64_t address, uint64_t len, bool insert);

struct halo_debug_point *halo__debug_find(struct halo_debug *debug, uint64_t address);
void halo__debug_plant_own(struct halo_debug *debug, uint64_t address);
void halo__debug_pull_own(struct halo_debug *debug);
void halo__debug_pull_all(struct halo_debug *debug);
/* Of memory that was replaced, with all lifted: whether the code is the same where breakpoints are.
 * Those elsewhere, on the stack say, were for a function that gdb had called, and go. */
bool halo__debug_keep_points(struct halo_debug *debug);
/* What has changed since the last look of what is watched, or NULL. */
const struct halo_debug_watch *halo__debug_changed(struct halo_debug *debug);

#endif
