/*
 * A machine: what runs a guest. It knows memory, registers and how to enter and leave, and no
 * queue.
 *
 *     ram.c       a memory file, and what of it is there
 *     loader.c    an ELF file            -> bytes in guest memory, and the ranges that they need
 *     layout.c    ranges, boot page      -> one picture of guest memory for every backend
 *     backtrace.c where a guest is that has stopped, by its own registers and stack
 *     paging.c    guest memory at other addresses, as its guest has written it down
 *     patch.c     call sites of a program of Linux's, rewritten
 *     doorbell.c  the host's code in guest memory, by which a guest starts, leaves and comes back
 *     kvm.c, process.c                   -> run the guest until it leaves, and say why
 *
 * The life of one: halo__machine_load makes guest memory and loads the program; the backend's
 * create makes what runs it; between enter and leave there are any number of runs, each of which
 * ends with an exit; halo__machine_close frees all of it. Everything here is called by the thread
 * that uses the sandbox. A guest's file may say anything: the loader judges it before a byte of it
 * is copied. Of registers and of an exit's words no more is believed than the backend checks.
 */
#ifndef HALO_SRC_MACHINE_H
#define HALO_SRC_MACHINE_H

#include <halo/halo.h>
#include <halo/inside.h>
#include <halo/ring.h>
#include "../error.h"
#include "../interrupt.h"
#include "context.h"
#include "features.h"
#include "ram.h"
#include "stop.h"
#include "track.h"
#include <poll.h>

enum halo_prot {
    HALO_PROT_READ = 1,
    HALO_PROT_WRITE = 2,
    HALO_PROT_EXEC = 4,
};

/* Pages of guest memory with one protection. Never writable and executable at once. */
struct halo_range {
    uint64_t base; /* whole pages */
    uint64_t len;
    uint32_t prot;   /* what the guest may do at first */
    uint32_t rights; /* what a descriptor may have the host do: enum halo_right, or 0 */
    uint32_t most;   /* what the guest can ask for later; 0: it is not its own */
};

#define HALO_RANGE_MAX 24u
#define HALO_ALTERNATE_LEN 65536u

/* Guest memory, complete: what is in no range is not mapped. */
struct halo_layout {
    struct halo_range ranges[HALO_RANGE_MAX];
    uint32_t range_count;
    uint64_t image_end;  /* first page after the program */
    uint64_t limit;      /* the program must end below this */
    uint64_t relro;      /* what the program makes read-only when it has relocated itself */
    uint64_t relro_len;  /* 0: nothing */
    uint64_t image_base; /* the program's first page */
    uint64_t entry;
    uint64_t syscall_entry; /* what answers the program's system calls, or 0 */
    uint64_t stack_top, stack_len;
    uint64_t stack_wanted; /* by the program's file, or 0 */
    uint64_t boot;
    uint64_t save;
    uint64_t alternate; /* stack for the signals of a guest that is a process */
    uint64_t doorbell;
    struct halo_boot_queue queues[HALO_QUEUE_COUNT];
    struct halo_boot_stack stacks[HALO_STACK_COUNT]; /* of the stack transport, or 0 */
    uint64_t ring, pool, pool_len;
    uint64_t args, args_len;
    uint64_t features; /* ring extensions that the guest is told of */
    struct halo_sizes sizes;
    /* What the guest can take: the largest queue to the host, and a queue to the guest. */
    uint32_t ring_max, calls_min, calls_max;
    bool is_linux; /* a program of Linux's, which says nothing of Halo: */
    struct halo_program_start program;
};

/* Why a guest was left. */
enum halo_exit_kind {
    HALO_EXIT_DOORBELL, /* op, a, b are the guest's: untrusted */
    HALO_EXIT_FAULT,    /* fault is filled */
    HALO_EXIT_PROTECT,  /* it asks for protection `prot` of `len` bytes at `base`: untrusted */
    HALO_EXIT_TIMEOUT,  /* it was interrupted, and can go on */
    HALO_EXIT_DEAD,     /* it cannot go on; `why` says what happened */
};

