/*
 * The benchmark harness: rows, their neighbours, and what both are measured with.
 *
 * A row is one thing that Halo does; its neighbour does the same with other means, in the same run,
 * in turns. A time on a shared machine means little by itself, a ratio within one run does.
 */
#ifndef HALO_BENCH_H
#define HALO_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who stands beside a row. The first one is its neighbour proper, with which it is compared. */
struct bench_neighbour {
    const char *name;
    double (*sample)(void);
    /* Whether it can be had; else why not, one sentence. NULL: it always can. */
    const char *(*absent)(void);
};

#define BENCH_NEIGHBOURS 8

struct bench_row {
    const char *name; /* "queue.rpc64": stable, other tools know it */
    const char *what;
    /* ns for one operation, averaged over some thousands of them; see bench_timed. */
    double (*sample)(void);
    uint64_t bytes; /* that an operation moves: the row is told in GB/s. 0: in ns */
    /* That many operations and nothing else, for callgrind; or NULL. A guest runs on machine.h. */
    void (*count)(uint64_t operations);
    struct bench_neighbour neighbours[BENCH_NEIGHBOURS];
    bool crosses_cores;  /* one- and two-line floors are taken around each sample */
    bool is_brief;       /* a point of a curve: it gets a fifth of the time */
    bool is_once;        /* one sample of each is enough, and takes as long as it takes */
    void (*leave)(void); /* give back what is of no use to later rows, and slows them; or NULL */
};

/* The rows of each file; the last one has no name. */
extern const struct bench_row bench_ring_rows[], bench_halves_rows[], bench_queue_rows[],
    bench_pool_rows[], bench_call_rows[], bench_rows_rows[], bench_stream_rows[],
    bench_scale_rows[], bench_life_rows[], bench_large_rows[], bench_threaded_rows[],
    bench_trace_rows[], bench_crowd_rows[], bench_clock_rows[];

/* --- What samples are made of ----------------------------------------------------------------- */

double bench_now_ns(void);

/* Print and exit: a benchmark that went wrong has no figure. */
_Noreturn void bench_fail(const char *what);

/* Inline, for it stands in loops that are measured. */
static inline void bench_must(bool condition, const char *what)
{
    if (__builtin_expect(!condition, 0))
        bench_fail(what);
}

static inline void bench_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* A sample is taken in slices: its figure is their mean, and the 99th percentile is of slices. */
#define BENCH_SLICES 8

/*
 * One sample of `work`, in ns for one operation: BENCH_SLICES times `operations`. Where work has to
 * prepare something, or to clean up, it says so: the clock runs from bench_begin to bench_end.
 */
double bench_timed(void (*work)(uint64_t operations), uint64_t operations);
void bench_begin(void);
void bench_end(void);
/* So many ns, which were measured elsewhere, belong to this slice too. */
void bench_more(double ns);

/* Such a sample as a function, of a statement that does `n` of them; and a row that is a point of a
 * curve. */
#define BENCH_SAMPLE(name, operations, statement)    \
    static void name##_work(uint64_t n)              \
    {                                                \
        statement;                                   \
    }                                                \
    static double name(void)                         \
    {                                                \
        return bench_timed(name##_work, operations); \
    }

#define BENCH_POINT(name_, what_, sample_, ...)                                            \
    {                                                                                      \
        .name = name_, .what = what_, .sample = sample_, .is_brief = true, .neighbours = { \
            __VA_ARGS__                                                                    \
        }                                                                                  \
    }

/* One that was timed by somebody else. */
void bench_slice(double ns);

/* Every slice since bench_slices_forget, at most BENCH_SLICES of them. */
void bench_slices_forget(void);
int bench_slices(const double **slices);

/* Something that was counted in the sample that is being taken, to be told beside its time. */
void bench_remark(const char *words);

/* What was remarked since it was last asked; "" for nothing. */
const char *bench_remarked(void);

/* Wait until no other run of this program goes on, on this machine: they would measure each other.
 */
void bench_alone(void);

/* Whether this process may use two cores; where it may not, nothing below works. */
bool bench_two_cores(void);

/* The two cores that are used, the idlest first; -1 for one that there is not. */
const int *bench_cores(void);

/* Stay on the core that was idlest from here on; or on both, this thread and what it makes. */
void bench_stay(void);
void bench_spread(void);

/*
 * One sample of `body(rounds)`, which returns ns for one round and leaves nothing in flight, while
 * `peer` runs on the other core; BENCH_SLICES times. The peer returns when bench_stopped says so.
 */
double bench_with_peer(void *(*peer)(void *), double (*body)(uint32_t), uint32_t rounds);
bool bench_stopped(void);

/* ns to hand one cache line, or two, to another core and back. */
double bench_one_line(void);
double bench_two_lines(void);

/* --- Neighbours, one file each ---------------------------------------------------------------- */

double bench_memcpy_pair(size_t len); /* two copies of len bytes each, ns */
double bench_pipe_pair(size_t len);   /* len bytes through a pipe and back through another, ns */

const char *bench_rte_absent(void);
double bench_rte_single(void); /* enqueue and dequeue twice: there and back */
double bench_rte_batch32(void);
double bench_rte_stream(void);
double bench_rte_pingpong(void);

const char *bench_uring_absent(void);
double bench_uring_nop(void);
double bench_uring_nop_batch64(void);

const char *bench_linux_absent(void);
double bench_linux_single(void); /* the kernel's packed driver, with a device that checks nothing */
double bench_linux_batch32(void);
double bench_linux_stream(void);
double bench_linux_pingpong(void);

#endif
