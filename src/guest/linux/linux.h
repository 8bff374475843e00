/*
 * System calls of Linux, answered inside the guest: what a C library needs of its kernel, and
 * threads, of which one runs at a time. A pure library: it knows a small host interface, the
 * program's memory and nothing else, so that it runs and is tested anywhere.
 *
 *     table.c      numbers and functions; what is unknown is ENOSYS, and counted
 *     paging.c     memory at other addresses than its own, which has none before it is used
 *     pointers.c   every pointer's check
 *     memory.c     which memory the program has: brk, mmap and their kin
 *     descriptors.c  numbers of open files
 *     streams.c    read, write, and what both streams and files have
 *     poll.c       waiting for them: poll, select
 *     tree.c       names of files in memory, and their directories
 *     walk.c       from a name of the program's to one of those, through links
 *     access.c     what is asked of a name
 *     links.c      hard and symbolic links
 *     names.c      what changes names: new directories, names that go or change
 *     attributes.c rights, owner and times of a file, and its file system
 *     files.c      files in memory: their bytes, and what they are
 *     clock.c      what time it is
 *     time.c       the calls that ask for it, and sleep
 *     process.c    exit, who one is, limits
 *     threads.c    which threads there are
 *     turns.c      who of them runs, and what the others wait for
 *     clone.c      how they begin and end
 *     futex.c      words that they wait for
 *     signals.c    signals of the program's to itself: which are blocked, pending, handled
 *     expiry.c     when a timer is due next
 *     timers.c     alarms and timers: what they raise, and the calls that set them
 *     wait.c       every wait that a signal can cut short
 *     random.c     random numbers
 *     entry.c      where a system call arrives, in a guest
 *     vectors.c    the vector registers meanwhile
 *     switch.c     from one thread to another
 *     patch.c      which call sites the host is asked to rewrite
 *     handler.c    the frame that a handler finds on its stack, and the way back
 *     start.c      what the table needs, from the guest's library
 *     linked.c     the start of a program that is linked with all of this
 *     program.c    the start of one that is not: a file of Linux's, as it is
 *
 * A program's pointer is checked against the memory that it has before anything is read or written
 * through it: EFAULT, and not a fault. Results are those of Linux, or ENOSYS; docs/linux.md lists
 * what differs. A call's way, write(1, "hello", 5):
 *
 *     entry.c     halo__linux_entry   registers into a frame, on a stack of our own
 *     entry.c     halo__linux_enter   signals; and the table:
 *     table.c     linux_call          counts it, finds linux_write
 *     streams.c   linux_write         is the descriptor open for that, may the bytes be read?
 *     start.c     host->write         gathers them with halo_write; they go out when it waits
 *     entry.c                         the result in rax, all else as it was
 */
#ifndef HALO_SRC_GUEST_LINUX_H
#define HALO_SRC_GUEST_LINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINUX_PAGE 4096ull
#define LINUX_CALLS 512u /* numbers from here on are not even counted */
#define LINUX_RANGES_MAX 32u
#define LINUX_UNIT 65536ull /* of memory at other addresses */
#define LINUX_AREAS_MAX 512u
#define LINUX_UNIT_KEPT 0x3fffffffu /* what is said of one: struct halo_paging */
#define LINUX_UNIT_USED 0x80000000u
#define LINUX_DESCRIPTORS 64u
#define LINUX_FILES 64u
#define LINUX_NAMES 96u /* of them */
#define LINUX_PIPE_ROOM 65536u
#define LINUX_PATH_MAX 256u /* with its zero byte */
#define LINUX_SIGNALS 64u
#define LINUX_QUEUE 32u  /* signals that are pending, with what is told of them */
#define LINUX_TIMERS 16u /* and the alarm */
#define LINUX_THREADS 128u
#define LINUX_FUTEX_SHARED 1ull /* of the address that a thread waits for: futex.c */
#define LINUX_WORDS_MAX 400u    /* of what is told of the program's end */

struct linux_thread;