struct halo_exit {
    enum halo_exit_kind kind;
    uint64_t op, a, b;
    uint64_t base, len, prot;
    struct halo_fault fault;
    bool fills;           /* a fault where paging.c may have memory to be had */
    bool is_claimed;      /* the guest's word is all there is of it: told that there is nothing to
                             be had, it goes on to the fault itself */
    bool releases;        /* it asks for no protection, but to forget those pages (paging.c) */
    bool is_system_call;  /* it faulted at the instruction of one, */
    uint64_t system_call; /* of this number */
    char why[96];
};

/* Pages of guest memory that are to be had at other addresses, too: within one unit. */
struct halo_fill {
    uint64_t at;   /* of the addresses of HALO_PAGING_BASE */
    uint64_t from; /* in guest memory */
    uint64_t len;
    uint32_t prot; /* enum halo_prot, never executable */
};

struct halo_machine;

#define HALO_DOORBELL_LEN 16u
#define HALO_DOORBELL_EXIT 86u /* where the doorbell leaves, from its beginning */
#define HALO_PROTECT_LEN 8u

/* A backend. */
struct halo_backend {
    const char *name;
    bool has_view;       /* its guest has an address space of its own (track.h) */
    bool ends_by_signal; /* SIGURG ends a run of its caller's thread, which has it blocked */
    /* The code by which the guest leaves, filled up with what does nothing: the rest of the
     * doorbell is doorbell.c's. */
    unsigned char doorbell[HALO_DOORBELL_LEN];
    /* A function of the guest's that asks for a protection: HALO_PROTECT_OFFSET. */
    unsigned char protect_code[HALO_PROTECT_LEN];
    /* Another, that asks to forget pages: HALO_RELEASE_OFFSET. */
    unsigned char release_code[HALO_PROTECT_LEN];
    /* Make the machine, ready to enter at halo__doorbell_start. `state` is destroy's in any case.
     */
    int (*create)(struct halo_machine *machine);
    /* Around runs: prepare for the deadline, on this thread. */
    int (*enter)(struct halo_machine *machine, int64_t deadline);
    void (*leave)(struct halo_machine *machine);
    /* Run until the guest leaves, the deadline passes, or an interrupt is wanted. */
    int (*run)(struct halo_machine *machine, int64_t deadline, struct halo_exit *exit);
    /* Where a guest is that was interrupted, or 0: it did not say. To be shown, and no more. */
    uint64_t (*where)(struct halo_machine *machine);
    /* Processor time that the guest has used, in ns, of a machine that counts it; or negative:
     * nobody can tell. */
    int64_t (*cpu)(struct halo_machine *machine);
    /* The registers where the guest was left, as far as they can be had. To be shown, and no more.
     */
    void (*look)(struct halo_machine *machine, struct halo_processor *processor);
    /* By how much the guest's time stamp counter is ahead of the host's, of a guest that does not
     * run; where that cannot be had *ahead stays. NULL: they are the same. */
    void (*ahead)(struct halo_machine *machine, uint64_t *ahead);
    /* After a HALO_EXIT_PROTECT: do it, where `refusal` is 0, and tell the guest. */
    int (*protect)(struct halo_machine *machine, const struct halo_exit *exit, int refusal);
    /* After a HALO_EXIT_FAULT that `fills`: have memory there, and the guest go on: 1. 0: a guest
     * may have no more page tables. Or an error, with words. */
    int (*fill)(struct halo_machine *machine, const struct halo_fill *fill);
    /* Whether it can; NULL: always. */
    bool (*has_paging)(void);
    /*
     * Whatever its guest did, have the next run begin at halo__doorbell_start. `protects`: the
     * machine's protections are others than before. False where it cannot be brought there.
     */
    bool (*restart)(struct halo_machine *machine, bool protects);
    /* A guest that was stopped in the middle of its code goes on at `to`, which is an address of
     * its memory; *from is where it was. False where it does not stand in code of its own. */
    bool (*redirect)(struct halo_machine *machine, uint64_t to, uint64_t *from);
    /* The thread that executes the guest's code, or 0: it is not there. NULL: whoever calls run. */
    int (*thread)(struct halo_machine *machine);
    /* Whether a guest that waits can go on; NULL: what happens elsewhere does not end it. */
    bool (*is_there)(struct halo_machine *machine);
    /*
     * For a debugger, of a guest that does not run. Bring it to where its registers can be read and
     * written: false where that is not possible yet. Read them, as far as they are known; and have
     * the guest go on with others: false where that cannot be had.
     */
    bool (*pause)(struct halo_machine *machine);
    bool (*get)(struct halo_machine *machine, struct halo_context *context);
    bool (*set)(struct halo_machine *machine, const struct halo_context *context);
    /* False where it cannot be told that its guest touches no memory any more. */
    bool (*destroy)(struct halo_machine *machine);
};

