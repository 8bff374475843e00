/*
 * libhalo: run an untrusted guest program in a sandbox and serve its requests.
 *
 *     struct halo_sandbox *box;
 *     int error, code;
 *
 *     error = halo_open(&box, "plugin.halo", NULL);
 *     if (!error)
 *         error = halo_attach(box, HALO_STDOUT, halo_end_fd(STDOUT_FILENO));
 *     if (!error)
 *         error = halo_run(box, HALO_FOREVER, &code);
 *     if (error)
 *         fprintf(stderr, "%s\n", halo_errmsg(box));
 *     halo_close(box);
 *
 * A sandbox is a micro-VM without a kernel of its own (backend "kvm") or a confined process
 * (backend "process"); the same guest file runs on both. Sandboxes share nothing. Each is used by
 * one thread at a time and may be handed from thread to thread: while one is inside of a function,
 * those of another that return an error return HALO_EBUSY and do nothing; the few that return none
 * (halo_errmsg, halo_stats, halo_close, …) are for whoever knows that no other is inside. After a
 * fork a sandbox stays the parent's; in the child its functions return HALO_ESTATE, those too that
 * it was inside of when it forked, and halo_close closes what the child has of it.
 *
 * No function prints, exits or installs a signal handler. Those that open a sandbox, run its guest,
 * take, save and load snapshots, or write core files, dumps and traces, may block SIGURG, SIGPIPE,
 * SIGXFSZ, SIGTTIN and SIGTTOU for their own thread meanwhile, and put them back.
 */
#ifndef HALO_HALO_H
#define HALO_HALO_H

#include <halo/abi.h>
#include <halo/error.h>
#include <halo/stream.h>
#include <halo/value.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct halo_sandbox;
struct halo_calls;

enum halo_backend_choice {
    HALO_BACKEND_AUTO = 0, /* kvm where it can be used, else process: see halo_backend_note */
    HALO_BACKEND_KVM,
    HALO_BACKEND_PROCESS,
};

#define HALO_RAM_DEFAULT (16ull << 20)
#define HALO_RAM_LINUX (64ull << 20) /* of a program of Linux's */
#define HALO_RAM_MIN (6ull << 20)
#define HALO_RAM_MAX (1024ull << 20)

#define HALO_STACK_DEFAULT (1ull << 20)
#define HALO_STACK_LINUX \
    (8ull << 20) /* of a program of Linux's, where its memory is 64 MiB or more */
#define HALO_STACK_MIN (64ull << 10)
#define HALO_STACK_MAX (512ull << 20)

/* Longest argument strings, all together, with their zero bytes. */
#define HALO_ARGS_MAX 65536u

/* Of the queues HALO_QUEUE_SIZE_MIN to HALO_QUEUE_SIZE_MAX descriptors; of the pool: */
#define HALO_POOL_LEN_MAX (256ull << 20)
/* Answers that are kept for the guest to fetch, and their bytes. */
#define HALO_DEFERRED_COUNT_DEFAULT 1024u
#define HALO_DEFERRED_COUNT_MAX 65536u
#define HALO_DEFERRED_LEN_MIN 4096ull
#define HALO_DEFERRED_LEN_MAX (1024ull << 20)

/*
 * How much may go on at a time between two exits. They are checked together: a pool holds what its
 * queues need (HALO_POOL_MIN), and guest memory all of them. A guest file that was built for less
 * or more is refused by halo_open with its numbers.
 */
struct halo_sizes {
    /*
     * Descriptors of the queue to the host. A call or a small request takes two, so half as many
     * share an exit, up to 152, for which there are buffers (calls of numbers alone, 304). By
     * default it has HALO_QUEUE_SIZE_MAX, where the guest can take it: three quarters are kept for
     * reads and writes that may wait for ever, and 152 calls share an exit, or 240 of numbers. Less
     * keeps nothing for them: where so many wait, the guest waits with them. halo_room in the guest
     * tells how much there is, and is left.
     */
    uint32_t queue_size;
    /*
     * Descriptors of the queue to the guest, HALO_QUEUE_SIZE_DEFAULT. Half as many calls of the
     * host's, and HALO_CALLS_MAX at most, are in flight at a time and share an exit. Others wait;
     * so where all of them call back, and the functions that they call want to call, too, those
     * are HALO_EDEADLOCK.
     */
    uint32_t call_queue_size;
    uint64_t pool_len;     /* of buffers; by default a quarter of guest memory, in 2 to 4 MiB */
    uint64_t deferred_len; /* HALO_DEFERRED_MAX; an answer that is longer than this is HALO_ESIZE */
    uint32_t deferred_max; /* HALO_DEFERRED_COUNT_DEFAULT */
};