/* What the table needs from outside. Results are 0 or a count, or a negative errno. */
struct linux_host {
    void *context;
    /* Streams, by the handles of standard input, output and error. A read may bring less. */
    int64_t (*read)(void *context, uint32_t handle, void *to, size_t len);
    int64_t (*write)(void *context, uint32_t handle, const void *from, size_t len);
    /* Would a read bring something, or the end, within so many nanoseconds? */
    bool (*readable)(void *context, uint32_t handle, int64_t wait_ns);
    void (*now)(void *context, int64_t *monotonic_ns, int64_t *real_ns);
    void (*sleep)(void *context, int64_t ns);
    void (*set_fs)(void *context, uint64_t base);
    /* Have the processor enforce a protection of whole pages; NULL: it cannot be had. */
    int64_t (*protect)(void *context, uint64_t base, uint64_t len, int prot);
    /* What was to be had at these addresses of paging.c is another, or nothing. */
    int64_t (*release)(void *context, uint64_t base, uint64_t len);
    /* The program ends, as by exit; in the tests this comes back. */
    void (*halt)(void *context, int code);
    /* Of threads; NULL: there is only one. Make a thread that returns from this call with 0, on a
     * stack of the program's at that address, or where this one is: false, where there is no
     * memory. */
    bool (*spawn)(void *context, struct linux_thread *thread, uint64_t sp);
    /* Go on with another thread; this comes back when this one is gone on with. */
    void (*change)(void *context, struct linux_thread *from, struct linux_thread *to);
    /* From now on the program is to be interrupted now and then (linux_interrupted), or no more. */
    void (*ticks)(void *context, bool wanted);
    /* All of it waits for ever. In the tests, or where it is NULL, this comes back. */
    void (*stuck)(void *context, const char *words, size_t len);
    /* A line for whoever runs it. */
    void (*say)(void *context, const char *words);
};

/* Memory that the program has from the start: its segments and its stack. */
struct linux_range {
    uint64_t base, len;
    unsigned prot; /* PROT_READ and PROT_WRITE */
};

/* Addresses of one protection, which have memory when they have been used. */
struct linux_area {
    uint64_t base, len;
    uint64_t prot;
};

/* Where the host finds all of that: struct halo_paging. */
struct linux_paging {
    uint64_t areas, units, first;
    uint32_t area_count, unit_count;
};

enum linux_kind {
    LINUX_FREE,
    LINUX_STREAM,
    LINUX_FILE,
    LINUX_NULL,   /* /dev/null */
    LINUX_ZERO,   /* /dev/zero */
    LINUX_RANDOM, /* /dev/urandom */
    LINUX_PIPE,
};

/* What open makes and dup shares. */
struct linux_open {
    uint8_t kind;    /* enum linux_kind */
    uint32_t count;  /* descriptors that name it */
    uint32_t flags;  /* O_… */
    uint32_t handle; /* of a stream */
    struct linux_file *file;
    struct linux_pipe *pipe;
    int64_t offset;
};

struct linux_descriptor {
    struct linux_open *open; /* NULL: not open */
    bool is_cloexec;
};

/* A file, a directory or a symbolic link in memory. */
struct linux_file {
    bool is_used, is_directory, is_link;
    uint32_t mode;
    uint32_t links; /* names that it has */
    uint32_t opens;
    unsigned char *bytes; /* pages of the program's memory */
    uint64_t len, room;
    int64_t accessed_ns, modified_ns, changed_ns; /* accessed: as it was made or set */
    char target[LINUX_PATH_MAX];                  /* of a symbolic link */
};

/* A directory has one, any other file as many as there is room for. */
struct linux_name {
    struct linux_file *file;   /* NULL: free */
    char path[LINUX_PATH_MAX]; /* absolute, without . and .., and through no symbolic link */
};

