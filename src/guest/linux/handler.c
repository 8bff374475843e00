/*
 * A handler's frame, as Linux lays it out, from the stack pointer up: where to return to,
 * ucontext_t, siginfo_t, and in alignment the state of the vector and x87 units in the processor's
 * own format. What it says is true, and what the handler changes there is loaded when it returns;
 * but flags and r11, which a system call does not keep here, and segments.
 */
#include "handler.h"
#ifdef HALO_RUNTIME
#include "patch.h"
#endif
#include "calls.h"
#include "vectors.h"
#include <cpuid.h>
#include <string.h>

enum {
    SIGSEGV_ = 11,
    RED_ZONE = 128,
    LEGACY_LEN = 512, /* of fxsave */
    HEADER_LEN = 64,
    SOFTWARE = 464, /* where the legacy part has words for software */
    STATE_MAX = 8192,
    FLAGS = 0x246,
    LOADABLE = 0x40cd5, /* of flags: those of arithmetic, the direction, and AC */
    MAGIC1 = 0x46505853,
    MAGIC2 = 0x46505845,
    HAS_STATE = 1, /* uc_flags: the processor's extended format */
    HAS_SS = 6,    /* UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
};

#define ONSTACK 0x08000000u
#define RESTART 0x10000000u
#define RESTORER 0x04000000u
#define AUTODISARM 0x80000000u

struct context { /* struct sigcontext */
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
    uint64_t flags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2, state, reserved[8];
};

struct delivery { /* struct rt_sigframe */
    uint64_t restorer;
    uint64_t uc_flags, link;
    struct linux_altstack altstack;
    struct context context;
    uint64_t mask;
    uint32_t info[32];
};

_Static_assert(offsetof(struct delivery, context) == 48, "ucontext_t of x86-64");
_Static_assert(offsetof(struct delivery, mask) == 304, "ucontext_t of x86-64");
_Static_assert(sizeof(struct delivery) == 440, "struct rt_sigframe of x86-64");

/* --- Vector and x87 state --------------------------------------------------------------------- */

/* Of the parts that the processor is set up for: which are saved, and how long they are. */
struct parts {
    uint64_t which; /* 0: there is fxsave alone */
    uint32_t len;
};

static struct parts parts_of(void)
{
    static struct parts known;
    const uint64_t all = 0xe7; /* x87, SSE, AVX and the three of AVX-512 */
    unsigned a, b, c, d, low, high;

    if (known.len)
        return known;
    known.len = LEGACY_LEN;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27)))
        return known;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    known.which = low & all;
    known.len = LEGACY_LEN + HEADER_LEN;
    for (unsigned i = 2; i < 8; i++) {
        if (!(known.which >> i & 1))
            continue;
        __cpuid_count(0xd, i, a, b, c, d);
        if (a + b > known.len)
            known.len = a + b;
    }
    if (known.len > STATE_MAX)
        known = (struct parts){0, LEGACY_LEN};
    return known;
}

static uint64_t state_len(void)
{
    const struct parts parts = parts_of();

    return parts.which ? parts.len + sizeof(uint32_t) : parts.len;
}

uint64_t halo__linux_frame_len(void)
{
    return sizeof(struct delivery) + (state_len() + 63) / 64 * 64 + 64 + RED_ZONE;
}

/*
 * The halves of the vector registers that this library does not use are still the program's; the
 * others are in the frame.
 */
static void save_state(unsigned char *to, const struct frame *frame)
{
    const struct parts parts = parts_of();
    const uint32_t software[5] = {MAGIC1, (uint32_t)state_len(), (uint32_t)parts.which,
                                  (uint32_t)(parts.which >> 32), parts.len};
    const uint32_t end = MAGIC2;
    const uint32_t usual = 0x1f80; /* MXCSR */

    memset(to, 0, state_len());
    if (parts.which) {
        __asm__ volatile("xsave64 (%0)" : : "r"(to), "a"((uint32_t)parts.which), "d"(0) : "memory");
        to[LEGACY_LEN] |= 3; /* x87 and SSE are there, even where they are as they began */
        memcpy(to + SOFTWARE, software, sizeof(software));
        memcpy(to + parts.len, &end, sizeof(end));
    } else {
        __asm__ volatile("fxsave64 (%0)" : : "r"(to) : "memory");
    }
    memcpy(to + 160, frame->xmm, sizeof(frame->xmm));
    __asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(usual));
}

static void load_state(const unsigned char *from, struct frame *frame)
{
    const struct parts parts = parts_of();
    uint32_t magic;

    memcpy(&magic, from + SOFTWARE, sizeof(magic));
    if (parts.which && magic == MAGIC1)
        __asm__ volatile("xrstor64 (%0)"
                         :
                         : "r"(from), "a"((uint32_t)parts.which), "d"(0)
                         : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(from) : "memory");
    memcpy(frame->xmm, from + 160, sizeof(frame->xmm));
}

/* --- There ------------------------------------------------------------------------------------ */

static struct context context_of(const struct frame *frame)
{
    return (struct context){
        .r8 = frame->r8,
        .r9 = frame->r9,
        .r10 = frame->r10,
        .r11 = frame->is_whole ? frame->r11 : FLAGS,
        .r12 = frame->r12,
        .r13 = frame->r13,
        .r14 = frame->r14,
        .r15 = frame->r15,
        .rdi = frame->rdi,
        .rsi = frame->rsi,
        .rbp = frame->rbp,
        .rbx = frame->rbx,
        .rdx = frame->rdx,
        .rax = frame->rax,
        .rcx = frame->rcx,
        .rsp = frame->rsp,
        .rip = frame->rip,
        .flags = frame->is_whole ? frame->flags : FLAGS,
        .cs = 0x33,
        .ss = 0x2b,
    };
}

