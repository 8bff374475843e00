/*
 * From one thread to another, which happens inside of system calls alone. Each has a stack of this
 * library's, on which its calls are answered:
 *
 *     top      the frame of its call: struct frame, with the general registers and SSE's
 *     below    the stack itself, up to where it has changed to another thread
 *     bottom   all other registers of the processor's: struct place
 *
 * All of it is memory of the guest's, which the program could write: it is its own. A system call
 * keeps all vector registers, and those of a program that waits in one are in the processor: SSE's
 * are in the frame, the others are saved before another thread goes on or the guest leaves. They
 * are those that the program was told of, so that what is saved is the same on every machine.
 */
#include "switch.h"
#include "calls.h"
#include "handler.h"
#include "vectors.h"
#include "../port.h"

#define KEPT_STATE 0xe5u /* of XCR0: x87, AVX, AVX-512; not SSE */
#define STACK_LEN 65536u /* of the first thread */
#define OTHER_LEN 49152u

/* What is kept of the processor. */
struct others {
    _Alignas(64) unsigned char state[2752];
    uint32_t mxcsr;
};

_Static_assert(sizeof(((struct others *)0)->state) >= 1664 + 1024,
               "as far as AVX-512 goes in the standard form");

/* The first words of a thread's stack. */
struct place {
    struct others others;
    uint64_t rsp; /* of a thread that does not run */
    unsigned char *top;
};

static struct linux_table *table;
static void (*beginning)(void);
static unsigned char first[STACK_LEN] __attribute__((aligned(64)));
static struct others around;
static uint32_t kept_state; /* 0: there is no XSAVE, and the x87 is saved with SSE's */

/* --- Registers -------------------------------------------------------------------------------- */

static void save_others(struct others *others)
{
    if (!kept_state)
        __asm__ volatile("fxsave64 %0" : "=m"(others->state));
    else
        __asm__ volatile("xsave64 %0" : "+m"(others->state) : "a"(kept_state), "d"(0));
    __asm__ volatile("stmxcsr %0" : "=m"(others->mxcsr));
}

static void load_others(const struct others *others)
{
    if (!kept_state)
        __asm__ volatile("fxrstor64 %0" : : "m"(others->state));
    else
        __asm__ volatile("xrstor64 %0" : : "m"(others->state), "a"(kept_state), "d"(0));
    __asm__ volatile("ldmxcsr %0" : : "m"(others->mxcsr));
}

static void keep_others(bool leaves)
{
    if (leaves)
        save_others(&around);
    else
        load_others(&around);
}

void halo__linux_switch_begin(struct linux_table *of, void (*begins)(void))
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (ecx >> 27 & 1) { /* OSXSAVE */
        __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
        kept_state = eax & KEPT_STATE;
    }
    table = of;
    beginning = begins;
    halo__linux_top = first + STACK_LEN - sizeof(struct frame);
    table->current->place = first;
    halo__port_around(keep_others);
}

/* --- Threads ---------------------------------------------------------------------------------- */

/* Leave the stack that this is called on at *from, and go on where `to` was left. */
__asm__(".pushsection .text\n"
        ".hidden halo__linux_jump\n"
        ".globl halo__linux_jump\n"
        "halo__linux_jump:\n"
        "    push %rbx\n"
        "    push %rbp\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbp\n"
        "    pop %rbx\n"
        "    ret\n"
        ".popsection\n");

void halo__linux_jump(uint64_t *from, uint64_t to);

bool halo__linux_spawn(void *context, struct linux_thread *thread, uint64_t sp)
{
    enum { JUMPED = 7 }; /* words that halo__linux_jump takes, the last of which is where to */
    struct place *place = thread->place;
    struct frame *frame;
    uint64_t *words;

    (void)context;
    if (!place)
        place = thread->place = linux_pages_take(table, OTHER_LEN);
    if (!place)
        return false;
    halo__linux_keep_vectors();
    place->top = (unsigned char *)place + OTHER_LEN - sizeof(*frame);
    frame = (struct frame *)(void *)place->top;
    *frame = *(const struct frame *)(const void *)halo__linux_top;
    frame->rax = 0;
    if (sp)
        frame->rsp = sp;
    memset(&place->others, 0, sizeof(place->others));
    save_others(&place->others);
    words = (uint64_t *)(void *)place->top - JUMPED;
    memset(words, 0, JUMPED * sizeof(*words));
    words[JUMPED - 1] = (uintptr_t)beginning;
    place->rsp = (uintptr_t)words;
    return true;
}

void halo__linux_change(void *context, struct linux_thread *from, struct linux_thread *to)
{
    struct place *left = from->place, *next = to->place;

    halo__linux_keep_vectors();
    save_others(&left->others);
    left->top = halo__linux_top;
    halo__linux_top = next->top;
    load_others(&next->others);
    table->host->set_fs(context, to->fs);
    halo__linux_jump(&left->rsp, next->rsp);
    /* `from` is gone on with; all its registers are in its frame and in the processor. */
    halo__linux_kept = true;
#ifndef HALO_RUNTIME
    halo__port_silence(true);
#endif
}