struct linux_action { /* struct kernel_sigaction */
    uint64_t handler;
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

/* What is told of a signal that is pending: a part of siginfo_t. */
struct linux_note {
    uint32_t signal; /* 0: free */
    int32_t code;
    uint32_t pid, uid; /* of a timer: its number, and how often it was too late */
    uint64_t value;
    uint32_t timer;  /* its number and 1, or 0 */
    uint32_t thread; /* the one that it was sent to; 0: all of them */
};

struct linux_timer {
    bool is_used;
    uint32_t clock, signal, notify;
    uint32_t thread; /* whose its signal is, or 0 */
    uint64_t value;
    int64_t at, interval; /* of the monotonic clock; 0: it does not run */
    bool is_pending;      /* its signal was sent and not yet taken */
    uint32_t overrun;     /* of the last one that was taken */
};

/* struct sigaltstack */
struct linux_altstack {
    uint64_t base;
    uint32_t flags, pad;
    uint64_t len;
};

/* A signal that has come for a handler. */
struct linux_delivery {
    struct linux_note note;
    struct linux_action action;
    uint64_t mask; /* to restore when the handler returns */
};

/* What a thread waits for; nothing: it can run. */
enum linux_wait {
    LINUX_WAITS_FUTEX = 1,
    LINUX_WAITS_INPUT = 2,
    LINUX_WAITS_PIPE = 4,
    LINUX_WAITS_TIME = 8, /* and for nothing else */
    LINUX_WAITS_SIGNAL = 16,
};

/* Why it waits no longer. */
enum linux_end {
    LINUX_WOKEN,
    LINUX_TIMED_OUT,
    LINUX_INTERRUPTED,
    LINUX_NEVER, /* nothing can wake it */
};

struct linux_thread {
    uint32_t id;               /* 0: there is none */
    bool has_ended;            /* the first one stays */
    uint8_t waits;             /* enum linux_wait */
    uint8_t end;               /* enum linux_end, of the last wait */
    uint32_t bitset;           /* of a futex */
    uint64_t address;          /* of a futex, or a stream's handle */
    int64_t until;             /* of the monotonic clock, at most */
    uint64_t turn;             /* who has waited for longer has the lesser number */
    uint64_t awaited;          /* signals that it waits for, and takes by rt_sigtimedwait */
    uint64_t clear_id, robust; /* addresses that are looked at when it ends, or 0 */
    void *place;               /* the host's, and stays with the next thread */

    /* What the table has of the one that runs. */
    uint64_t fs, sp, blocked, own, kept_mask;
    bool has_kept_mask;
    struct linux_altstack altstack;
    char name[16];
};

/* Between the host and the table: a part of struct halo_tick, by bits of signals. */
struct linux_outside {
    uint64_t raised; /* from outside: the table takes them */
    uint64_t takes;  /* which it would take */
};

struct linux_table {
    const struct linux_host *host;
    struct linux_outside *outside; /* NULL: no signal comes from there */
    uint64_t calls;
    uint32_t *unknown; /* LINUX_CALLS counts of what was asked for in vain, or NULL */

    /* memory.c */
    struct linux_range ranges[LINUX_RANGES_MAX];
    uint32_t range_count;
    uint32_t pair_range;       /* of pointers.c: where a time was last given */
    uint64_t base, page_count; /* memory that can be had */
    unsigned char *pages;      /* the state of each of them */
    uint64_t brk;

    /* paging.c */
    struct linux_paging *paging; /* NULL: there is none of it */
    uint32_t *units;
    uint64_t far_base, far_len; /* addresses that it may use */
    struct linux_area areas[LINUX_AREAS_MAX];

    /* streams.c, pipes.c, tree.c, files.c */
    struct linux_open opens[LINUX_DESCRIPTORS];
    struct linux_descriptor descriptors[LINUX_DESCRIPTORS];
    struct linux_file files[LINUX_FILES];
    struct linux_name names[LINUX_NAMES];
    uint32_t umask;
    char folder[LINUX_PATH_MAX]; /* where names are relative to */

