/*
 * Signals of a process in which a guest runs: a part of the program of process_child.c. A fault is
 * told to the host; system calls and the question where the guest is lead back to the guest.
 */
#include "process_signals.h"
#include <linux/mman.h>
#include <linux/signal.h>
#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/ucontext.h>

#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)

uint64_t alternate TOLD;
static uint64_t protect_code TOLD; /* where there is memory at other addresses, or 0 */
uint64_t syscall_way TOLD __attribute__((used, visibility("hidden")));

/*
 * A signal in the guest: tell the host what the processor said. It never resumes. Where it would
 * return to is the word that proves it: the kernel alone has kept it, and puts it on the stack of a
 * handler that it calls.
 */
HIDDEN void on_fault(int signal, siginfo_t *info, struct ucontext *context);

void on_fault(int signal, siginfo_t *info, struct ucontext *context)
{
    const struct sigcontext *at = &context->uc_mcontext;
    uint64_t what = (at->trapno & 0xffffffff) | at->err << 32;
    long address = (long)at->cr2;

    if (signal == SIGSYS) {
        what = CHILD_SYSTEM_CALL;
        address = info->si_syscall;
    } else if (signal == SIGILL && info->si_code == SI_KERNEL) {
        what = CHILD_SYSTEM_CALL;
        address = CHILD_UNFILTERED_CALL;
    } else if (info->si_code <= 0) { /* what the processor said last is of another day */
        what = CHILD_SIGNAL;
        address = signal;
    }
    *(uint64_t *)alternate = (uint64_t)context; /* where the host finds all registers */
    call6(CHILD_DOORBELL_SYSCALL, CHILD_DOORBELL_FAULT, (long)what, address, (long)at->rip,
          (long)at->rsp, (long)__builtin_return_address(0));
    give_up(CHILD_LOCK);
}

/*
 * A page fault where there may be memory to be had (paging.c): ask the host, and go on. What it
 * says is to be mapped, it will find in the registers of the call. If there is none, it is a fault,
 * whose handler finds the stack as the kernel has made it; else the word goes first.
 */
HIDDEN void on_page(int signal, siginfo_t *info, struct ucontext *context);

/* Once more, of the same pages, at another place. */
static bool map_again(uint64_t told)
{
    const long at = (long)(HALO_PAGING_BASE + CHILD_MAP_AT(told) * HALO_PAGE);
    const long from = (long)(CHILD_MAP_FROM(told) * HALO_PAGE);
    const long len = (long)(CHILD_MAP_COUNT(told) * HALO_PAGE);
    long result;

    if (call6(__NR_mremap, from, 0, len, MREMAP_MAYMOVE | MREMAP_FIXED, at, 0) != at)
        return false;
    if (!(told & CHILD_MAP_READ_ONLY))
        return true;
    __asm__ volatile("call *%[code]"
                     : "=a"(result)
                     : [code] "r"(protect_code), "D"(at), "S"(len), "d"(PROT_READ)
                     : "rcx", "r11", "memory");
    return result == 0;
}

void on_page(int signal, siginfo_t *info, struct ucontext *context)
{
    const struct sigcontext *at = &context->uc_mcontext;

    if (protect_code && info->si_code > 0 && at->trapno == 14 && at->cr2 >= HALO_PAGING_BASE &&
        at->cr2 - HALO_PAGING_BASE < HALO_PAGING_LEN) {
        long told;

        *(uint64_t *)alternate = (uint64_t)context;
        told = call6(CHILD_DOORBELL_SYSCALL, CHILD_DOORBELL_FILL, (long)at->err, (long)at->cr2,
                     (long)at->rip, (long)at->rsp, 0);
        if (told > 0 && map_again((uint64_t)told)) {
            ((uint64_t *)context)[-1] = 0;
            *(uint64_t *)alternate = (uint64_t)context; /* it may have been asked where it is */
            __asm__ volatile("lea -8(%%rdx), %%rsp\n\t"
                             "jmp go_back"
                             :
                             : "d"(context)
                             : "memory");
        }
    }
    __asm__ volatile("lea -8(%%rdx), %%rsp\n\t"
                     "jmp on_fault"
                     :
                     : "D"(signal), "S"(info), "d"(context)
                     : "memory");
    __builtin_unreachable();
}

