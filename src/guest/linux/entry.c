/*
 * Where a system call of the program's arrives, by any backend's way: with rcx the address behind
 * the instruction, and all other registers but r11 the program's. Its stack may be anything, and
 * below rsp lies what it still needs; so all is saved in a frame on a stack of our own. The vector
 * registers are saved as far as this code, which knows SSE alone, can change them: before any call,
 * or, in the runtime, before what may change them (vectors.h).
 */
#include "entry.h"
#include "handler.h"
#include "switch.h"
#include "vectors.h"
#ifdef HALO_RUNTIME
#include "patch.h"
#endif
#include "../port.h"

#define RT_SIGRETURN 15u

struct linux_table halo__linux;

/*
 * The table and this file are compiled for general registers alone as parts of the runtime, so that
 * most calls need no vector register saved; where a call goes on into the rest of the library, they
 * are by then.
 */
#ifdef HALO_RUNTIME
#define KEEP_VECTORS "    movb $0, halo__linux_kept(%rip)\n"
#else
#define KEEP_VECTORS "    call halo__linux_save_vectors\n"
#endif

/* Out of the frame, all but r11 and rsp. */
#define LOAD_REGISTERS          \
    "    mov (%rsp), %rax\n"    \
    "    mov 8(%rsp), %rbx\n"   \
    "    mov 16(%rsp), %rcx\n"  \
    "    mov 40(%rsp), %rdx\n"  \
    "    mov 32(%rsp), %rsi\n"  \
    "    mov 24(%rsp), %rdi\n"  \
    "    mov 72(%rsp), %rbp\n"  \
    "    mov 56(%rsp), %r8\n"   \
    "    mov 64(%rsp), %r9\n"   \
    "    mov 48(%rsp), %r10\n"  \
    "    mov 88(%rsp), %r12\n"  \
    "    mov 96(%rsp), %r13\n"  \
    "    mov 104(%rsp), %r14\n" \
    "    mov 112(%rsp), %r15\n"

_Static_assert(sizeof(struct frame) == 416, "of the code below");
_Static_assert(offsetof(struct frame, r11) == 384 && offsetof(struct frame, is_whole) == 400,
               "of the code below");
_Static_assert(offsetof(struct frame, xmm) == 128, "of the code below");
_Static_assert(offsetof(struct frame, rdi) == 24 && offsetof(struct frame, r9) == 64 &&
                   offsetof(struct frame, rsp) == 80 && offsetof(struct frame, r15) == 112,
               "of the code below");

