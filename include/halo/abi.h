/*
 * The contract between host and guest: what lies where, and what it means.
 *
 * Both sides include this file and nothing else of each other. All fields are little-endian; every
 * offset is asserted. What may change within a version, and what makes a new one, stands in
 * docs/protocol.md, section 1.
 */
#ifndef HALO_ABI_H
#define HALO_ABI_H

#include <halo/abi_linux.h>
#include <halo/abi_upcall.h>
#include <halo/language.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The version of all of this. A guest file says which one it was built for in an ELF note, so that
 * a host can refuse it in words before anything runs; the boot page says which one the host speaks.
 */
#define HALO_ABI_VERSION 3u

/*
 * The notes: their name and types. The description of the first is HALO_ABI_VERSION as one 32-bit
 * word. A guest that makes system calls has the second, too: the address of the code that answers
 * them, as one 64-bit word. See HALO_SYSCALL_OFFSET.
 */
#define HALO_NOTE_NAME "Halo"
#define HALO_NOTE_ABI 1u
#define HALO_NOTE_SYSCALL 2u

/* Another: the largest ring that the guest can take as its queue to the host, as a 32-bit word. */
#define HALO_NOTE_RING 3u

/* And another: the smallest and the largest ring as its queue to the guest, as two 32-bit words. */
#define HALO_NOTE_CALLS 4u

/*
 * Another, beside that of HALO_NOTE_SYSCALL: where the list begins and ends of what the program
 * relocates by itself, two 64-bit words. Where they are the same, memory that is to be read-only
 * after relocation is so from the start.
 */
#define HALO_NOTE_RELOCATION 5u

/* What a guest without the note has; and what the queue to the guest has where nobody chooses. */
#define HALO_QUEUE_SIZE_DEFAULT 256u

/* Guest memory. One address space, the same on every backend; what is not listed is unmapped. */
#define HALO_RAM_BASE 0x200000ull
#define HALO_PROGRAM_BASE 0x400000ull /* guests are linked to start here; the stack is below */
#define HALO_PAGE 4096ull

/* The boot page, read-only for the guest. Its address is the guest's first argument. */
#define HALO_BOOT_MAGIC 0x544f4f424f4c4148ull /* "HALOBOOT" */

enum halo_queue_index {
    HALO_QUEUE_G2H = 0, /* the guest's requests */
    HALO_QUEUE_H2G = 1, /* buffers for the host's calls, and the guest's answers to them */
    HALO_QUEUE_COUNT = 2,
};

struct halo_boot_queue {
    uint64_t desc;
    uint64_t driver_event;
    uint64_t device_event;
    uint32_t size;
    uint32_t reserved;
};

/* How messages travel. */
enum halo_transport {
    HALO_TRANSPORT_RING = 0,  /* in the two queues */
    HALO_TRANSPORT_STACK = 1, /* on two stacks, one message for each exit; no streams */
};

/*
 * A stack in shared memory: first the offset of its next free byte, u64; then messages, each behind
 * the last and followed by the offset where it begins, u64. Empty, that offset is HALO_STACK_FIRST.
 */
struct halo_boot_stack {
    uint64_t base;
    uint64_t len;
};

#define HALO_STACK_FIRST 8u

enum halo_stack_index {
    HALO_STACK_G2H = 0, /* the guest pushes, the host pops */
    HALO_STACK_H2G = 1,
    HALO_STACK_COUNT = 2,
};