/*
 * Signals after which the guest goes on, with all registers as the frame on the alternate stack
 * has them. They never return to the kernel: sigreturn stays forbidden. Where they lead is in
 * memory that the guest can write, and could be any place at which the guest can arrive by itself.
 *
 * A trap, by a breakpoint or a single step: ask the host, who may have a debugger, and go on when
 * that lets it, when the word is gone from the stack; else it is a fault like any other, for the
 * guest could say without a word that there was a trap. A system call, which the filter has made a
 * signal: on to the guest's own code for it, with rcx the address behind the instruction. And
 * CHILD_STOP: tell the host where the guest is, and stand there until it answers. That one may come
 * again while one of them goes back; then it stands once more for the frame which that was at,
 * since stacks of frames would have no end.
 *
 * One call passes every filter: for it the kernel raises SIGILL, as no illegal instruction does,
 * and has taken its number away. It is led on like all others, when the word is gone from the
 * stack.
 *
 * Offsets of struct ucontext; in fpstate 464 says whether more than FXSAVE's part is there, and 472
 * which. NT, with which iret fails, is cleared before; what the frame has comes by iret.
 */
HIDDEN void on_syscall(int signal, siginfo_t *info, struct ucontext *context);
HIDDEN void on_illegal(int signal, siginfo_t *info, struct ucontext *context);
HIDDEN void on_stop(int signal, siginfo_t *info, struct ucontext *context);
HIDDEN void on_trap(int signal, siginfo_t *info, struct ucontext *context);

__asm__(".equ where, " TEXT(CHILD_DOORBELL_WHERE));
__asm__(".equ trap, " TEXT(CHILD_DOORBELL_TRAP));
__asm__(".equ doorbell, " TEXT(CHILD_DOORBELL_SYSCALL));
__asm__(".equ unfiltered, " TEXT(CHILD_UNFILTERED_CALL));

__asm__(".globl on_syscall, on_illegal, on_stop, on_trap\n"
        ".hidden on_syscall, on_illegal, on_stop, on_trap\n"
        "on_illegal:\n"
        "    cmpl $0x80, 8(%rsi)\n" /* SI_KERNEL */
        "    jne on_fault\n"
        "    movq $0, (%rsp)\n"
        "    movq $unfiltered, 144(%rdx)\n"
        "on_syscall:\n"
        "    mov 168(%rdx), %rax\n"
        "    mov %rax, 152(%rdx)\n"
        "    mov syscall_way(%rip), %rax\n"
        "    mov %rax, 168(%rdx)\n"
        "    movq $2, 176(%rdx)\n"
        "    mov alternate(%rip), %rax\n"
        "    mov %rdx, (%rax)\n"
        "    jmp go_back\n"
        "on_trap:\n"
        "    cmpl $0, 8(%rsi)\n" /* one that somebody has sent */
        "    jle on_fault\n"
        "    mov alternate(%rip), %rax\n"
        "    mov %rdx, (%rax)\n"
        "    mov %edi, %r12d\n"
        "    mov %rsi, %r13\n"
        "    mov 168(%rdx), %rsi\n"
        "    mov 200(%rdx), %r10\n"
        "    mov 160(%rdx), %r8\n"
        "    mov $trap, %edi\n"
        "    mov $doorbell, %eax\n"
        "    syscall\n"
        "    mov %r12d, %edi\n"
        "    mov %r13, %rsi\n"
        "    test %rax, %rax\n"
        "    jle on_fault\n"
        "    movq $0, (%rsp)\n"
        "    mov alternate(%rip), %rax\n"
        "    mov %rdx, (%rax)\n"
        "    jmp go_back\n"
        "on_stop:\n"
        "    mov 168(%rdx), %rsi\n"
        "    lea ring(%rip), %rax\n"
        "    sub %rax, %rsi\n"
        "    cmp $(gone_back - ring), %rsi\n"
        "    jae 1f\n"
        "    mov alternate(%rip), %rax\n"
        "    mov (%rax), %rdx\n"
        "    lea -8(%rdx), %rsp\n"
        "1:  mov alternate(%rip), %rax\n"
        "    mov %rdx, (%rax)\n"
        "    mov 168(%rdx), %rsi\n"
        "    mov $where, %edi\n"
        "    mov $doorbell, %eax\n"
        "ring:\n"
        "    syscall\n"
        "go_back:\n"
        "    lea 40(%rdx), %rsi\n"
        "    mov 184(%rsi), %rdi\n"
        "    cmpl $0x46505853, 464(%rdi)\n"
        "    jne 1f\n"
        "    mov 472(%rdi), %eax\n"
        "    mov 476(%rdi), %edx\n"
        "    xrstor64 (%rdi)\n"
        "    jmp 2f\n"
        "1:  fxrstor64 (%rdi)\n"
        "2:  push $2\n"
        "    popf\n"
        "    movzwl 150(%rsi), %eax\n"
        "    push %rax\n" /* ss, rsp, flags, cs, rip */
        "    push 120(%rsi)\n"
        "    push 136(%rsi)\n"
        "    movzwl 144(%rsi), %eax\n"
        "    push %rax\n"
        "    push 128(%rsi)\n"
        "    mov (%rsi), %r8\n"
        "    mov 8(%rsi), %r9\n"
        "    mov 16(%rsi), %r10\n"
        "    mov 24(%rsi), %r11\n"
        "    mov 32(%rsi), %r12\n"
        "    mov 40(%rsi), %r13\n"
        "    mov 48(%rsi), %r14\n"
        "    mov 56(%rsi), %r15\n"
        "    mov 64(%rsi), %rdi\n"
        "    mov 80(%rsi), %rbp\n"
        "    mov 88(%rsi), %rbx\n"
        "    mov 96(%rsi), %rdx\n"
        "    mov 104(%rsi), %rax\n"
        "    mov 112(%rsi), %rcx\n"
        "    mov 72(%rsi), %rsi\n"
        "    iretq\n"
        "gone_back:\n");