/* How to open a sandbox. All zero is the default. Nothing of it is kept after halo_open. */
struct halo_options {
    enum halo_backend_choice backend;
    uint64_t ram_len;        /* bytes of guest memory, all included: 0, or MIN to MAX by pages */
    const char *const *args; /* its argv, the name first; a program of Linux's without any: "" */
    uint32_t arg_count;
    bool plain_ring; /* without extensions: the bytes on the ring are plain virtio */
    /*
     * How calls travel. The stacks are what the ring replaces: one call for each exit, the last one
     * first. They have no streams, one call of the host's is in flight at a time, and a message has
     * less than 1 MiB; what they cannot do is HALO_ETRANSPORT or HALO_ESIZE, on both sides.
     */
    enum halo_transport transport;
    uint64_t stack_len; /* bytes of the guest's stack: 0, or MIN to MAX by pages */
    /*
     * The process backend: no wall is done without. Network, mount and IPC namespaces are made
     * besides the user namespace, which costs some milliseconds; where one cannot be had, halo_open
     * is HALO_EHOST. Without this, what the host or the kernel refuses is done without.
     */
    bool strict;
    /*
     * All of guest memory is found by halo_open: HALO_ENOMEM where there is not as much, and none
     * of it lacks later. It is asked for by a short-lived process that the kernel's killer prefers.
     * For hosts with a limit of memory around them: at one the kernel may kill whoever needs more,
     * and without this that may be the host, whenever the guest, or the host for it, touches memory
     * for the first time. That process is a fork of the host's, so a large host pays for its page
     * tables; and all the memory is zeroed at once.
     */
    bool reserve;
    /*
     * What the guest may cost its host: 0, or bytes.
     *
     * held_max: all that the host holds for it at a time. That is of calls their arguments while
     * they are served, results until halo_future_free and answers that are kept until they are
     * fetched; of streams 64 KiB for each way of an end that can only block. What goes beyond is
     * HALO_ENOMEM for that call; such a stream goes on when there is room again.
     *
     * exit_max: all that calls copy at one exit of the guest; what goes beyond is HALO_ESIZE for
     * that call. After as much as that of streams, and one window (HALO_WINDOW_BYTES), the deadline
     * is looked at, before they go on.
     */
    uint64_t held_max;       /* HALO_HELD_DEFAULT */
    uint64_t exit_max;       /* HALO_EXIT_DEFAULT */
    struct halo_sizes sizes; /* of what host and guest share; 0 is the default of each */
    const char *const *env;  /* the environment of a program of Linux's: NAME=VALUE */
    uint32_t env_count;
    /*
     * What the guest may use up in all its runs; then it is ended, with HALO_ELIMIT. 0: no limit.
     *
     * cpu_ms: processor time, in ms, up to HALO_CPU_MS_MAX. On KVM that of the thread which enters
     * the guest, while it is in there; in a process that of the guest's process, with what the
     * kernel does for it. What the host does for the guest is no part of it (exit_max bounds that),
     * and time that it waits is none. It is passed by 10 ms at most, where the machine has a
     * processor for both. On KVM an exit costs two readings of a thread's clock more.
     *
     * exits_per_second: how often the guest may leave for its host, in a second on average, up to
     * HALO_EXITS_MAX. A guest that has left less often may do as many in a burst as a second has.
     * One that did nothing else was seen to leave 20,000 times a second on KVM, and 70,000 times in
     * a process.
     */
    uint64_t cpu_ms;
    uint32_t exits_per_second;
    /*
     * The guest runs on a thread of its own, while its host serves it on the calling thread: both
     * look at the rings, and a call or an answer need not make the guest leave. The guest goes on
     * when the function that ran it has returned, until it waits, or the time limit of that one is
     * over: what it asks for meanwhile is served when it is next run. So how often it leaves is
     * another number each time, and bytes that halo_stream_peek shows may change meanwhile. Rings
     * only: with stacks HALO_EINVAL.
     *
     * A side that finds nothing looks on before it sleeps, for as long as that is seen to pay, and
     * poll_ns nanoseconds at most: 0 is HALO_POLL_DEFAULT, and HALO_POLL_NEVER not at all. Where
     * the thread that opens the sandbox may use one processor only, neither side looks. Where the
     * kernel leaves both sides on one processor, the guest is put on another one that it may use
     * (sched_setaffinity, and back at once: which ones it may use stays as you have set it).
     */
    bool threaded;
    uint32_t poll_ns;
    /*
     * The code of a program of Linux's stays as its file has it. Without this the host rewrites
     * places that make many system calls, so that these need not trap (docs/linux.md). It writes
     * there alone, and the guest can write no more of its code than before.
     */
    bool keep_code;
    /*
     * Standard input is a file that nobody else reads on where the guest has stopped: a guest that
     * makes system calls of Linux's reads it ahead. A read never waits, then, and poll says so.
     */
    bool own_input;
    /* Handles of the host's objects that there are at a time: HALO_HANDLES_DEFAULT, 4096. */
    uint32_t handles_max;
    uint32_t grace_ms; /* so long a program may take to end by SIGTERM: halo_terminate; or 0 */
};

