/*
 * Snapshots: a guest that waits, kept as its memory and what its host knows of it, to go on from
 * there any number of times.
 *
 *     halo_open(&box, "plugin.halo", NULL);
 *     halo_provide(box, "host.lookup", &lookup_type, lookup, table);
 *     halo_serve_begin(box, HALO_FOREVER);          the guest starts, and waits to be called
 *     halo_snapshot(box, &snapshot);
 *     for (;;) {
 *         halo_call(box, &future, score, HALO_FOREVER, …);   whatever it does to its memory
 *         halo_restore(box, snapshot);                       is undone here
 *     }
 *
 * All of a snapshot that comes from the guest is its memory; what the host itself believes is in
 * the host's own. It can be restored into any sandbox with as much memory and the same transport,
 * of either backend, whatever program that ran before and however that ended, and opened as a new
 * one (halo_open_snapshot). Nothing of what was there before reaches the restored guest: not in
 * memory, not in registers, not as an answer.
 *
 * A restore compares all memory that may hold something with the snapshot, and writes what differs.
 * Of guests with more than 16 MiB it passes over the pages that nobody has written since the last
 * restore, where Linux (6.7) tells that: a sandbox then has two descriptors more on KVM, and four
 * in a process. No fork of the host may write to guest memory meanwhile. A host that is inside of a
 * seccomp filter when it opens the sandbox has all of it compared.
 */
#ifndef HALO_SNAPSHOT_H
#define HALO_SNAPSHOT_H

#include <halo/halo.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* It never changes: any number of threads may restore from it at the same time. */
struct halo_snapshot;

/* What a guest waits for: bits, any of which may come. */
enum halo_awaited {
    HALO_AWAITS_CALL = 1,   /* to be called */
    HALO_AWAITS_STREAM = 2, /* bytes of a stream, whoever has its other end */
    HALO_AWAITS_TIME = 4,   /* a time that is still to come */
};

/*
 * Run the guest on the calling thread until it waits, and can be kept there (halo_snapshot), for at
 * most `timeout_ns` nanoseconds: all that it has written is out by then. A program with threads
 * waits when all of them do. Where it waits already, what it waits for has to come first, and it is
 * the next wait that this returns from; where that can only come from the caller, a call or the
 * other end of a stream, it returns at once.
 *
 * Returns bits of enum halo_awaited, which are above 0, or
 *   HALO_ETIMEDOUT  not yet: run it again to let it go on; also HALO_EINTERRUPTED (halo_interrupt)
 *   HALO_ESTATE     it has ended, now or before, or is in the middle of a call
 *   HALO_EDEADLOCK  it waits for the answer to a call that its host keeps
 * or what halo_run returns for a guest that was ended.
 */
int halo_run_to_wait(struct halo_sandbox *box, int64_t timeout_ns);

/*
 * Keep a guest that was not begun, or that waits: for a call, for a time, or for what its streams
 * have not moved. One on a thread of its own that still runs is let come to its wait first, for 100
 * ms at most. The sandbox goes on as before; the snapshot is to be freed by halo_snapshot_free.
 *
 * Returns 0, or
 *   HALO_ESTATE  the guest has ended, or was stopped in the middle of its code (by a time limit or
 *                halo_interrupt before, or after those 100 ms); this is inside of a function of the
 *                host's; or something is under way that cannot be kept: calls of either side,
 *                writes, reads that have moved some bytes, other requests, answers that wait to be
 *                fetched, open aggregates: halo_errmsg counts them
 *   HALO_EBUSY   another thread is inside of the sandbox
 *   HALO_EINTERRUPTED  by halo_interrupt, before a guest on a thread of its own came to its wait;
 *                      or what halo_run returns for one that was ended on the way there
 *   HALO_ENOMEM, HALO_EHOST
 * and *snapshot is NULL.
 */
int halo_snapshot(struct halo_sandbox *box, struct halo_snapshot **snapshot);

/* Free it, on any thread, when none restores from it. NULL is fine. */
void halo_snapshot_free(struct halo_snapshot *snapshot);