_Static_assert(offsetof(struct ucontext, uc_mcontext) == 40, "of on_syscall");
_Static_assert(offsetof(struct sigcontext, fpstate) == 184, "of on_syscall");
_Static_assert(offsetof(struct sigcontext, rax) == 104, "of on_illegal");
_Static_assert(offsetof(struct sigcontext, rip) == 128, "of on_syscall");
_Static_assert(offsetof(struct sigcontext, trapno) == 160, "of on_trap");
_Static_assert(offsetof(struct sigcontext, rsp) == 120, "of on_trap");
_Static_assert(offsetof(struct sigcontext, ss) == 150, "of on_syscall");
_Static_assert(offsetof(siginfo_t, si_code) == 8 && SI_KERNEL == 0x80, "of on_illegal");

void catch_signals(const struct child_setup *setup)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    const stack_t stack = {.ss_sp = (void *)alternate, .ss_size = HALO_ALTERNATE_LEN};
    const unsigned long none = 0;
    struct sigaction action = {0};

    require(CHILD_FAULTS, call6(__NR_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8, 0, 0));
    action.sa_handler = (__sighandler_t)(void (*)(void))on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER | SA_NODEFER;
    action.sa_restorer = (__sigrestore_t)setup->word; /* on_fault does not return */
    require(CHILD_FAULTS, call3(__NR_sigaltstack, (long)&stack, 0, 0));
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        require(CHILD_FAULTS, call6(__NR_rt_sigaction, signals[i], (long)&action, 0, 8, 0, 0));
    if (setup->release) {
        protect_code = setup->protect - CHILD_PROTECT_END;
        action.sa_handler = (__sighandler_t)(void (*)(void))on_page;
        require(CHILD_FAULTS, call6(__NR_rt_sigaction, SIGSEGV, (long)&action, 0, 8, 0, 0));
        action.sa_handler = (__sighandler_t)(void (*)(void))on_fault;
    }
    action.sa_handler = (__sighandler_t)(void (*)(void))on_trap;
    require(CHILD_FAULTS, call6(__NR_rt_sigaction, SIGTRAP, (long)&action, 0, 8, 0, 0));
    action.sa_handler = (__sighandler_t)(void (*)(void))on_fault;
    /* One inside of its own handler, as where the doorbell does not ring, is the end. */
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER;
    require(CHILD_FAULTS, call6(__NR_rt_sigaction, SIGSYS, (long)&action, 0, 8, 0, 0));
    if (setup->syscall_way) {
        action.sa_flags |= SA_NODEFER;
        action.sa_handler = (__sighandler_t)(void (*)(void))on_illegal;
        require(CHILD_FAULTS, call6(__NR_rt_sigaction, SIGILL, (long)&action, 0, 8, 0, 0));
    }
    /* These lead back to the guest, who must not find the word. A doorbell that is rung meanwhile
     * rings again. */
    action.sa_restorer = 0;
    action.sa_flags |= SA_NODEFER | SA_RESTART;
    action.sa_handler = (__sighandler_t)(void (*)(void))on_stop;
    require(CHILD_FAULTS, call6(__NR_rt_sigaction, CHILD_STOP, (long)&action, 0, 8, 0, 0));
    if (setup->syscall_way) {
        syscall_way = setup->syscall_way;
        action.sa_handler = (__sighandler_t)(void (*)(void))on_syscall;
        require(CHILD_FAULTS, call6(__NR_rt_sigaction, SIGSYS, (long)&action, 0, 8, 0, 0));
    }
}