#define HALO_POLL_DEFAULT 40000u
#define HALO_POLL_NEVER UINT32_MAX

#define HALO_CPU_MS_MAX 1000000000000ull
#define HALO_EXITS_MAX 100000000u

#define HALO_HELD_DEFAULT (64ull << 20)
#define HALO_EXIT_DEFAULT (256ull << 20)

/*
 * Bytes of stack that a thread needs to open, run and close a sandbox, beside what the host's own
 * functions take. The process's first thread is refused where it has less left: HALO_EHOST.
 */
#define HALO_THREAD_STACK (16u << 10)

/*
 * Load the guest file `path` and create a sandbox for it; nothing of the guest runs yet. There is
 * no time limit: the file is opened and read on the calling thread, for as long as its file system
 * takes. One that may never answer (FUSE, a network) is to be copied first.
 *
 * Returns 0, or
 *   HALO_EFILE   the file cannot be opened or read, or is not a regular file
 *   HALO_EGUEST  it is not a guest that Halo accepts
 *   HALO_ENOKVM  HALO_BACKEND_KVM was asked for and /dev/kvm cannot be used
 *   HALO_EHOST   the operating system refused something else
 *   HALO_EINVAL, HALO_ENOMEM
 * *box is set in any case, to NULL where there is no memory for it: after an error it can only be
 * asked for halo_errmsg and closed, which NULL can be, too.
 */
int halo_open(struct halo_sandbox **box, const char *path, const struct halo_options *options);

/*
 * The same for a program in memory, and for one in a file that is open for reading, from the file's
 * start, whatever the descriptor's offset is. Bytes and descriptor stay the caller's and are not
 * needed any more afterwards.
 */
int halo_open_memory(struct halo_sandbox **box, const void *bytes, size_t len,
                     const struct halo_options *options);
int halo_open_fd(struct halo_sandbox **box, int fd, const struct halo_options *options);

/* Free everything, ends of streams included; kills the guest. NULL and half-opened sandboxes are
 * fine. */
void halo_close(struct halo_sandbox *box);

/* --- Functions for the guest ------------------------------------------------------------------ */

/* A call of the guest's, while it is being served. */
struct halo_call;

/*
 * A function that the guest may call. It is called by what runs the guest (halo_run, halo_wait, …),
 * on the thread that called that. `args` are as the signature says, private copies that last until
 * it returns: the guest can no longer change them. It ends with one
 * halo_return or halo_fail; where there is no result, neither is needed. It may call functions of
 * the guest. It must not run or close the same sandbox, and is not interrupted at a time limit.
 */
typedef void halo_function(struct halo_call *call, const struct halo_value *args, void *context);

/*
 * Let the guest call `function` as `name`, of 1 to HALO_FUNCTION_NAME_MAX bytes. Before halo_run
 * and halo_serve_begin.
 *
 *     static const struct halo_signature lookup_type = HALO_FN(HALO_I64, HALO_STR);
 *     halo_provide(box, "host.lookup", &lookup_type, lookup, table);
 *
 * Name and signature are copied; `context` comes back with each call. Returns 0, or HALO_EINVAL for
 * a name or signature that breaks its rules, a name that is taken, or a function that is NULL;
 * HALO_EFULL for more than HALO_FUNCTIONS_MAX; HALO_ESTATE once the guest runs; HALO_ENOMEM.
 */