/*
 * Let the sandbox go on where the snapshot was taken, whatever it did since, and whether it is
 * running, has ended, or was stopped. Its own calls are over, with HALO_ESTATE, all ends of its
 * streams are let go, and handles (halo/handle.h) end: their objects are released.
 *
 * Streams that were open in the snapshot are so again, each with its handle, and with the host's
 * own program as its end (as with halo_end_host) until it is given another: halo_attach by its
 * handle, halo_offer by its name. Functions that the sandbox provides serve the guest by their
 * names. Those of the snapshot that it does not have can be provided until the guest runs; where
 * one that the guest imports was not, what runs it is HALO_ENAME. Numbers of the guest's functions
 * (halo_lookup) are the snapshot's; counters of halo_stats go on, and limits of processor time and
 * exits begin anew.
 *
 * In the guest all is as it was but for what must not be so twice: the boot page's seed is new and
 * its epoch has grown. Its monotonic clock goes on from where it stood when the snapshot was taken,
 * on any machine, and a time that it waits for is as far away as it was then; the time of day is
 * the host's.
 *
 * Returns 0, or
 *   HALO_EINVAL      the sandbox has another amount of memory, or the snapshot is NULL
 *   HALO_ETRANSPORT  it has the other transport
 *   HALO_ETYPE       a function of the sandbox has another signature in the snapshot; or HALO_EFULL
 *   HALO_EHOST       the snapshot is of a program with a C library, which was told of more features
 *                    of the processor than guests are told of here: code that it chose would fault
 *   HALO_ESTATE      this is inside of a function of the host's, or the sandbox was never opened
 *   HALO_EBUSY       another thread is inside of the sandbox
 * and nothing was changed; or HALO_ENOMEM, HALO_EHOST: then it can be restored again, or closed.
 * Of guests without a C library nobody knows whether they look at the processor: one that chooses
 * code by `cpuid` itself is to be restored where it finds the same.
 */
int halo_restore(struct halo_sandbox *box, const struct halo_snapshot *snapshot);

/*
 * A new sandbox that goes on from a snapshot. Of the options those count that are not the guest's:
 * backend, strict, reserve, held_max, exit_max, cpu_ms, exits_per_second, threaded, poll_ns and
 * keep_code; the others are not looked at. On KVM, without reserve, it shares the snapshot's pages
 * with all others until it writes them; the snapshot may be freed before it. Returns as halo_open,
 * and halo_restore.
 */
int halo_open_snapshot(struct halo_sandbox **box, const struct halo_snapshot *snapshot,
                       const struct halo_options *options);

/* What a snapshot takes: bytes of guest memory that are not zero, by whole pages. */
uint64_t halo_snapshot_bytes(const struct halo_snapshot *snapshot);

/* --- Files ------------------------------------------------------------------------------------ */

/*
 * Write a snapshot to a file, from where it can be loaded at any time, on any machine of this
 * architecture: pages that are not zero, what the host knows of the guest, and a digest (SHA-256)
 * of both. A path is written beside itself and renamed, so that there is the whole file or the one
 * of before, with the mode 0600: it is all that the guest had in memory, secrets too. A descriptor
 * is written from where it stands; it may be a pipe.
 *
 * Returns 0, or HALO_EINVAL (the snapshot is NULL, or the path), HALO_EFILE with errno, or
 * HALO_ENOMEM. Any thread may save, and while others restore.
 */
int halo_snapshot_save(const struct halo_snapshot *snapshot, const char *path);
int halo_snapshot_save_fd(const struct halo_snapshot *snapshot, int fd);

/*
 * Load one, to be freed by halo_snapshot_free. The file is copied to private memory, its digest is
 * compared there, and every number is judged before anything of it is used; whoever may write to
 * the file later changes nothing. The digest tells that the file is as it was written, and not by
 * whom: a file of somebody else's is a guest of somebody else's, which the sandbox holds as it
 * holds any. A guest that chose code by what it was told of the processor is refused by
 * halo_restore where that is missing, by name.
 *
 * A path is opened and a descriptor read from its beginning; it stays the caller's. Returns 0, or
 *   HALO_EINVAL  the path is NULL
 *   HALO_EFILE   it cannot be opened or read, or is no regular file
 *   HALO_EGUEST  it is no snapshot, one of another version of the format or another architecture,
 *                cut short, with more behind it, or altered
 *   HALO_ENOMEM, HALO_EHOST
 * and *snapshot is NULL; `why`, of `why_len` bytes, or NULL, then says what it is in words.
 */
int halo_snapshot_load(struct halo_snapshot **snapshot, const char *path, char *why,
                       size_t why_len);
int halo_snapshot_load_fd(struct halo_snapshot **snapshot, int fd, char *why, size_t why_len);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
