/*
 * The program in which a guest runs as a process: a few pages, no libc. It maps guest memory,
 * gives up everything a process has, and jumps into the guest. From then on only its fault handler
 * is left, which turns a signal into a doorbell.
 *
 * It runs in an address space of its own, started by exec, so that nothing of the host's memory is
 * ever in reach of a guest.
 */
#include "process_child.h"
#include <asm/prctl.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/seccomp.h>
#include <linux/signal.h>
#include <linux/socket.h>
#include <linux/uio.h>
#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/ucontext.h>

#define USER_END 0x7ffffffff000ull
#define ALTERNATE_STACK_LEN 65536

/* Layouts of the kernel that its headers leave to libc. */
struct message_header {
    void *name;
    int name_len;
    struct iovec *iov;
    unsigned long iov_len;
    void *control;
    unsigned long control_len;
    unsigned flags;
};

struct rights_message {
    unsigned long len;
    int level;
    int type;
    int fd;
    int padding;
};

#define SOCKET_LEVEL 1
#define SOCKET_RIGHTS 1

extern unsigned char child_start[], child_end[];

static struct child_setup setup;
static unsigned char alternate_stack[ALTERNATE_STACK_LEN] __attribute__((aligned(16)));

static long call6(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static long call3(long number, long a, long b, long c)
{
    return call6(number, a, b, c, 0, 0, 0);
}

/* The host sees the exit code; its table of messages is in process.c. */
static void give_up(int step)
{
    for (;;)
        call3(__NR_exit_group, step, 0, 0);
}

static void require(int step, long result)
{
    if (result < 0)
        give_up(step);
}

/* A signal in the guest: tell the host what the processor said. It never resumes. */
static void on_fault(int signal, siginfo_t *info, struct ucontext *context)
{
    const struct sigcontext *at = &context->uc_mcontext;

    (void)signal;
    (void)info;
    call6(CHILD_DOORBELL_SYSCALL, CHILD_DOORBELL_FAULT, (long)at->trapno, (long)at->err,
          (long)at->cr2, (long)at->rip, (long)at->rsp);
    give_up(1);
}

/*
 * A system call of the guest's, which the filter has made a signal: go to the guest's own code for
 * it, with all registers as they were, and rcx the address behind the instruction. It never returns
 * to the kernel: sigreturn stays forbidden. Where it leads is in memory that the guest can write,
 * and could be any place at which the guest can arrive by itself.
 *
 * Offsets of struct ucontext; in fpstate 464 says whether more than FXSAVE's part is there, and 472
 * which.
 */
__attribute__((visibility("hidden"))) void on_syscall(int signal, siginfo_t *info,
                                                      struct ucontext *context);

__asm__(".globl on_syscall\n"
        ".hidden on_syscall\n"
        "on_syscall:\n"
        "    lea 40(%rdx), %rsi\n"
        "    mov 184(%rsi), %rdi\n"
        "    cmpl $0x46505853, 464(%rdi)\n"
        "    jne 1f\n"
        "    mov 472(%rdi), %eax\n"
        "    mov 476(%rdi), %edx\n"
        "    xrstor64 (%rdi)\n"
        "    jmp 2f\n"
        "1:  fxrstor64 (%rdi)\n"
        "2:  mov (%rsi), %r8\n"
        "    mov 8(%rsi), %r9\n"
        "    mov 16(%rsi), %r10\n"
        "    mov 32(%rsi), %r12\n"
        "    mov 40(%rsi), %r13\n"
        "    mov 48(%rsi), %r14\n"
        "    mov 56(%rsi), %r15\n"
        "    mov 64(%rsi), %rdi\n"
        "    mov 80(%rsi), %rbp\n"
        "    mov 88(%rsi), %rbx\n"
        "    mov 96(%rsi), %rdx\n"
        "    mov 104(%rsi), %rax\n"
        "    mov 120(%rsi), %rsp\n"
        "    mov 128(%rsi), %rcx\n"
        "    mov 72(%rsi), %rsi\n"
        "    jmp *syscall_way(%rip)\n");

uint64_t syscall_way __attribute__((used, visibility("hidden")));

_Static_assert(offsetof(struct ucontext, uc_mcontext) == 40, "of on_syscall");
_Static_assert(offsetof(struct sigcontext, fpstate) == 184, "of on_syscall");
_Static_assert(offsetof(struct sigcontext, rip) == 128, "of on_syscall");

static void map_guest(void)
{
    for (uint32_t i = 0; i < setup.range_count; i++) {
        const struct halo_range *range = &setup.ranges[i];
        long prot = 0;

        prot |= range->prot & HALO_PROT_READ ? PROT_READ : 0;
        prot |= range->prot & HALO_PROT_WRITE ? PROT_WRITE : 0;
        prot |= range->prot & HALO_PROT_EXEC ? PROT_EXEC : 0;
        require(2, call6(__NR_mmap, (long)range->base, (long)range->len, prot,
                         MAP_SHARED | MAP_FIXED_NOREPLACE, CHILD_RAM,
                         (long)(range->base - HALO_RAM_BASE)));
    }
}

static void catch_faults(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    const stack_t stack = {.ss_sp = alternate_stack, .ss_size = sizeof(alternate_stack)};
    const unsigned long none = 0;
    struct sigaction action = {0};

    require(3, call6(__NR_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8, 0, 0));
    action.sa_handler = (__sighandler_t)(void (*)(void))on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER | SA_NODEFER;
    action.sa_restorer = (__sigrestore_t)(void (*)(void))give_up; /* on_fault does not return */
    require(3, call3(__NR_sigaltstack, (long)&stack, 0, 0));
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        require(3, call6(__NR_rt_sigaction, signals[i], (long)&action, 0, 8, 0, 0));
    if (setup.syscall_way) {
        syscall_way = setup.syscall_way;
        action.sa_handler = (__sighandler_t)(void (*)(void))on_syscall;
        require(3, call6(__NR_rt_sigaction, SIGSYS, (long)&action, 0, 8, 0, 0));
    }
}

/*
 * When the host is gone, whatever it died of, its end of the socket closes, and the kernel sends
 * SIGIO, which kills. Unlike PR_SET_PDEATHSIG this does not depend on which thread made us.
 */
static void die_with_host(void)
{
    const struct sigaction standard = {0}; /* the host may have had it ignored */

    require(4, call6(__NR_rt_sigaction, SIGIO, (long)&standard, 0, 8, 0, 0));
    require(4, call3(__NR_fcntl, CHILD_SOCKET, F_SETOWN, call3(__NR_getpid, 0, 0, 0)));
    require(4, call3(__NR_fcntl, CHILD_SOCKET, F_SETFL, FASYNC));
}

static long add_filter(uint32_t count, struct sock_filter *filter, unsigned flags)
{
    struct sock_fprog program = {(unsigned short)count, filter};

    return call3(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, (long)&program);
}

static void send_listener(int listener)
{
    char byte = 0;
    struct iovec iov = {&byte, 1};
    struct rights_message rights = {
        .len = 20, .level = SOCKET_LEVEL, .type = SOCKET_RIGHTS, .fd = listener};
    struct message_header header = {
        .iov = &iov, .iov_len = 1, .control = &rights, .control_len = sizeof(rights)};

    require(6, call3(__NR_sendmsg, CHILD_SOCKET, (long)&header, 0));
    require(6, call3(__NR_close, listener, 0, 0));
}

/* Nothing but the guest and these pages stays mapped: no stack, no environment, no vdso. */
static void unmap_rest(uint64_t old_stack)
{
    const uint64_t guest_end = HALO_RAM_BASE + setup.ram_len;
    const uint64_t start = (uint64_t)child_start, end = (uint64_t)child_end;

    require(7, call3(__NR_munmap, 0, HALO_RAM_BASE, 0));
    require(7, call3(__NR_munmap, (long)guest_end, (long)(start - guest_end), 0));
    if (call3(__NR_munmap, (long)end, (long)(USER_END - end), 0) < 0) {
        /* Some kernels seal the vdso. It holds nothing; the stack must go. */
        old_stack &= ~(HALO_PAGE - 1);
        require(7, call3(__NR_munmap, (long)old_stack, (long)(USER_END - old_stack), 0));
    }
}

/* Called by _start, below. */
__attribute__((noreturn, used)) void child_main(uint64_t old_stack);

void child_main(uint64_t old_stack)
{
    static const struct rlimit none = {0, 0};
    long listener;

    if (call6(__NR_recvfrom, CHILD_SOCKET, (long)&setup, sizeof(setup), 0, 0, 0) != sizeof(setup))
        give_up(8);
    require(13, call3(__NR_setsid, 0, 0, 0)); /* a terminal's signals are for the host */
    require(9, call6(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
    require(9, call6(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0, 0));
    require(9, call3(__NR_setrlimit, RLIMIT_CORE, (long)&none, 0));
    map_guest();
    require(9, call3(__NR_close, CHILD_RAM, 0, 0));
    require(2, call3(__NR_arch_prctl, ARCH_SET_FS, (long)(setup.boot + HALO_THREAD_OFFSET), 0));
    catch_faults();
    die_with_host();
    listener = add_filter(setup.notify_count, setup.notify, SECCOMP_FILTER_FLAG_NEW_LISTENER);
    require(5, listener);
    send_listener((int)listener);
    unmap_rest(old_stack);
    require(10, add_filter(setup.lock_count, setup.lock, 0));

    __asm__ volatile("mov %0, %%rsp\n\t"
                     "xor %%eax, %%eax\n\txor %%ebx, %%ebx\n\txor %%ecx, %%ecx\n\t"
                     "xor %%edx, %%edx\n\txor %%ebp, %%ebp\n\txor %%r8d, %%r8d\n\t"
                     "xor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\txor %%r11d, %%r11d\n\t"
                     "xor %%r12d, %%r12d\n\txor %%r13d, %%r13d\n\txor %%r14d, %%r14d\n\t"
                     "xor %%r15d, %%r15d\n\t"
                     "jmp *%%rsi"
                     :
                     : "r"(setup.stack), "D"(setup.boot), "S"(setup.entry)
                     : "memory");
    __builtin_unreachable();
}

/* On a stack of its own, because the one that the kernel made is going to be unmapped. */
__asm__(".pushsection .bss\n"
        ".balign 16\n"
        "child_stack: .skip 16384\n"
        "child_stack_top:\n"
        ".popsection\n"
        ".globl _start\n"
        "_start:\n"
        "    mov %rsp, %rdi\n"
        "    lea child_stack_top(%rip), %rsp\n"
        "    call child_main\n");