int halo_provide(struct halo_sandbox *box, const char *name, const struct halo_signature *signature,
                 halo_function *function, void *context);

/*
 * Answer the call. The value is copied at once. Where the guest has made no room for so much, it is
 * kept, up to sizes.deferred_len bytes of all such answers and then the oldest is given up, until
 * the guest fetches it: the function is called once in any case. Returns 0; HALO_ETYPE where it is
 * not of the signature's type, HALO_EINVAL where it is no valid value, HALO_ESIZE where it is
 * longer than HALO_VALUE_MAX or than what is kept, HALO_ENOMEM: then the guest gets that error
 * instead. HALO_ESTATE where the call was answered before.
 */
int halo_return(struct halo_call *call, struct halo_value value);

/*
 * Fail the call: the guest gets HALO_ECALL with this code, above 0, and the first
 * HALO_ERROR_TEXT_MAX bytes of the text. Returns 0, HALO_EINVAL for another code, HALO_ESTATE where
 * the call was answered before.
 */
int halo_fail(struct halo_call *call, int32_t code, const char *text);

/* The sandbox that the call came from. */
struct halo_sandbox *halo_call_sandbox(struct halo_call *call);

/* Longest strings and bytes of one call, all together, and of all answers that are kept. */
#define HALO_VALUE_MAX (16ull << 20)
#define HALO_DEFERRED_MAX (HALO_VALUE_MAX + 65536)

/* No time limit. A negative one is HALO_EINVAL. */
#define HALO_FOREVER INT64_MAX

/* --- Functions of the guest ------------------------------------------------------------------- */

/*
 * Run the guest on the calling thread until its main program serves calls (halo_serve, or it has no
 * main at all), for at most `timeout_ns` nanoseconds. Returns 0, at once where it does already, or
 *   HALO_ETIMEDOUT  not yet: begin again to let it go on; also HALO_EINTERRUPTED (halo_interrupt)
 *   HALO_ESTATE     it has ended, now or before, or is in the middle of a call
 *   HALO_EDEADLOCK  it waits for a stream whose other end is the caller
 * or what halo_run returns for a guest that was ended.
 */
int halo_serve_begin(struct halo_sandbox *box, int64_t timeout_ns);

/*
 * The number of a function that the guest exports: above 0, valid until halo_close. HALO_ENAME,
 * HALO_ETYPE where it has no such function, or has it with another signature; HALO_ESTATE before
 * the guest has begun or after its end; HALO_EINVAL for a name that is NULL, or a signature that
 * breaks its rules. halo_errmsg says more.
 */
int halo_lookup(struct halo_sandbox *box, const char *name, const struct halo_signature *signature);

/*
 * The functions that the guest exports, one by one: false where there is no `index`, from 0. Its
 * number, as halo_lookup returns it, is index + 1. Name and signature are the guest's choice.
 */
bool halo_exported(const struct halo_sandbox *box, uint32_t index, const char **name,
                   struct halo_signature *signature);

/*
 * A call, from its start until the caller is done with its result. The caller's own; it must stay
 * where it is, and strings and bytes of the arguments must not change, until the answer has come or
 * halo_future_free. Any number of them may be in flight.
 */
struct halo_future {
    bool done;    /* the answer has come; what follows is valid */
    int error;    /* 0, or why there is no result */
    int32_t code; /* with HALO_ECALL: the function's own code, above 0 */
    /* With an error, words for it, never NULL. With HALO_ECALL they are the guest's, any bytes. */
    const char *text;
    struct halo_value result; /* text and bytes are the future's, until halo_future_free */
    /* private */
    struct halo_calls *calls;
    struct halo_future *prev, *next; /* among those that wait to go out, or are in flight */
    uint32_t function;
    uint16_t request;
    uint8_t depth, arg_count;
    struct halo_value args[HALO_ARGUMENTS_MAX];
    void *memory;
    unsigned char bytes[320];
};

/*
 * Start a call of a function of halo_lookup's. It goes out when the guest next runs, with all
 * others that were started until then. Returns 0, or HALO_ENAME for no such function; HALO_ECOUNT,
 * HALO_ETYPE, HALO_EINVAL for arguments that are not the signature's; HALO_ESIZE for more than
 * HALO_VALUE_MAX; HALO_EDEPTH inside too many calls; HALO_ESTATE before the guest has begun or
 * after its end; HALO_ETRANSPORT over stacks where one is in flight. Then nothing was sent, and the
 * future is done, with this error.
 */