struct halo_boot {
    uint64_t magic;
    uint32_t version; /* HALO_ABI_VERSION */
    uint32_t queue_count;
    uint64_t features; /* ring extensions that are on: HALO_FEATURE_…, halo/ring.h */
    uint64_t ram_base;
    uint64_t ram_len;
    uint64_t heap_base; /* zeroed memory that nothing else uses */
    uint64_t heap_len;
    uint64_t pool_base; /* memory for buffers that descriptors name */
    uint64_t pool_len;
    uint64_t doorbell; /* code: void doorbell(uint64_t op, uint64_t a, uint64_t b) */
    uint64_t args;     /* arg_count strings, each with its zero byte, one after the other */
    uint32_t args_len;
    uint32_t arg_count;
    struct halo_boot_queue queue[HALO_QUEUE_COUNT];
    uint32_t transport; /* enum halo_transport */
    uint32_t reserved;
    struct halo_boot_stack stack[HALO_STACK_COUNT]; /* in the pool; 0 with the other transport */
    /* Reserved for later parts; 0 means that the host has none of it. */
    uint64_t status;  /* address of a line that the host alone writes: what it does, and the time */
    uint64_t save;    /* address of a page in which the doorbell's code saves registers */
    uint64_t epoch;   /* grows with every restore: what is of an older one is stale */
    uint64_t seed[4]; /* random bits, new after every restore */
    uint64_t stack_low; /* the program's stack: its lowest address, and its length */
    uint64_t stack_len;
    uint64_t deferred_len;   /* of answers that do not fit: what the host keeps, in bytes */
    uint32_t deferred_max;   /* and how many of them */
    uint32_t spare_max;      /* most spare bytes of a read: HALO_SPARE_MAX, 3 or 0 */
    uint64_t protect;        /* code: see HALO_PROTECT_OFFSET */
    uint32_t rows_max;       /* HALO_ROWS_MAX where the host makes calls with rows */
    uint32_t env_count;      /* strings of the environment, behind those of args */
    uint64_t program;        /* address of a struct halo_program_start, or 0 */
    uint32_t aggregates_max; /* HALO_AGGREGATES_MAX where the host calls aggregates, or 0 */
    uint32_t arguments_max;  /* of functions, absent values too: 16, or 0: 8, and none are absent */
    uint32_t poll_ticks; /* of the time stamp counter, for which a guest that finds nothing looks
                            before it waits: its host runs beside it; or 0 */
    uint32_t log_max;    /* HALO_LOG_MAX where the host takes lines of a log, or 0 */
    uint32_t trace; /* not 0: the guest records events (halo/events.h); another number: anew. It may
                       change while the guest is at its doorbell */
    uint32_t patches;    /* HALO_PATCHES where the host rewrites call sites, or 0 */
    uint32_t own_input;  /* 1: standard input may be read ahead, it is nobody else's */
    uint32_t more_types; /* types of values besides numbers and text: enum halo_more_types, or 0 */
    uint64_t release; /* code: see HALO_RELEASE_OFFSET; 0: there is no memory at other addresses */
    uint32_t rows_share; /* 1: calls with rows may share columns, where the guest can; or 0 */
    uint32_t signals;    /* 1: its host may raise SIGTERM: struct halo_tick; or 0 */
};

enum halo_more_types {
    HALO_MORE_LISTS = 1,
    HALO_MORE_HANDLES = 2,
};

HALO_STATIC_ASSERT(offsetof(struct halo_boot, magic) == 0, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, version) == 8, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, queue_count) == 12, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, features) == 16, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, ram_base) == 24, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, ram_len) == 32, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, heap_base) == 40, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, heap_len) == 48, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, pool_base) == 56, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, pool_len) == 64, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, doorbell) == 72, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, args) == 80, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, args_len) == 88, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, arg_count) == 92, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, queue) == 96, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, transport) == 160, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, stack) == 168, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, status) == 200, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, save) == 208, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, epoch) == 216, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, seed) == 224, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, stack_low) == 256, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, deferred_len) == 272, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, deferred_max) == 280, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, spare_max) == 284, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, protect) == 288, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, rows_max) == 296, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, env_count) == 300, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, program) == 304, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, aggregates_max) == 312, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, arguments_max) == 316, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, poll_ticks) == 320, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, log_max) == 324, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, trace) == 328, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, patches) == 332, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, own_input) == 336, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, more_types) == 340, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, release) == 344, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, rows_share) == 352, "boot page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_boot, signals) == 356, "boot page layout");
HALO_STATIC_ASSERT(sizeof(struct halo_boot) == 360, "boot page layout");
HALO_STATIC_ASSERT(sizeof(struct halo_boot_queue) == 32, "boot page layout");
HALO_STATIC_ASSERT(sizeof(struct halo_boot_stack) == 16, "boot page layout");

/*
 * What the register fs points to, in the boot page's second half: what compilers for x86-64 expect
 * of a thread, so that their stack protector works in guests.
 */
#define HALO_THREAD_OFFSET 2048u

struct halo_thread {
    uint64_t self; /* its own address */
    uint64_t unused[4];
    uint64_t canary; /* random */
};

HALO_STATIC_ASSERT(offsetof(struct halo_thread, canary) == 0x28, "the ABI's");
HALO_STATIC_ASSERT(sizeof(struct halo_boot) <= HALO_PROGRAM_OFFSET, "they share a page");
HALO_STATIC_ASSERT(HALO_PROGRAM_OFFSET + sizeof(struct halo_program_start) <= HALO_THREAD_OFFSET,
                   "they share a page");

