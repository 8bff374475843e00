/*
 * The program in which a guest runs as a process: a few pages, no libc. It maps guest memory,
 * gives up everything a process has, and jumps into the guest. From then on only its signal
 * handlers are left (process_signals.c).
 *
 * It runs in an address space of its own, started by exec, so that nothing of the host's memory is
 * ever in reach of a guest.
 */
#include "process_signals.h"
#include "seccomp_rules.h"
#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/landlock.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/uio.h>

#define USER_END 0x7ffffffff000ull
#define NOBODY 65534

extern unsigned char child_start[], child_end[];

static struct child_setup setup TOLD __attribute__((used));

static void map_guest(void)
{
    for (uint32_t i = 0; i < setup.range_count; i++) {
        const struct halo_range *range = &setup.ranges[i];
        long prot = 0;

        prot |= range->prot & HALO_PROT_READ ? PROT_READ : 0;
        prot |= range->prot & HALO_PROT_WRITE ? PROT_WRITE : 0;
        prot |= range->prot & HALO_PROT_EXEC ? PROT_EXEC : 0;
        require(CHILD_MAP, call6(__NR_mmap, (long)range->base, (long)range->len, prot,
                                 MAP_SHARED | MAP_FIXED_NOREPLACE, CHILD_RAM,
                                 (long)(range->base - HALO_RAM_BASE)));
    }
}

static void die_with(int socket)
{
    require(CHILD_TIES, call3(__NR_fcntl, socket, F_SETOWN, call3(__NR_getpid, 0, 0, 0)));
    require(CHILD_TIES, call3(__NR_fcntl, socket, F_SETSIG, SIGKILL));
    require(CHILD_TIES, call3(__NR_fcntl, socket, F_SETFL, FASYNC));
}

/*
 * The kernel kills us when the keeper ends, which ends with the host, and when the host shuts its
 * socket down. That is SIGKILL and not SIGIO, which a process that is stopped never takes, and not
 * PR_SET_PDEATHSIG, which a keeper may not send to whom we have become.
 */
static void tie_to_host(void)
{
    char byte;

    die_with(CHILD_TIE);
    die_with(CHILD_SOCKET);
    /* It may have ended before. */
    if (call6(__NR_recvfrom, CHILD_TIE, (long)&byte, 1, BARE_DONTWAIT, 0, 0) == 0)
        give_up(CHILD_TIES);
}

/* --- Walls behind the filter: what cannot be had is done without ---------------------------------
 */

static const struct __user_cap_header_struct cap_header = {_LINUX_CAPABILITY_VERSION_3, 0};

/* A host that may becomes nobody; not where it could then no longer stop us. */
static void become_nobody(void)
{
    const uint32_t wanted = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL;
    struct __user_cap_data_struct has[2] = {{0, 0, 0}, {0, 0, 0}};

    if (call3(__NR_capget, (long)&cap_header, (long)has, 0) < 0 ||
        (has[0].effective & wanted) != wanted)
        return;
    /* Not all at once, for what no program may gain is only given up with CAP_SETPCAP. */
    call6(__NR_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0, 0);
    call3(__NR_setgroups, 0, 0, 0);
    call3(__NR_setresgid, NOBODY, NOBODY, NOBODY);
    call3(__NR_setresuid, NOBODY, NOBODY, NOBODY);
}

/*
 * A user namespace in which nobody is anybody. As root of it: see nothing but a directory about our
 * own descriptors. Others where they are asked for: they cost more than the rest of opening.
 */
static void leave_namespaces(void)
{
    const long strict = CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS;

    if (call3(__NR_unshare, CLONE_NEWUSER | (setup.strict ? strict : 0), 0, 0) < 0 && setup.strict)
        give_up(CHILD_NAMESPACES);
    if (call3(__NR_chroot, (long)"/proc/self/fdinfo", 0, 0) == 0)
        call3(__NR_chdir, (long)"/", 0, 0);
}

/* Landlock: no file, no port, no signal to others, as far as this kernel's version knows. */
static void forbid_files(void)
{
    static const unsigned char file_rights[] = {0, 13, 14, 15, 15, 16};
    struct {
        uint64_t files, ports, scopes;
    } rules = {0, 0, 0};
    long version =
        call3(__NR_landlock_create_ruleset, 0, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */);
    long len = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    long fd;

    if (version < 1)
        return;
    rules.files = (1ull << file_rights[version < 5 ? version : 5]) - 1;
    rules.ports = version >= 4 ? 3 : 0;
    rules.scopes = version >= 6 ? 3 : 0;
    fd = call3(__NR_landlock_create_ruleset, (long)&rules, len, 0);
    if (fd < 0)
        return;
    call3(__NR_landlock_restrict_self, fd, 0, 0);
    call3(__NR_close, fd, 0, 0);
}