int halo_call_start(struct halo_sandbox *box, struct halo_future *future, int function,
                    const struct halo_value *args, size_t count);

/*
 * Run the guest until the answer has come, for at most `timeout_ns` nanoseconds. Returns
 * future->error, which is HALO_ECALL where the function failed, or a refusal of the guest's; or
 *
 *   HALO_ETIMEDOUT  not yet; it stays in flight: wait again, or give it up (halo_future_free)
 *   HALO_EINTERRUPTED  the same, by halo_interrupt
 *   HALO_EDEADLOCK  not before the function returns that waits here, or the guest waits for a
 *                   stream whose other end is the caller; it stays in flight
 *   HALO_EDEPTH     waits inside calls inside waits, too deep; it stays in flight
 *   HALO_EBUSY      another thread is inside of the sandbox; it stays in flight, and its answer may
 *                   be taken in there: wait again
 *   HALO_ESTALE     it was given up
 *
 * or what halo_run returns for a guest that was ended: then it has ended for every call in flight.
 * The answers to other calls that come meanwhile are taken in. Threads that share a sandbox look
 * at a future only when this has returned something else than HALO_EBUSY.
 */
int halo_wait(struct halo_future *future, int64_t timeout_ns);

/*
 * Run the guest until some answers have come, for at most `timeout_ns` nanoseconds: afterwards look
 * at `done` of the futures. Returns at once where some have come since this last returned, whoever
 * took them in: a wait for another call, or a function inside of one. Returns how many calls were
 * answered, but for those that halo_wait told of; 0 where none is in flight; or halo_wait's error.
 */
int halo_poll(struct halo_sandbox *box, int64_t timeout_ns);

/*
 * Free what the future holds, on any thread. A call in flight is given up, where no other thread is
 * inside of the sandbox: its answer will be thrown away. Needed after every call that has a result
 * of text or bytes, and for one that is given up; fine after all.
 */
void halo_future_free(struct halo_future *future);

/*
 * Start and wait: halo_call(box, &future, score, HALO_FOREVER, halo_str("x"), halo_i64(3)). In C,
 * with no arguments at all: halo_call_start(box, &future, function, NULL, 0), then halo_wait.
 */
#ifdef __cplusplus
#define halo_call(...) ::halo_call_with(__VA_ARGS__)
#else
#define halo_call(box, future, function, timeout_ns, ...)                                   \
    ((void)halo_call_start(box, future, function, (const struct halo_value[]){__VA_ARGS__}, \
                           sizeof((const struct halo_value[]){__VA_ARGS__}) /               \
                               sizeof(struct halo_value)),                                  \
     halo_wait(future, timeout_ns))
#endif

/* --- The main program ------------------------------------------------------------------------- */

/*
 * Run the guest's main program on the calling thread until it ends, for at most `timeout_ns`
 * nanoseconds. A program runs once; where it has ended already, by the other functions that run it,
 * this only tells how. Where it serves calls, it is told that there will be no more.
 *
 * Returns 0 and the guest's exit code (0 to 255), where that is asked for, or
 *   HALO_EDEADLOCK  it waits for a stream whose other end is the caller: go on with that, then run
 *                   again
 *   HALO_EINTERRUPTED  by halo_interrupt: run it again to let it go on
 *   HALO_ETIMEDOUT  it did not end in time
 *   HALO_EFAULT     it faulted; halo_fault tells how
 *   HALO_EPANIC     it gave up; halo_errmsg holds its message
 *   HALO_EPOISONED  it broke the protocol; halo_errmsg tells which rule, halo_poison more of it
 *   HALO_ELIMIT     it used up its CPU time, or its exits (struct halo_options)
 *   HALO_EIO        it could not write to a standard stream, which its program does not handle;
 *                   halo_errmsg names stream and error
 *   HALO_ESTATE     it has ended before, was never opened, or is in the middle of a call
 *   HALO_ENOMEM     there is no memory for what the guest names
 *   HALO_EHOST      the operating system refused something
 * or HALO_EINVAL, HALO_EBUSY, and nothing was done. After HALO_ETIMEDOUT, and the errors behind it
 * but HALO_ESTATE, the guest never runs again. However it has ended, what it had written goes out:
 * after an orderly end for as long as the time limit allows, else for a second at most, and a
 * twentieth of one after HALO_ETIMEDOUT.
 */