extern const struct halo_backend halo__kvm;
extern const struct halo_backend halo__process;

/* The host's clock, and its time stamp counter at that time. */
struct halo_moment {
    int64_t ns;
    uint64_t counter;
};

struct halo_machine {
    const struct halo_backend *backend;
    struct halo_layout layout;
    struct halo_ram ram;
    struct halo_track track;
    struct halo_words *words;
    struct halo_interrupt interrupt; /* the sandbox's: a run ends where it is wanted */
    void *state;                     /* the backend's own */
    bool is_auto;                    /* the backend may still become the other one */
    bool is_strict;                  /* every namespace is asked for, or there is no sandbox */
    bool keeps_code;                 /* nothing of a program's code is rewritten */
    uint32_t grace_ms;               /* of a program that is told of its end */
    bool has_patched;                /* something was, since `image` was the memory's */
    bool counts_cpu;                 /* what backend->cpu tells is asked for */
    bool upcalls;      /* it may be called while it computes: it is stopped for that */
    int64_t sample_ns; /* how often it is to be looked at while it runs, or 0 */
    bool is_debugged;  /* it may listen, from the next entering on: */
    bool listens;      /* a run ends when this descriptor can be read, */
    int debugger;
    int64_t cpu_ns;            /* of KVM: in all runs so far */
    uint64_t counter_rate;     /* of the guest's time stamp counter; 0: the backend has no word */
    uint64_t image;            /* serial of what the memory was last, struct halo_image, or 0 */
    uint64_t epoch;            /* of the boot page */
    uint32_t trace;            /* and what it says of the guest's own events */
    struct halo_features told; /* halo__machine_told */
    unsigned char *prots;     /* of each page, enum halo_prot; NULL: those of the layout's ranges */
    int64_t clock_ahead;      /* of the host's: halo__machine_take_time */
    struct halo_moment first; /* when it was opened; any thread may read it */
    struct halo_moment since, next_since; /* the counter's rate is measured since; status.c */
    struct halo_stop stop;
    uint32_t poll_ns; /* how long host and guest look before they sleep; 0: they do not */
    char note[160];   /* why the automatic choice fell on the process backend, or "" */
};

struct halo_image;

/* Where a program comes from: a path, else bytes, else a descriptor. */
struct halo_program {
    const char *path;
    const void *bytes;
    size_t len;
    int fd;
    bool has_no_path;               /* where there was to be one */
    const struct halo_image *image; /* else what a snapshot has kept, to be brought back */
};

/*
 * Choose a backend, make guest memory and load the program. Returns 0 or an error, with
 * words in `words`, which must live as long as the machine; close it in any case. What is left is
 * halo__machine_create.
 */
int halo__machine_load(struct halo_machine *machine, struct halo_words *words,
                       const struct halo_program *program, const struct halo_options *options);