/* Where memory lacks, the kernel ends the guest's process rather than its host's. */
static void go_first(void)
{
    const long fd = call6(__NR_openat, AT_FDCWD, (long)"/proc/self/oom_score_adj",
                          O_WRONLY | O_CLOEXEC, 0, 0, 0);

    if (fd < 0)
        return;
    call3(__NR_write, fd, (long)"1000", 4);
    call3(__NR_close, fd, 0, 0);
}

/*
 * No program that it could exec would gain a capability. Who may not, has no use for them either. A
 * user namespace begins with all of them, so this comes behind it; where there is none, nobody has
 * kept what is needed, and takes it up again.
 */
static void drop_bounds(void)
{
    struct __user_cap_data_struct has[2] = {{0, 0, 0}, {0, 0, 0}};

    if (call3(__NR_capget, (long)&cap_header, (long)has, 0) >= 0 &&
        !(has[0].effective & 1u << CAP_SETPCAP)) {
        has[0].effective = has[0].permitted & 1u << CAP_SETPCAP;
        call3(__NR_capset, (long)&cap_header, (long)has, 0);
    }
    for (long cap = 0; call6(__NR_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0, 0) == 0; cap++)
        continue;
}

static void build_walls(void)
{
    go_first();
    become_nobody();
    leave_namespaces();
    drop_bounds();
    forbid_files();
    call6(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0);
    call6(__NR_prctl, PR_SET_SECUREBITS, 0x2f, 0, 0, 0, 0); /* uid 0 means nothing, for good */
}

/* --- What is always given up ---------------------------------------------------------------------
 */