int halo_run(struct halo_sandbox *box, int64_t timeout_ns, int *exit_code);

/*
 * End what runs the guest, from another thread, a signal's handler, or a function of the host's:
 * the outermost halo_run, halo_run_to_wait, halo_serve_begin, halo_wait, halo_poll, halo_call_rows
 * or function of halo/stream.h that is under way in this sandbox, whatever it or its guest is
 * doing, returns HALO_EINTERRUPTED. A guest that computes is stopped where it is; one that leaves
 * without end, or waits, waits. A function of the host's is never stopped: when it has returned,
 * with those that the guest had called together with it, the guest is not entered any more, and
 * where it waits itself, that wait is HALO_EINTERRUPTED at once.
 *
 * Nothing is lost by it: calls stay in flight, the guest goes on with the next function that runs
 * it, also after halo_run. Only where the guest has ended, and what it had written is still going
 * out, the rest of that is given up.
 *
 * Returns 0 where such a function was under way: it ends, and no later one. It still returns
 * something else where what it waits for had come by then, or the guest had ended. Several at a
 * time have the effect of one. halo_snapshot and the functions of halo/inside.h are such functions,
 * too, while they wait for a guest on a thread of its own: the first is HALO_EINTERRUPTED then, the
 * others look where it was stopped. Returns HALO_ESTATE where none was, or in a fork: nothing
 * happens, and what begins later is not interrupted. Sets no words and keeps errno; the sandbox
 * must not be closed meanwhile.
 */
int halo_interrupt(struct halo_sandbox *box);

/*
 * The same; but in halo_run a program of Linux's that handles, ignores or blocks SIGTERM gets that,
 * and grace_ms (struct halo_options) to end, as at its time limit. Once more ends the grace.
 */
int halo_terminate(struct halo_sandbox *box);

/* A fault of the guest, as the processor reported it. */
struct halo_fault {
    uint32_t vector;   /* 0 divide error, 6 invalid opcode, 13 protection, 14 page fault, … */
    uint32_t error;    /* the processor's error code, 0 where there is none */
    uint64_t address;  /* page fault: the address that was touched */
    uint64_t rip, rsp; /* where the guest was */
};

/* The fault that ended the guest, or NULL. Valid until halo_close. */
const struct halo_fault *halo_fault(const struct halo_sandbox *box);

/* "page fault", "invalid opcode"; never NULL; static storage; any thread. */
const char *halo_fault_name(uint32_t vector);

/* Which of its registers are known. */
enum halo_processor_known {
    HALO_PROCESSOR_NOTHING = 0, /* all are 0 */
    HALO_PROCESSOR_CALL, /* a process: those of its doorbell, rip, rax, rdi, rsi, rdx, r10, r8, r9,
                            and what the guest's memory has as saved there, rbx, rbp, rsp, r12 to
                            r15; the others are 0 */
    HALO_PROCESSOR_ALL,
};

/* Registers of a guest, as they were where it was left: to be looked at, never to be believed. */
struct halo_processor {
    enum halo_processor_known known;
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip, rflags;
};

/* Of what kind the rule is that a guest broke, and what its words are. */
enum halo_poison_kind {
    HALO_POISON_RING = 1, /* of the virtqueue; words: the descriptor's, addr and meta */
    HALO_POISON_BUFFER,   /* of what a descriptor may name; words: the address, 0 */
    HALO_POISON_MESSAGE,  /* of messages; words: the header (struct halo_message), 0; or 0, 0 where
                             there was none to read, or several together break it */
    HALO_POISON_DOORBELL, /* of the doorbell: words: what it was rung for, and its a */
    HALO_POISON_WAIT,     /* of waiting: it waits for what nobody will send; words: 0 */
};

#define HALO_POISON_NO_QUEUE 0xffffffffu