/*
 * The backend's create. Where the choice was automatic and KVM turns out to be of no use, the guest
 * becomes a process, and `note` says why.
 */
int halo__machine_create(struct halo_machine *machine);
void halo__machine_close(struct halo_machine *machine);

/* The registers of a guest that does not run; all 0 where nothing is known. */
void halo__machine_look(struct halo_machine *machine, struct halo_processor *processor);
/* Its calls: halo_backtrace, from these registers. Returns how many frames there are. */
uint32_t halo__machine_backtrace(struct halo_machine *machine,
                                 const struct halo_processor *processor, struct halo_frame *frames,
                                 uint32_t max);

/* How long ago the host's counter was that, in ns, or UINT64_MAX: nobody knows. */
uint64_t halo__machine_age(const struct halo_machine *machine, uint64_t counter);

/* A page fault where a stack that is too small ends. */
bool halo__layout_is_overflow(const struct halo_layout *layout, const struct halo_fault *fault);

/* After a HALO_EXIT_PROTECT: judge it, and have the backend do it or refuse it. 0, or an error of
 * the host's. */
int halo__machine_protect(struct halo_machine *machine, const struct halo_exit *exit);

/*
 * After a HALO_EXIT_FAULT that `fills`: 1, and the guest can go on; 0: it is a fault; or an error,
 * with words, where guest memory, or what describes it, is used up.
 */
int halo__machine_fill(struct halo_machine *machine, const struct halo_exit *exit);

/*
 * Rewrite the program's code around its `syscall` at that address, the guest's word, where it may
 * be (patch.c); else nothing changes. `behind`: so may what is behind it, says the guest. 0, or
 * HALO_ENOMEM, with words.
 */
int halo__machine_patch(struct halo_machine *machine, uint64_t site, bool behind);

#define HALO_TICK_NS 10000000 /* how often */
/* Raise SIGTERM in a guest that stands still: whether it takes that. tick.c */
bool halo__raise(struct halo_machine *machine);
/* Does the guest want ticks now (tick.c)? */
bool halo__tick_is_wanted(const struct halo_machine *machine);
/* It is at `rip`: where it is to go on instead, or 0. */
uint64_t halo__tick(struct halo_machine *machine, uint64_t rip);

/* What the guest is told of the processor. A process is asked for it here: where `cpuid` is
 * emulated that takes long, and few ask. */
const struct halo_features *halo__machine_told(struct halo_machine *machine);

/*
 * For other memory: have the next run begin at the start, whatever the guest did, with these
 * protections (see `prots`, copied). Where the machine cannot be brought there, or is to be
 * replaced, it is made anew. 0, or an error, with words: then it cannot be used any more.
 */
int halo__machine_restart(struct halo_machine *machine, const unsigned char *prots, bool replace);

/* A debugger has something to say: a run ends, where the machine has one. */
static inline bool halo__machine_is_called(const struct halo_machine *machine)
{
    struct pollfd pollfd = {.fd = machine->debugger, .events = POLLIN};

    return machine->listens && poll(&pollfd, 1, 0) != 0;
}

/* False where a guest that waits was ended meanwhile, by whom it may be. */
bool halo__machine_is_there(struct halo_machine *machine);

/* As the first thing: from now on the rate of the time stamp counter is measured. */
void halo__machine_begin_time(struct halo_machine *machine);
/* So long in ticks of the guest's time stamp counter; less where its rate is not known yet. */
uint32_t halo__machine_ticks(const struct halo_machine *machine, uint32_t ns);
/* So many ticks of the host's in ns, on any thread. */
uint64_t halo__machine_ns(const struct halo_machine *machine, uint64_t ticks);
/* Before each run: what the guest is told of time. For guests that make system calls. */
void halo__machine_tell(struct halo_machine *machine);
/* Its clock goes on from where the status line has it, which is a snapshot's. */
void halo__machine_take_time(struct halo_machine *machine);