/*
 * The status line, in the boot page, for guests that make system calls: what the host says each
 * time before it lets the guest run, to be read without leaving the guest. A field of 0 is unknown.
 */
#define HALO_STATUS_OFFSET 3072u

struct halo_status {
    uint32_t sequence; /* odd while the rest changes */
    uint32_t unused[3];
    int64_t monotonic_ns;  /* the clocks, when the guest was entered */
    int64_t real_ns;       /* since 1970 */
    uint64_t counter_rate; /* of the time stamp counter, in Hz */
    uint64_t more[3];
};

HALO_STATIC_ASSERT(sizeof(struct halo_status) == 64, "a cache line");

/*
 * Bytes that the guest has gathered for a stream and has not sent: where it ends before it could,
 * however that is, its host takes them from here.
 */
struct halo_unsent {
    uint32_t handle;
    uint32_t len; /* 0: there are none; at most HALO_WINDOW_BYTES */
    uint64_t address;
};

#define HALO_UNSENT_MAX 64u

/* Numbers of system calls that are counted. */
#define HALO_CALLS_COUNT 512u

/*
 * What the doorbell's code saves before the guest leaves: what a function has to keep of the
 * processor. Where it returns to is on the stack.
 */
struct halo_registers {
    uint64_t rbx, rbp, rsp;
    uint64_t r12, r13, r14, r15;
    uint64_t fs_base, gs_base; /* where the kernel lets programs read them, else as they began */
    uint32_t mxcsr;
    uint16_t control; /* of the x87 */
    uint16_t unused;
};

HALO_STATIC_ASSERT(sizeof(struct halo_registers) == 80, "registers layout");

/*
 * Memory at other addresses than its own, for guests that make system calls. From HALO_PAGING_BASE
 * on, areas are addresses with a protection, and have no memory. Where one is used for the first
 * time, the host gives it a unit of guest memory, 64 KiB that no other use has, zeroed, and the
 * guest goes on. All of that is written down in guest memory, by the guest and by the host while
 * the guest stands still; what processor or kernel have of it is no more than a copy, which the
 * host makes anew where it is missing. A guest that takes something away has to say so
 * (HALO_RELEASE_OFFSET).
 *
 * Areas are readable, or readable and writable, or neither, and never executable; and units are
 * memory that can never become so.
 */
#define HALO_PAGING_BASE 0x10000000000ull
#define HALO_PAGING_LEN (64ull << 30)
#define HALO_UNIT_LEN 65536u
#define HALO_AREAS_MAX 512u
/* What is said of a unit, in the lower 30 bits: 0, it is free; that it is not to be taken; else, in
 * units from HALO_PAGING_BASE, the address that it has, and 1. The next bit is the guest's. */
#define HALO_UNIT_KEPT 0x3fffffffu
#define HALO_UNIT_USED 0x80000000u /* and: it may hold something */

struct halo_area {
    uint64_t base, len; /* whole pages */
    uint64_t prot;      /* PROT_READ and PROT_WRITE of Linux */
};

struct halo_paging {
    uint64_t areas; /* address of the first struct halo_area; 0: there is none of all this */
    uint64_t units; /* address of a uint32_t for each unit */
    uint64_t first; /* address of the first unit, a multiple of HALO_UNIT_LEN */
    uint32_t area_count;
    uint32_t unit_count;
};

HALO_STATIC_ASSERT(sizeof(struct halo_area) == 24, "areas layout");
HALO_STATIC_ASSERT(sizeof(struct halo_paging) == 32, "paging layout");

/* The save page, writable for the guest: the host believes nothing of it. */
struct halo_save {
    uint64_t counter; /* the guest's time stamp counter when the doorbell last came back, or 0 */
    uint64_t rcx;     /* of the system call that is being made */
    uint64_t calls;   /* system calls so far */
    uint64_t trace;   /* address of its struct halo_record[HALO_RECORDS], or 0 */
    uint64_t upcall;  /* address of its struct halo_upcall, or 0 */
    uint64_t more[3];
    struct halo_unsent unsent[HALO_UNSENT_MAX];
    uint32_t unknown[HALO_CALLS_COUNT]; /* those that nobody answered, by number */
    struct halo_registers registers;    /* as they were at the last doorbell */
    struct halo_paging paging;
    struct halo_tick tick; /* abi_linux.h */
};