/* The first rule that a guest broke. It is the only one: the guest never runs again. */
struct halo_poison {
    enum halo_poison_kind kind;
    char rule[96];  /* "BAD_ID", "RANGE", or words that name it: never empty, fit for a terminal */
    uint32_t queue; /* enum halo_queue_index, or HALO_POISON_NO_QUEUE */
    uint16_t slot;  /* RING: of the descriptor */
    uint16_t id;    /* of the chain, where there is a queue */
    uint64_t words[2];               /* the guest's, as they were read, once */
    struct halo_processor processor; /* at the exit with which it came to light */
};

/*
 * What a guest did that has ended with HALO_EPOISONED, or NULL. Every call that was in flight has
 * been answered then, once, with that error. What is left is halo_close. Valid until then.
 */
const struct halo_poison *halo_poison(const struct halo_sandbox *box);

/*
 * What the last function that failed has to say, in words, with the names, types, numbers and
 * addresses that belong to it; "" before any. Each function of a sandbox that returns an error sets
 * them, but for HALO_EBUSY, for they are the other thread's (halo_strerror tells that one), and
 * halo_wait of a call whose answer came before, for its future has the words, or that was given up.
 * What a guest that has ended can no more do gets the words of its end. They stay until the next
 * failure, or the guest's end, and are fit for a terminal.
 */
const char *halo_errmsg(const struct halo_sandbox *box);

/* "kvm" or "process"; "none" where opening failed before one was chosen. */
const char *halo_backend_name(const struct halo_sandbox *box);

/*
 * Why the automatic choice fell on the process backend although /dev/kvm exists, as a sentence
 * that says what to do; NULL where there is nothing to say.
 */
const char *halo_backend_note(const struct halo_sandbox *box);

struct halo_stats {
    uint64_t requests; /* chains taken from the guest */
    uint64_t exits;    /* times the guest was left, for whatever reason */
    uint64_t kicks, waits;
    uint64_t calls;        /* of the host's functions */
    uint64_t calls_out;    /* of the guest's functions */
    uint64_t deferred;     /* answers that did not fit, and were kept for the guest to fetch */
    uint64_t fetched;      /* bytes of those, and of long arguments, that it fetched */
    uint64_t discarded;    /* such answers that were given up */
    uint64_t deferred_out; /* calls of the guest's functions that did not fit its buffers */
    uint64_t spare;        /* bytes of the room for answers in messages that these left over */
    uint64_t spare_out;    /* and of the buffers for calls of the guest's functions */
    uint64_t bytes_in;     /* bytes that the guest read from its streams */
    uint64_t bytes_out;    /* bytes that it wrote to them */
    uint64_t elapsed_ns;   /* inside the functions that run the guest */
    uint64_t system_calls; /* that the guest's C library made and the guest answered; it says so */
    uint64_t restores;     /* halo_restore, */
    uint64_t restored_pages; /* and pages of guest memory that differed, */
    uint64_t compared_pages; /* of those that were looked at: of a large guest not all */
};

/*
 * The sizes that a sandbox has, which are those of the options or what was chosen for it. All of
 * them are 0 where it could not be opened.
 */
void halo_sandbox_sizes(const struct halo_sandbox *box, struct halo_sizes *sizes);

/* Counters since halo_open. Any state, any thread: see halo/metrics.h. */
void halo_stats(const struct halo_sandbox *box, struct halo_stats *stats);

/*
 * How often the guest's C library made the system call `number`, and the guest had no answer
 * (ENOSYS); as the guest says. Numbers from HALO_CALLS_COUNT on are not counted. Any state.
 */
uint32_t halo_unanswered(const struct halo_sandbox *box, uint32_t number);

/*
 * Call `watch` about every `interval_ns` while the guest is being run and leaves, or waits; to show
 * progress, say. It must not use the sandbox but for its counters, halo_interrupt, halo_processor,
 * halo_backtrace, halo_dump and halo_inspect (halo/inside.h). NULL: no more. Any state.
 */
void halo_watch(struct halo_sandbox *box, int64_t interval_ns,
                void (*watch)(struct halo_sandbox *box, void *context), void *context);

#pragma GCC visibility pop

#ifdef __cplusplus
}

/* Start and wait, as halo_call says. Behind the values lies one more: there may be none of them. */
template <class... Values>
int halo_call_with(struct halo_sandbox *box, struct halo_future *future, int function,
                   int64_t timeout_ns, Values... values)
{
    const struct halo_value args[] = {values..., halo_void()};

    (void)halo_call_start(box, future, function, args, sizeof...(values));
    return halo_wait(future, timeout_ns);
}
#endif

#endif