__asm__(".pushsection .text\n"
        ".hidden halo__linux_entry\n"
        ".globl halo__linux_entry\n"
        "halo__linux_entry:\n"
        "    mov %rsp, halo__linux_rsp(%rip)\n"
        "    mov halo__linux_top(%rip), %rsp\n"
        "    mov %rax, (%rsp)\n"
        "    movq $0, 400(%rsp)\n"
        "    mov %rbx, 8(%rsp)\n"
        "    mov %rcx, 16(%rsp)\n"
        "    mov %rcx, 120(%rsp)\n" /* rip */
        "    mov %rdx, 40(%rsp)\n"
        "    mov %rsi, 32(%rsp)\n"
        "    mov %rdi, 24(%rsp)\n"
        "    mov %rbp, 72(%rsp)\n"
        "    mov halo__linux_rsp(%rip), %r11\n"
        "    mov %r11, 80(%rsp)\n"
        "    mov %r8, 56(%rsp)\n"
        "    mov %r9, 64(%rsp)\n"
        "    mov %r10, 48(%rsp)\n"
        "    mov %r12, 88(%rsp)\n"
        "    mov %r13, 96(%rsp)\n"
        "    mov %r14, 104(%rsp)\n"
        "    mov %r15, 112(%rsp)\n" KEEP_VECTORS "    cld\n"
        "    mov %rsp, %rdi\n"
        "    call halo__linux_enter\n"
        "2:\n"
        "    cmpb $0, halo__linux_kept(%rip)\n"
        "    je 1f\n"
        ".set i, 0\n"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    movaps 128 + 16 * i(%rsp), %xmm\\reg\n"
        ".set i, i + 1\n"
        ".endr\n"
        "1:  cmpq $0, 400(%rsp)\n"
        "    jne 3f\n" LOAD_REGISTERS "    mov 120(%rsp), %r11\n" /* rip */
        "    mov 80(%rsp), %rsp\n"
        "    jmp *%r11\n"
        /* All registers and flags; the runtime is not interrupted, so that a word can be used. */
        "3:  mov 120(%rsp), %rax\n"
        "    mov %rax, halo__linux_rip(%rip)\n"
        "    pushq 392(%rsp)\n"
        "    popfq\n" LOAD_REGISTERS "    mov 384(%rsp), %r11\n"
        "    mov 80(%rsp), %rsp\n"
        "    jmp *halo__linux_rip(%rip)\n"
        /* Where a new thread begins, with its frame on the stack, and as far as it has come. */
        ".hidden halo__linux_first\n"
        ".globl halo__linux_first\n"
        "halo__linux_first:\n"
        "    mov %rsp, %rdi\n"
        "    call halo__linux_begun\n"
        "    jmp 2b\n"
#ifdef HALO_RUNTIME
        /* Where the program comes that was interrupted, with all registers but rip. */
        ".hidden halo__linux_tick\n"
        ".globl halo__linux_tick\n"
        "halo__linux_tick:\n"
        "    mov %rsp, halo__linux_rsp(%rip)\n"
        "    mov halo__linux_top(%rip), %rsp\n"
        "    mov %rax, (%rsp)\n"
        "    mov %rbx, 8(%rsp)\n"
        "    mov %rcx, 16(%rsp)\n"
        "    mov %rdx, 40(%rsp)\n"
        "    mov %rsi, 32(%rsp)\n"
        "    mov %rdi, 24(%rsp)\n"
        "    mov %rbp, 72(%rsp)\n"
        "    mov %r8, 56(%rsp)\n"
        "    mov %r9, 64(%rsp)\n"
        "    mov %r10, 48(%rsp)\n"
        "    mov %r11, 384(%rsp)\n"
        "    mov %r12, 88(%rsp)\n"
        "    mov %r13, 96(%rsp)\n"
        "    mov %r14, 104(%rsp)\n"
        "    mov %r15, 112(%rsp)\n"
        "    pushfq\n"
        "    pop %rax\n"
        "    mov %rax, 392(%rsp)\n"
        "    movq $1, 400(%rsp)\n"
        "    movb $0, halo__linux_kept(%rip)\n"
        "    cld\n"
        "    mov halo__linux_rsp(%rip), %rax\n"
        "    mov %rax, 80(%rsp)\n"
        "    mov %rsp, %rdi\n"
        "    call halo__linux_interrupted\n"
        "    jmp 2b\n"
#endif
        ".popsection\n");

#ifdef HALO_RUNTIME
/*
 * What the host enters; 16 bytes behind it where it leads system calls that trap, and another 16
 * where rewritten call sites lead; then what these jump to, which the host writes. program.c.
 */
__asm__(".pushsection .text\n"
        ".balign 64\n"
        ".hidden halo__runtime_head\n"
        ".globl halo__runtime_head\n"
        "halo__runtime_head:\n"
        "    jmp _start\n"
        "    .balign 16\n"
        "    movb $1, halo__linux_trapped(%rip)\n"
        "    jmp halo__linux_entry\n"
        "    .balign 16\n"
        "    jmp halo__linux_entry\n"
        "    .balign 64\n"
        "    .skip 128 * 32\n" /* HALO_PATCHES * HALO_PATCH_LEN */
        ".popsection\n");

_Static_assert(HALO_PATCHES *HALO_PATCH_LEN == 128 * 32 && HALO_PATCH_PLACE == 64 - 16 &&
                   HALO_PATCH_ENTRY == 16,
               "of the code above");

uint8_t halo__linux_trapped __attribute__((visibility("hidden")));
#else
__asm__(/* The note that has the host lead system calls here. */
        ".pushsection .note.halo, \"a\", @note\n"
        "    .balign 4\n"
        "    .long 5, 8, 2\n"
        "    .asciz \"Halo\"\n"
        "    .balign 4\n"
        "    .quad halo__linux_entry\n"
        /* And the one that says what glibc relocates itself; musl has nothing of that kind. */
        "    .long 5, 16, 5\n"
        "    .asciz \"Halo\"\n"
        "    .balign 4\n"
        "    .weak __rela_iplt_start, __rela_iplt_end\n"
        "    .hidden __rela_iplt_start, __rela_iplt_end\n"
        "    .quad __rela_iplt_start, __rela_iplt_end\n"
        ".popsection\n");
#endif