    /* time.c, process.c */
    int64_t start_ns;
    uint64_t stack_len;
    uint64_t fs;
    struct linux_action actions[LINUX_SIGNALS + 1];
    uint64_t blocked;
    uint64_t shared, own; /* pending: sent to all threads, and to the one that runs */
    uint64_t pending;     /* either of them */
    uint64_t kept_mask;
    bool has_kept_mask; /* a call has put its mask in place of it */
    struct linux_note notes[LINUX_QUEUE];
    uint32_t note_count;
    struct linux_altstack altstack;
    uint64_t sp; /* the program's, at the call */
    char name[16];

    /* threads.c, turns.c, clone.c */
    struct linux_thread threads[LINUX_THREADS];
    struct linux_thread *current;
    uint32_t thread_count;
    uint32_t thread_top; /* behind the last of `threads` that was ever used */
    uint32_t last_id;
    uint64_t turns;
    int64_t looked_ns; /* when it was last seen whether there is input */
    int exit_code;     /* of the first thread */
    bool ticks;        /* the program is interrupted now and then */
    bool has_refused;  /* another process, in words */

    /* timers.c: the last is the alarm's */
    struct linux_timer timers[LINUX_TIMERS + 1];
    uint32_t timer_count; /* of those that run */

    /* random.c */
    uint32_t key[8];
};

/*
 * Begin with `len` bytes of zeroed memory at `base`, whole pages, to give to the program; a part of
 * it becomes the table's own. The caller's copy of the seed is cleared.
 */
void linux_init(struct linux_table *table, const struct linux_host *host, void *base, uint64_t len,
                uint64_t seed[4]);

/* The table's memory was restored: random numbers go on from this seed, too, which is wiped. */
void linux_reseed(struct linux_table *table, uint64_t seed[4]);
/* Memory that the program has anyway. What does not fit into the list is none: EFAULT. */
void linux_add_range(struct linux_table *table, uint64_t base, uint64_t len, bool is_writable);

/*
 * There are addresses without memory, from `base` on: where one of an area is used, there is some
 * from the units that `paging` tells of.
 */
void linux_add_far(struct linux_table *table, struct linux_paging *paging, uint64_t base,
                   uint64_t len);

/* Pages like the program's own, zeroed, or NULL; and back. */
void *linux_memory_take(struct linux_table *table, uint64_t len);
void linux_memory_give(struct linux_table *table, void *base, uint64_t len);

/* Has a call left nothing to be done: no signal, no timer that runs, no mask to put back? */
static inline bool linux_is_quiet(const struct linux_table *table)
{
    return table->timer_count == 0 && table->pending == 0 && !table->has_kept_mask;
}

/* A result that no program sees: the call was cut short (ERESTARTSYS and its kin). */
static inline bool linux_is_cut(int64_t result)
{
    return result <= -512 && result >= -514;
}

/* Answer a system call: its result, or a negative errno. */
int64_t linux_call(struct linux_table *table, uint64_t number, const uint64_t args[6]);

/* The program was interrupted while it computed: another thread's turn. */
void linux_interrupted(struct linux_table *table);

/* A signal was raised outside that ends waits. */
bool linux_is_cut_short(const struct linux_table *table);

/* Raise what the timers have due, and what comes from outside. Cheap where there is nothing. */
void linux_timers_look(struct linux_table *table);
/*
 * The next signal for a handler of the program's, which is blocked from now on; false: none. What
 * ends the program does so here.
 */
bool linux_take_signal(struct linux_table *table, struct linux_delivery *delivery);
/* The alternate stack that a handler at this stack pointer is to begin on, or 0. */
uint64_t linux_altstack_top(const struct linux_table *table, uint64_t sp);
/* Use another one, if it may be used: 0 or a negative errno. */
int64_t linux_altstack_set(struct linux_table *table, const struct linux_altstack *new,
                           uint64_t sp);
/* The same, with flags that say how this stack pointer stands to it. */
struct linux_altstack linux_altstack_get(const struct linux_table *table, uint64_t sp);
/* May all of this be written, or read? */
bool linux_may_read(const struct linux_table *table, uint64_t address, uint64_t len);
bool linux_may_write(const struct linux_table *table, uint64_t address, uint64_t len);

#endif