/*
 * The ranges that a descriptor may name as regions, the pool first because nearly all name it.
 * `regions` has HALO_RANGE_MAX places; returns how many there are.
 */
uint32_t halo__layout_regions(const struct halo_machine *machine, struct halo_region *regions);

/* --- Between the files of this folder --------------------------------------------------------- */

/* paging.c: whether all of these addresses are of it; and after a HALO_EXIT_PROTECT that names
 * such, may that be done? 0, or a negative errno of Linux. */
bool halo__paging_is_there(uint64_t base, uint64_t len);
/* Where in guest memory that page is, as its guest says; or 0. It may be anywhere. */
uint64_t halo__paging_find(struct halo_machine *machine, uint64_t page);
int halo__paging_judge(const struct halo_exit *exit);

/* Make guest memory and decide where everything but the program goes. */
int halo__layout_begin(struct halo_machine *machine, const struct halo_options *options);
/* After loading: stack, heap, boot page, doorbell. */
int halo__layout_finish(struct halo_machine *machine, const struct halo_options *options);
int halo__layout_add(struct halo_machine *machine, struct halo_range range);
/* What every layout has besides its program and heap: stack, pool, rings, what the guest is told,
 * doorbell. */
#define HALO_RANGES_SYSTEM 5u
void halo__layout_system(const struct halo_layout *layout,
                         struct halo_range ranges[HALO_RANGES_SYSTEM]);
/* May the guest have this protection? 0, or a negative errno of Linux. */
int halo__layout_protect(const struct halo_layout *layout, uint64_t base, uint64_t len,
                         uint64_t prot);
/* What the guest may do with that byte of memory: enum halo_prot, or 0. */
uint32_t halo__layout_prot(const struct halo_machine *machine, uint64_t address);
/*
 * Memory with one protection, from `*at` on, an address of guest memory, which is moved behind it:
 * false where there is no more. Of each range, and within it as `prots` says.
 */
bool halo__layout_next(const struct halo_machine *machine, uint64_t *at, struct halo_range *next);

/* Whether both are of machines that need not differ. */
bool halo__layout_is_same(const struct halo_layout *a, const struct halo_layout *b);
/* Say in the boot page whether the guest records events, and in which trace. */
void halo__layout_trace(struct halo_machine *machine, uint32_t trace);
/* Have the kernel find the memory that the host touches all the time. */
int halo__layout_find(struct halo_machine *machine);
/* What a guest must not have twice is drawn again, as of an epoch after this one. */
int halo__layout_renew(struct halo_machine *machine, uint64_t epoch);

/* The doorbell's page, with the backend's exit: again where the backend has changed. */
void halo__doorbell_write(struct halo_machine *machine);
/* Save page and stack, so that what goes on at the start below begins the program. */
void halo__doorbell_begin(struct halo_machine *machine);
/* The first instruction that a machine executes: whatever its registers have, all is cleared or
 * loaded there, but for FS and GS base where this kernel lets no program set them. */
uint64_t halo__doorbell_start(const struct halo_layout *layout);
bool halo__doorbell_has_bases(void);
/* Where the doorbell's page leads to a guest's own code for system calls, rcx and all being set. */
uint64_t halo__doorbell_syscall_way(const struct halo_layout *layout);

/* A guest's file, in memory. */
struct halo_guest_file {
    const char *name;
    const unsigned char *bytes;
    uint64_t len;
    unsigned char *memory; /* the bytes, where they are the loader's own */
};

/* Read it, and see of which kind it is. */
int halo__load_begin(struct halo_machine *machine, const struct halo_program *program,
                     struct halo_guest_file *file);
/* Check it, place it in guest memory, add its ranges to the layout. */
int halo__load(struct halo_machine *machine, const struct halo_guest_file *file);

/* Place what answers the system calls of a program of Linux's behind it: it is what is entered. */
int halo__runtime_load(struct halo_machine *machine);

#endif