HALO_STATIC_ASSERT(offsetof(struct halo_save, unsent) == 64, "save page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_save, unknown) == 1088, "save page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_save, registers) == 3136, "save page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_save, paging) == 3216, "save page layout");
HALO_STATIC_ASSERT(offsetof(struct halo_save, tick) == 3248, "save page layout");
HALO_STATIC_ASSERT(sizeof(struct halo_unsent) == 16, "save page layout");
HALO_STATIC_ASSERT(sizeof(struct halo_save) <= HALO_PAGE, "save page layout");

HALO_STATIC_ASSERT(offsetof(struct halo_save, upcall) == 32, "save page layout");

/*
 * A guest with a HALO_NOTE_SYSCALL can execute `syscall`: it comes to the code that the note names,
 * with rcx the address behind the instruction, r11 lost, and all other registers as they were.
 * Nothing leaves the guest for it. The way there is code in the doorbell's page, at this offset.
 * For all other guests a system call is a fault that ends them.
 */
#define HALO_SYSCALL_OFFSET 192u

/*
 * Such a guest can have the protection of its own memory changed, by code in the doorbell's page:
 *
 *     int64_t protect(uint64_t base, uint64_t len, uint64_t prot);
 *
 * with whole pages of its program, heap and stack, and PROT_READ, PROT_WRITE and PROT_EXEC of
 * Linux. Memory that the program's file has as executable can lose rights and get them back; other
 * memory never becomes executable, read-only memory never writable; and what the file marks as
 * read-only after relocation (PT_GNU_RELRO) can only lose rights. Returns 0, or a negative
 * errno of Linux, and then nothing has changed.
 */
#define HALO_PROTECT_OFFSET 256u

/*
 * Behind it, where the boot page says so:
 *
 *     int64_t release(uint64_t base, uint64_t len);
 *
 * What areas and units now say of these whole pages, from HALO_PAGING_BASE on, is less than it was:
 * nothing that was known of them before counts from here on. 0, or a negative errno.
 */
#define HALO_RELEASE_OFFSET 264u

/*
 * Where every guest begins, in the doorbell's page: code that clears what struct halo_registers
 * does not have, loads what it has, and returns as the doorbell does, with rdi the boot page. To
 * begin with, what it loads returns to the program's entry.
 */
#define HALO_START_OFFSET 512u

/* What a guest can ask for with the doorbell. Nothing is returned; all of them may leave the VM. */
enum halo_doorbell {
    HALO_DOORBELL_KICK = 1, /* a: queue; there are new chains */
    /*
     * Nothing to do until a queue moves; a: enum halo_wait_for. b: how many nanoseconds at most,
     * and then it comes back; 0 is for ever.
     */
    HALO_DOORBELL_WAIT = 2,
    HALO_DOORBELL_HALT = 3,   /* a: exit code, its low 8 bits count; b: 0, or 1 + the handle of a
                                 stream that the program could not write to; does not come back */
    HALO_DOORBELL_PANIC = 4,  /* a: address of a message, b: its length; does not come back */
    HALO_DOORBELL_PUSHED = 5, /* there is a message on the stack to the host; comes back with one */
    HALO_DOORBELL_PATCH = 6,  /* a: address of a `syscall` instruction that traps too often; b: 1
                                 where nobody jumps to the three bytes behind it */
};

enum halo_wait_for {
    HALO_WAIT_ANSWER = 0, /* the guest has asked for something */
    HALO_WAIT_CALL = 1,   /* it has asked for nothing, and serves calls */
    HALO_WAIT_KEPT = 2,   /* the same, and it keeps some that it will answer later */
};

/* Longest panic message that a host looks at; the rest is cut. */
#define HALO_PANIC_MAX 512u

/*
 * A message: the first 8 readable bytes of a request chain, and the first 8 writable ones of its
 * answer. The payload follows, across buffers as they come.
 */
struct halo_message {
    uint8_t kind;
    uint8_t flags;
    uint16_t request; /* the caller's, copied into the answer */
    uint32_t length;  /* bytes of payload */
};

HALO_STATIC_ASSERT(sizeof(struct halo_message) == 8, "a message header is 8 bytes");