static void give_up_rights(void)
{
    const struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

    require(CHILD_RIGHTS, call6(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
    if (!setup.bare)
        build_walls();
    require(CHILD_RIGHTS, call3(__NR_capset, (long)&cap_header, (long)none, 0));
    require(CHILD_RIGHTS,
            call6(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0, 0)); /* after a change of user */
}

/* Nothing that costs the machine anything can be asked for. */
static void limit_everything(void)
{
    static const int resources[] = {RLIMIT_CORE,     RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_FSIZE,
                                    RLIMIT_MEMLOCK,  RLIMIT_DATA,   RLIMIT_STACK, RLIMIT_LOCKS,
                                    RLIMIT_MSGQUEUE, RLIMIT_NICE,   RLIMIT_RTPRIO};
    static const struct rlimit none = {0, 0};
    const unsigned long most = setup.ram_len + CHILD_REGIONS_MAX * CHILD_REGION_LEN + (1ul << 20);
    const struct rlimit pages = {most, most};

    for (unsigned i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
        require(CHILD_LIMITS, call3(__NR_setrlimit, resources[i], (long)&none, 0));
    require(CHILD_LIMITS,
            call3(__NR_setrlimit, RLIMIT_AS, (long)(setup.release ? &pages : &none), 0));
}

/* What follows is skipped, so many rows of it, where an argument has another value. */
#define IF_ARGUMENT(index, value, skipped)                            \
    SECCOMP_LOAD(offsetof(struct seccomp_data, args[index])),         \
        SECCOMP_IF((uint32_t)(value), 0, (skipped) + 2),              \
        SECCOMP_LOAD(offsetof(struct seccomp_data, args[index]) + 4), \
        SECCOMP_IF((uint32_t)((uint64_t)(value) >> 32), 0, (skipped))

#define CHILD_RULE_COUNT 38

struct child_filter {
    struct sock_fprog program;
    struct sock_filter rules[CHILD_RULE_COUNT];
};

/*
 * A filter that tells the doorbell, as the code of the doorbell's page and of this program rings
 * it, the same page's mprotect and munmap, and this program's mremap, from every other call, those
 * of the same numbers among them.
 */
static void make_filter(struct child_filter *filter, uint32_t for_host, uint32_t otherwise)
{
    const uint32_t ip = offsetof(struct seccomp_data, instruction_pointer);
    const struct sock_filter rules[] = {
        SECCOMP_RULES_BEGIN,
        SECCOMP_IF(CHILD_DOORBELL_SYSCALL, 0, 5),
        SECCOMP_LOAD(ip + 4),
        SECCOMP_IF((uint32_t)((uint64_t)child_start >> 32), 30, 0),
        SECCOMP_IF((uint32_t)(setup.doorbell >> 32), 0, 28),
        SECCOMP_LOAD(ip),
        SECCOMP_IF((uint32_t)setup.doorbell, 27, 26),
        /* Where there is no such code, that is a number that has been dealt with. */
        SECCOMP_IF(setup.release ? __NR_mremap : CHILD_DOORBELL_SYSCALL, 0, 2),
        SECCOMP_LOAD(ip + 4),
        SECCOMP_IF((uint32_t)((uint64_t)child_start >> 32), 24, 23),
        SECCOMP_IF(setup.release ? __NR_munmap : CHILD_DOORBELL_SYSCALL, 0, 4),
        SECCOMP_LOAD(ip + 4),
        SECCOMP_IF((uint32_t)(setup.release >> 32), 0, 20),
        SECCOMP_LOAD(ip),
        SECCOMP_IF((uint32_t)setup.release, 19, 18),
        SECCOMP_IF(setup.protect ? __NR_mprotect : CHILD_DOORBELL_SYSCALL, 0, 17),
        SECCOMP_LOAD(ip + 4),
        SECCOMP_IF((uint32_t)(setup.protect >> 32), 0, 15),
        SECCOMP_LOAD(ip),
        SECCOMP_IF((uint32_t)setup.protect, 0, 13),
        /* Where nothing becomes read-only, that is a call for no bytes. */
        IF_ARGUMENT(0, setup.relro, 10),
        IF_ARGUMENT(1, setup.relro_len, 6),
        IF_ARGUMENT(2, PROT_READ, 2),
        SECCOMP_RULES_END(SECCOMP_RET_ALLOW),
        SECCOMP_RULES_END(otherwise),
        SECCOMP_RULES_END(for_host),
    };

    const void *from = rules;
    void *to = filter->rules;
    unsigned long len = sizeof(rules);

    _Static_assert(sizeof(rules) == sizeof(filter->rules), "all of it");
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
    filter->program = (struct sock_fprog){CHILD_RULE_COUNT, filter->rules};
}

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
    struct child_rights rights;
};

static void send_rights(struct child_rights given)
{
    char byte = 0;
    struct iovec iov = {&byte, 1};
    struct rights_message rights = {
        .len = sizeof(rights), .level = BARE_LEVEL_SOCKET, .type = BARE_RIGHTS, .rights = given};
    struct message_header header = {
        .iov = &iov, .iov_len = 1, .control = &rights, .control_len = sizeof(rights)};

    if (given.faults < 0 || given.pages < 0) {
        rights.len -= sizeof(given) - CHILD_RIGHTS_LEAST;
        header.control_len = (rights.len + 7) & ~7ul;
    }
    require(CHILD_DOORBELL, given.pidfd);
    require(CHILD_DOORBELL, call3(__NR_sendmsg, CHILD_SOCKET, (long)&header, BARE_NOSIGNAL));
    require(CHILD_DOORBELL, call3(__NR_close, given.listener, 0, 0));
    require(CHILD_DOORBELL, call3(__NR_close, given.pidfd, 0, 0));
    if (given.faults >= 0)
        require(CHILD_DOORBELL, call3(__NR_close, given.faults, 0, 0));
    if (given.pages >= 0)
        require(CHILD_DOORBELL, call3(__NR_close, given.pages, 0, 0));
}

/* Nothing but the guest and these pages stays mapped: no stack, no environment, no vdso. */
static void unmap_rest(uint64_t old_stack)
{
    const uint64_t guest_end = HALO_RAM_BASE + setup.ram_len;
    const uint64_t start = (uint64_t)child_start, end = (uint64_t)child_end;

    require(CHILD_UNMAP, call3(__NR_munmap, 0, HALO_RAM_BASE, 0));
    require(CHILD_UNMAP, call3(__NR_munmap, (long)guest_end, (long)(start - guest_end), 0));
    if (call3(__NR_munmap, (long)end, (long)(USER_END - end), 0) < 0) {
        /* Some kernels seal the vdso. It holds nothing; the stack must go. */
        old_stack &= ~(HALO_PAGE - 1);
        require(CHILD_UNMAP, call3(__NR_munmap, (long)old_stack, (long)(USER_END - old_stack), 0));
    }
}

/*
 * All that was told is wiped, the stack too: the word must be the kernel's alone. It becomes
 * read-only, so that a guest leaves nothing there, and is locked in. Then the doorbell is rung
 * once, and who answers it lets the guest begin. Where it does not ring there is nothing left
 * to do but to end, and no handler may come to that, for one leads to the guest: on an
 * alternate stack that is too small the kernel calls none.
 */
__attribute__((noreturn)) static void lock_in(const struct child_filter *filter)
{
    __asm__ volatile(
        "mov %[stack], %%rsp\n\t"
        "rep stosb\n\t"
        "lea child_stack(%%rip), %%rdi\n\t"
        "mov $child_stack_len, %%ecx\n\t"
        "rep stosb\n\t"
        "lea child_told(%%rip), %%rdi\n\t"
        "lea child_told_end(%%rip), %%rsi\n\t"
        "sub %%rdi, %%rsi\n\t"
        "mov %[readable], %%edx\n\t"
        "mov %[mprotect], %%eax\n\t"
        "syscall\n\t"
        "mov %[seal_step], %%edi\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "mov %[set_filter], %%edi\n\t"
        "xor %%esi, %%esi\n\t"
        "mov %[filter], %%rdx\n\t"
        "mov %[seccomp], %%eax\n\t"
        "syscall\n\t"
        "mov %[lock_step], %%edi\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "mov %[filter], %%rdi\n\t"
        "mov %[filter_len], %%ecx\n\t"
        "rep stosb\n\t"
        "mov %[ready], %%edi\n\t"
        "mov %[word], %%rsi\n\t"
        "mov %[number], %%eax\n\t"
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jz 2f\n\t"
        "jmp 3f\n\t"
        "1: mov %[exit], %%eax\n\t"
        "syscall\n\t"
        "3: mov alternate(%%rip), %%rsp\n\t"
        "add $16, %%rsp\n\t"
        "ud2\n\t"
        "2: mov %[boot], %%rdi\n\t"
        "mov %[entry], %%rsi\n\t"
        "xor %%eax, %%eax\n\txor %%ebx, %%ebx\n\txor %%ecx, %%ecx\n\t"
        "xor %%edx, %%edx\n\txor %%ebp, %%ebp\n\txor %%r8d, %%r8d\n\t"
        "xor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\txor %%r11d, %%r11d\n\t"
        "xor %%r12d, %%r12d\n\txor %%r13d, %%r13d\n\txor %%r14d, %%r14d\n\t"
        "xor %%r15d, %%r15d\n\t"
        "jmp *%%rsi"
        :
        : [stack] "r"(setup.stack), "D"(&setup), "c"(sizeof(setup)),
          "a"(0), [boot] "r"(setup.boot), [entry] "r"(setup.entry), [word] "r"(setup.word),
          [filter] "r"(filter), [filter_len] "i"(sizeof(*filter)),
          [ready] "i"(CHILD_DOORBELL_READY), [number] "i"(CHILD_DOORBELL_SYSCALL),
          [exit] "i"(__NR_exit_group), [readable] "i"(PROT_READ), [mprotect] "i"(__NR_mprotect),
          [set_filter] "i"(SECCOMP_SET_MODE_FILTER), [seccomp] "i"(__NR_seccomp),
          [seal_step] "i"(CHILD_SEAL), [lock_step] "i"(CHILD_LOCK)
        : "rsi", "rdx", "r11", "cc", "memory");
    __builtin_unreachable();
}

/* Called by _start, below. */
__attribute__((noreturn, used)) void child_main(uint64_t old_stack);

void child_main(uint64_t old_stack)
{
    struct child_rights given = {.faults = -1, .pages = -1};
    struct child_filter *filter;

    if (call6(__NR_recvfrom, CHILD_SOCKET, (long)&setup, sizeof(setup), 0, 0, 0) != sizeof(setup))
        give_up(CHILD_SETUP);
    map_guest();
    alternate = setup.alternate;
    filter = (struct child_filter *)alternate; /* which is there yet when what was told is gone */
    require(CHILD_RIGHTS, call3(__NR_close, CHILD_RAM, 0, 0));
    require(CHILD_MAP,
            call3(__NR_arch_prctl, ARCH_SET_FS, (long)(setup.boot + HALO_THREAD_OFFSET), 0));
    catch_signals(&setup);
    if (setup.tracks) { /* the host cannot open these: nobody can, of who has given up its rights */
        given.faults = (int)call3(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1, 0, 0);
        given.pages = (int)call6(__NR_openat, AT_FDCWD, (long)"/proc/self/pagemap",
                                 O_RDONLY | O_CLOEXEC, 0, 0, 0);
    }
    give_up_rights();
    tie_to_host(); /* as whom we have become: the kernel asks who was to be told */
    unmap_rest(old_stack);
    make_filter(filter, SECCOMP_RET_USER_NOTIF, SECCOMP_RET_ALLOW);
    given.listener = (int)call3(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
                                SECCOMP_FILTER_FLAG_NEW_LISTENER, (long)&filter->program);
    require(CHILD_FILTER, given.listener);
    given.pidfd = (int)call3(__NR_pidfd_open, call3(__NR_getpid, 0, 0, 0), 0, 0);
    send_rights(given);
    limit_everything();
    make_filter(filter, SECCOMP_RET_ALLOW, SECCOMP_RET_TRAP);

    lock_in(filter);
}

/* On a stack of its own, because the one that the kernel made is going to be unmapped. */
__asm__(".pushsection .bss.told, \"aw\", @nobits\n"
        ".balign 16\n"
        ".globl child_stack, child_stack_top\n"
        "child_stack: .skip 8192\n"
        "child_stack_top:\n"
        ".equ child_stack_len, 8192\n"
        ".popsection\n"
        ".globl _start\n"
        "_start:\n"
        "    mov %rsp, %rdi\n"
        "    lea child_stack_top(%rip), %rsp\n"
        "    call child_main\n");
