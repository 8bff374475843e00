/*
 * Numbers of a sandbox: counters and histograms, for programs and, as text, for Prometheus.
 *
 *     struct halo_metrics metrics;
 *     struct halo_named_metrics named = {"tenant-1", &metrics};
 *     char text[HALO_METRICS_LEN(1)];
 *
 *     halo_metrics(box, &metrics, sizeof(metrics));
 *     halo_metrics_text(text, sizeof(text), &named, 1);
 *
 * They can be read on any thread, while the sandbox's own uses it: each number is one that it had,
 * and never one of which a half is newer; but two of them may be from different moments. Only
 * halo_close and halo_restore must not come meanwhile.
 */
#ifndef HALO_METRICS_H
#define HALO_METRICS_H

#include <halo/halo.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/*
 * How often something had which size. Bucket i counts what was less than 2 to the power of i + 1,
 * and no less than what bucket i - 1 ends before; bucket 0 has 0, too, and the last one all that is
 * above.
 */
#define HALO_BUCKETS 32u

struct halo_histogram {
    uint64_t sum;
    uint64_t buckets[HALO_BUCKETS];
};

/*
 * Since halo_open, restores or not. Fields are only ever added at the end: `size` says how many
 * bytes of them the library has filled in, the rest of the caller's is 0.
 */
struct halo_metrics {
    uint64_t size;
    uint64_t sandboxes; /* 1; of a sum, how many */
    /* As in struct halo_stats. */
    uint64_t requests, exits, kicks, waits, calls, calls_out;
    uint64_t deferred, fetched, discarded, deferred_out, spare, spare_out;
    uint64_t bytes_in, bytes_out, elapsed_ns, system_calls, restores, restored_pages;
    uint64_t calls_out_answered; /* calls of the guest's functions that came back */
    uint64_t held_bytes;     /* that the host holds for the guest now: held_max of its options */
    uint64_t ends, failures; /* guests that have ended, and those with an error among them */
    uint64_t log_lines;      /* of the guest's log, that were given to a logger, */
    uint64_t log_dropped;    /* and that were not */
    uint64_t sleeps;         /* of a host whose guest has a thread of its own */
    /* Answers and calls that the guest got together: what shared an exit, where it does not run
     * beside its host. */
    struct halo_histogram batch;
    /* Exits from when a call of a guest's function went out until its answer was there. */
    struct halo_histogram exits_out;
    /* Bytes of room for its answer that a call of the guest's brings, as it has learned them; where
     * it is too short, the answer is one of deferred. */
    struct halo_histogram room;
    /* The same of the buffers for calls of the guest's functions: deferred_out. */
    struct halo_histogram room_out;
    /* Nanoseconds, where halo_measure has asked for them: in a function of the host's, and from
     * when a call of a guest's function went out until its answer was there. */
    struct halo_histogram call_ns;
    struct halo_histogram call_out_ns;
    /* Times that the guest was stopped to be called: halo_callable in halo/guest.h. */
    uint64_t upcalls;
};

/*
 * Fill in so many bytes of `metrics`, sizeof(struct halo_metrics) as the caller knows it. Any
 * state, any thread. Returns how many of them are filled in.
 */
size_t halo_metrics(const struct halo_sandbox *box, struct halo_metrics *metrics, size_t size);

/* Add numbers of one sandbox to those of others; a sum that begins is all 0. `size` is of both. */
void halo_metrics_add(struct halo_metrics *sum, const struct halo_metrics *metrics, size_t size);

/*
 * From now on call_ns and call_out_ns grow, or no longer. It costs two readings of the clock a
 * call. Calls that are in flight are not counted. Returns 0, or HALO_EBUSY, HALO_ESTATE.
 */
int halo_measure(struct halo_sandbox *box, bool measures);

/* Numbers, and the value of their label `sandbox`: any bytes of UTF-8, up to HALO_METRICS_NAME_MAX
 * of them, and none of its characters by half; NULL for none, as a sum has. */
struct halo_named_metrics {
    const char *name;
    const struct halo_metrics *metrics; /* all of it, as this header has it */
};

#define HALO_METRICS_NAME_MAX 128u
#define HALO_METRICS_LEN(count) (8192u + (count)*98304u) /* always enough */

/*
 * Write them as OpenMetrics text: each name once, with all sandboxes, and at the end "# EOF". As
 * snprintf: at most `size` bytes, with a zero byte at the end where that is not 0, and returns how
 * many all of them are, without it. A name that is longer is cut, and
 * a byte in it that is no UTF-8 becomes '?': the format has none. Any thread.
 *
 * The media type is "application/openmetrics-text; version=1.0.0; charset=utf-8".
 */
size_t halo_metrics_text(char *text, size_t size, const struct halo_named_metrics *metrics,
                         size_t count);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