enum halo_kind {
    HALO_KIND_CALL = 1,          /* payload: struct halo_call_head, envelope, raw segments */
    HALO_KIND_ANSWER = 2,        /* payload: what was asked for; of a call, as in a call */
    HALO_KIND_ERROR = 3,         /* payload: struct halo_stream_error; of a call, an envelope */
    HALO_KIND_FETCH = 4,         /* payload: struct halo_fetch; answer: the deferred payload */
    HALO_KIND_STREAM_CANCEL = 5, /* payload: struct halo_stream_request, which says what;
                                    answer: nothing */
    HALO_KIND_STREAM_READ = 7,   /* payload: struct halo_stream_request; answer: the bytes */
    HALO_KIND_STREAM_WRITE = 8,  /* payload: struct halo_stream_request, then the bytes;
                                    answer: struct halo_stream_written */
    HALO_KIND_STREAM_CLOSE = 9,  /* payload: struct halo_stream_request, which says what; in order
                                    behind writes; answer: nothing */
    HALO_KIND_HELLO = 10,        /* payload: struct halo_hello; once, before any call;
                                    answer: an int32_t for each import */
    HALO_KIND_STREAM_OPEN = 11,  /* payload: a name; answer: struct halo_stream_opened */
    HALO_KIND_STOP = 12,         /* of a host: no payload; there will be no more calls */
    /* 13 to 24 are reserved for files: docs/protocol.md, section 1. */
    HALO_KIND_LOG = 25, /* payload: struct halo_log_head, text; no room for an answer, and none */
};

enum halo_message_flag {
    HALO_MESSAGE_END = 1, /* in the answer to a read: the stream ends here, length is 0 */
    HALO_MESSAGE_DEFERRED =
        2, /* of a host: the payload is a struct halo_deferred, for it did not fit */
    HALO_MESSAGE_ROWS = 4, /* of a host's CALL: its payload begins with a struct halo_rows_head */
};

/* How much a line of a guest's log matters. */
enum halo_log_level {
    HALO_LOG_ERROR = 1,
    HALO_LOG_WARN,
    HALO_LOG_INFO,
    HALO_LOG_DEBUG,
};

#define HALO_LOG_MAX 1024u /* bytes of a line */

struct halo_log_head {
    uint32_t level;   /* enum halo_log_level */
    uint32_t dropped; /* lines before this one that the guest had no room for */
};

/*
 * Bits 4 to 6 of the flags of a CALL: how many functions its sender is in the middle of. While a
 * side waits n calls deep, it serves those that are n deep or more; the others have time until that
 * wait is over. So a batch of calls that call back is served one after the other, not one inside
 * the other. See docs/design.md.
 */
#define HALO_DEPTH_SHIFT 4
#define HALO_DEPTH_MAX 7u

/* A deferred payload: the chain had no room for it, and it waits until it is fetched. */
struct halo_deferred {
    uint32_t ticket;
    uint32_t length; /* bytes of the payload */
};

struct halo_fetch {
    uint32_t ticket;
    uint32_t reserved; /* 0 */
};

HALO_STATIC_ASSERT(sizeof(struct halo_deferred) == 8, "deferred layout");
HALO_STATIC_ASSERT(sizeof(struct halo_fetch) == 8, "fetch layout");

/*
 * Streams. A handle names one: its place in a table in the low 16 bits, and how often that place
 * was used before in the high ones. An old handle is answered ESTALE, one of no stream EBADF.
 */
#define HALO_STREAMS_MAX 256u
#define HALO_STREAM_NAME_MAX 63u

/* The two ways of a stream, as the guest sees them. */
enum halo_way {
    HALO_IN = 1,  /* the guest reads */
    HALO_OUT = 2, /* the guest writes */
};

/*
 * Most of each way of a stream that may be in flight, in requests and in bytes. One more is a
 * violation (STR-01).
 */
#define HALO_WINDOW_REQUESTS 32u
#define HALO_WINDOW_BYTES (4u << 20)

/*
 * Most descriptors of the queue to the host. A read or a write may wait for ever, and takes 3: one
 * for each way of every stream leaves a quarter of the ring to what does not (STR-08).
 */
#define HALO_QUEUE_SIZE_MIN 64u
#define HALO_QUEUE_SIZE_MAX 2048u
#define HALO_MOVE_SLOTS 3u

HALO_STATIC_ASSERT(HALO_STREAMS_MAX * 2 * HALO_MOVE_SLOTS <= HALO_QUEUE_SIZE_MAX / 4 * 3,
                   "what may wait for ever leaves room for what may not");