uint64_t halo__linux_rsp __attribute__((visibility("hidden")));
uint64_t halo__linux_rip __attribute__((visibility("hidden"), used));

void halo__linux_enter(struct frame *frame);
void halo__linux_begun(struct frame *frame);
void halo__linux_interrupted(struct frame *frame);
void halo__linux_first(void);
void halo__linux_tick(void);
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

/* --- Start ------------------------------------------------------------------------------------ */

static uint64_t epoch;
static const struct halo_boot *boot;
static struct halo_save *save;

void halo__linux_keep(void)
{
    boot = halo_boot_page();
    save = (struct halo_save *)(uintptr_t)boot->save;
    epoch = boot->epoch;
#ifdef HALO_RUNTIME
    save->tick.low = (uintptr_t)__ehdr_start;
    save->tick.high = (uintptr_t)etext;
    save->tick.raise_entry = (uintptr_t)halo__linux_tick;
#endif
    halo__linux_switch_begin(&halo__linux, halo__linux_first);
}

/* --- Calls ------------------------------------------------------------------------------------ */

__attribute__((visibility("hidden"), used)) void halo__linux_enter(struct frame *frame)
{
    const uint64_t number = frame->rax;
#ifdef HALO_RUNTIME
    const uint64_t came = frame->rip;
#endif

    halo__not_callable();
#ifndef HALO_RUNTIME /* it has no functions, and is silent for good */
    halo__port_silence(true);
#endif
    if (boot->epoch != epoch) {
        uint64_t seed[4];

        epoch = boot->epoch;
        memcpy(seed, boot->seed, sizeof(seed));
        linux_reseed(&halo__linux, seed);
    }
#ifdef HALO_RUNTIME
    if (halo__linux_trapped) {
        halo__linux_trapped = 0;
        halo__linux_trap(&halo__linux, frame->rip, number);
        frame->rip = halo__linux_moved(&halo__linux, frame->rip);
    }
#endif
    halo__linux.sp = frame->rsp;
    if (number == RT_SIGRETURN)
        halo__linux_finish(&halo__linux, frame);
    else
        frame->rax = (uint64_t)linux_call(&halo__linux, number, frame->args);
    save->calls = halo__linux.calls;
    if (save->tick.rip == HALO_TICK_DUE) {
        save->tick.rip = 0;
        if (!frame->is_whole)
            linux_interrupted(&halo__linux);
        else
            linux_timers_look(&halo__linux);
    }
    if (!linux_is_quiet(&halo__linux) || linux_is_cut((int64_t)frame->rax))
        halo__linux_deliver(&halo__linux, frame, number);
#ifdef HALO_RUNTIME
    /* Its place was rewritten while it waited; or a handler returns to such a one. */
    if (frame->rip != came || halo__linux_is_jump(frame->rip))
        frame->rip = halo__linux_moved_inside(&halo__linux, frame->rip);
#endif
#ifndef HALO_RUNTIME
    halo__port_silence(false);
#endif
}

#ifdef HALO_RUNTIME
__attribute__((visibility("hidden"), used)) void halo__linux_interrupted(struct frame *frame)
{
    frame->rip = save->tick.rip;
    save->tick.rip = 0;
    halo__linux.sp = frame->rsp;
    linux_interrupted(&halo__linux);
    frame->rip = halo__linux_moved_inside(&halo__linux, frame->rip); /* by others, meanwhile */
    if (!linux_is_quiet(&halo__linux))
        halo__linux_deliver(&halo__linux, frame, 0);
}
#endif

/* Programs that are linked with this library are not interrupted: it could be in use. */
void halo__linux_ticks(void *context, bool wanted)
{
    (void)context;
#ifdef HALO_RUNTIME
    save->tick.entry = wanted ? (uintptr_t)halo__linux_tick : 0;
    if (!wanted)
        return;
    halo__linux_keep_vectors();
    halo__port_sleep(1); /* the host looks when it lets the guest go on */
#else
    (void)wanted;
#endif
}

/* A new thread leaves the call that has made it. */
__attribute__((visibility("hidden"), used)) void halo__linux_begun(struct frame *frame)
{
#ifdef HALO_RUNTIME
    frame->rip = halo__linux_moved(&halo__linux, frame->rip);
#endif
    if (!linux_is_quiet(&halo__linux))
        halo__linux_deliver(&halo__linux, frame, 0);
#ifndef HALO_RUNTIME
    halo__port_silence(false);
#endif
}