/* One handler. What has no room on the stack ends the program, as the fault that it is. */
static void begin(struct linux_table *table, struct frame *frame,
                  const struct linux_delivery *delivered)
{
    const struct linux_note *note = &delivered->note;
    const uint64_t other =
        delivered->action.flags & ONSTACK ? linux_altstack_top(table, frame->rsp - RED_ZONE) : 0;
    const uint64_t top = other ? other : frame->rsp - RED_ZONE;
    const uint64_t state = (top - state_len()) / 64 * 64;
    const uint64_t at = (state - sizeof(struct delivery)) / 16 * 16 - 8; /* as after a call */
    struct delivery *delivery = (struct delivery *)(uintptr_t)at;

    if (at > top || !linux_may_write(table, at, top - at) || (other && at < table->altstack.base) ||
        !(delivered->action.flags & RESTORER)) {
        table->host->halt(table->host->context, 128 + SIGSEGV_);
        return;
    }
    memset(delivery, 0, sizeof(*delivery));
    save_state((unsigned char *)(uintptr_t)state, frame);
    delivery->restorer = delivered->action.restorer;
    delivery->uc_flags = HAS_SS | (parts_of().which ? HAS_STATE : 0);
    delivery->altstack = table->altstack; /* flags as they were set, as Linux has it */
    delivery->context = context_of(frame);
    delivery->context.state = state;
    delivery->context.old_mask = delivered->mask;
    delivery->mask = delivered->mask;
    delivery->info[0] = note->signal;
    delivery->info[2] = (uint32_t)note->code;
    delivery->info[4] = note->pid;
    delivery->info[5] = note->uid;
    memcpy(&delivery->info[6], &note->value, sizeof(note->value));
    if (table->altstack.flags & AUTODISARM)
        table->altstack = (struct linux_altstack){.base = 0};
    frame->rsp = at;
    frame->rcx = frame->rip = delivered->action.handler;
    frame->rdi = note->signal;
    frame->rsi = (uintptr_t)delivery->info;
    frame->rdx = (uintptr_t)&delivery->uc_flags;
    frame->rax = 0;
    frame->is_whole = 0;
    memset(frame->xmm, 0, sizeof(frame->xmm));
}

void halo__linux_deliver(struct linux_table *table, struct frame *frame, uint64_t number)
{
    enum { SYSCALL_LEN = 2 };
    const int64_t result = (int64_t)frame->rax;
    const bool is_cut = !frame->is_whole && linux_is_cut(result);
    struct linux_delivery delivered;

    halo__linux_keep_vectors();
    if (is_cut)
        frame->rax = (uint64_t)-L_EINTR;
    /* The last one whose frame is made runs first, as on Linux. */
    linux_timers_look(table);
    for (bool is_first = true; linux_take_signal(table, &delivered); is_first = false) {
        if (is_first && is_cut && result == -L_ERESTARTSYS && (delivered.action.flags & RESTART)) {
            frame->rax = number;
#ifdef HALO_RUNTIME
            frame->rip = halo__linux_again(frame->rip);
#else
            frame->rip -= SYSCALL_LEN;
#endif
            frame->rcx = frame->rip;
        }
        begin(table, frame, &delivered);
    }
}

/* --- And back --------------------------------------------------------------------------------- */

void halo__linux_finish(struct linux_table *table, struct frame *frame)
{
    const uint64_t at = frame->rsp - 8; /* the restorer's address is taken */
    const struct delivery *from = (const struct delivery *)(uintptr_t)at;
    struct delivery delivery;

    halo__linux_keep_vectors();
    if (!linux_may_read(table, at, sizeof(delivery))) {
        table->host->halt(table->host->context, 128 + SIGSEGV_);
        return;
    }
    delivery = *from;
    frame->r8 = delivery.context.r8;
    frame->r9 = delivery.context.r9;
    frame->r10 = delivery.context.r10;
    frame->r11 = delivery.context.r11;
    frame->flags = delivery.context.flags & LOADABLE;
    frame->is_whole = 1;
    frame->r12 = delivery.context.r12;
    frame->r13 = delivery.context.r13;
    frame->r14 = delivery.context.r14;
    frame->r15 = delivery.context.r15;
    frame->rdi = delivery.context.rdi;
    frame->rsi = delivery.context.rsi;
    frame->rbp = delivery.context.rbp;
    frame->rbx = delivery.context.rbx;
    frame->rdx = delivery.context.rdx;
    frame->rax = delivery.context.rax;
    frame->rcx = delivery.context.rcx;
    frame->rsp = delivery.context.rsp;
    frame->rip = delivery.context.rip;
    table->blocked = delivery.mask & ~LINUX_UNBLOCKABLE;
    (void)linux_altstack_set(table, &delivery.altstack, frame->rsp);
    if (!delivery.context.state)
        return;
    if (delivery.context.state % 64 == 0 &&
        linux_may_read(table, delivery.context.state, state_len()))
        load_state((const unsigned char *)(uintptr_t)delivery.context.state, frame);
    else
        table->host->halt(table->host->context, 128 + SIGSEGV_);
}