#define HALO_SPARE_MAX 4u

struct halo_stream_request {
    uint32_t handle;
    /*
     * Of a write 0. READ: how many of the last bytes of its room are left alone, at most
     * HALO_SPARE_MAX: there has to be room for an error, and a read may ask for less. One that asks
     * for nothing is answered when another would not wait. CANCEL: which ways' requests end now,
     * with ECANCELED. CLOSE: HALO_OUT for no more writes, which the other end sees as the end of
     * the stream; with HALO_IN, too, the handle is at once no longer valid, and reads in flight are
     * cancelled.
     */
    uint32_t ways;
};

struct halo_stream_opened {
    uint32_t handle;
    uint32_t ways; /* what the guest may do */
};

struct halo_stream_written {
    uint32_t length; /* bytes that were written: all of them */
};

struct halo_stream_error {
    int32_t error; /* an errno of Linux */
};

HALO_STATIC_ASSERT(sizeof(struct halo_stream_request) == 8, "stream request layout");
HALO_STATIC_ASSERT(sizeof(struct halo_stream_opened) == 8, "stream answer layout");
HALO_STATIC_ASSERT(sizeof(struct halo_stream_written) == 4, "stream answer layout");
HALO_STATIC_ASSERT(sizeof(struct halo_stream_error) == 4, "stream answer layout");

/*
 * Calls. The envelope is a message of src/message/call.proto; behind it lie the strings and bytes
 * that it only announces, in the order of the arguments.
 */
struct halo_call_head {
    uint32_t envelope_len;
    uint32_t reserved; /* 0 */
};

HALO_STATIC_ASSERT(sizeof(struct halo_call_head) == 8, "call layout");

/* Room for the answer that a call has to have: header, and an error with a text of this length. */
#define HALO_ERROR_TEXT_MAX 200u
#define HALO_CALL_ROOM_MIN (sizeof(struct halo_message) + 16u + HALO_ERROR_TEXT_MAX)

/*
 * Most calls of the host's that are in flight: one for each two descriptors of the queue to the
 * guest, and no more than this.
 */
#define HALO_CALLS_MAX 256u

/*
 * The least pool that a guest may count on: for its own requests and streams, and for the calls of
 * its host, a buffer and room for the answer each.
 */
#define HALO_POOL_MIN(call_queue_size) ((448ull << 10) + (call_queue_size) / 2 * 5120ull)

/* Room that a guest offers a call at least, in a chain of the queue to it. */
#define HALO_POST_MIN 256u

#include <halo/rows_wire.h>

/* Most functions of one side, and bytes of a name, of 1 to this many. */
#define HALO_FUNCTIONS_MAX 256u
#define HALO_FUNCTION_NAME_MAX 63u

/*
 * What a guest says before its main program starts: the functions of the host that it is going to
 * call, and those of its own that the host may call, by indices from 1 in this order. The host
 * answers with an index from 1 for each import, or a negative error: HALO_ENAME, HALO_ETYPE.
 */
struct halo_hello {
    uint32_t import_count;
    uint32_t export_count;
};

/*
 * Each import, then each export, followed by its name, without a zero byte. Between them, of one
 * with more than 8 arguments, are the types of the others: 8 bytes, 0 behind the last.
 */
#define HALO_HELLO_TYPES 9u
#define HALO_HELLO_MORE 8u

struct halo_hello_function {
    uint8_t name_len;
    uint8_t
        arg_count; /* above 8, and HALO_MAYBE in a type, where the boot page has arguments_max */
    uint8_t types[HALO_HELLO_TYPES]; /* the result's, then the arguments'; 0 behind them */
    uint8_t flags; /* of an export enum halo_function_flag, where the boot page has that; else 0 */
};

enum halo_function_flag {
    HALO_FUNCTION_ROWS = 1,      /* it can be called with rows: rows_max */
    HALO_FUNCTION_AGGREGATE = 2, /* and is an aggregate: aggregates_max */
    HALO_FUNCTION_SHARES = 4,    /* and may share its columns with the call before: rows_share */
};

HALO_STATIC_ASSERT(sizeof(struct halo_hello) == 8, "hello layout");
HALO_STATIC_ASSERT(sizeof(struct halo_hello_function) == 12, "hello layout");

/* Streams that every guest has. */
enum halo_standard_stream {
    HALO_STDIN = 0,
    HALO_STDOUT = 1,
    HALO_STDERR = 2,
};

#endif
