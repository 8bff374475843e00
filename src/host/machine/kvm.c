/*
 * Backend "kvm": a micro-VM with one processor, no kernel and no devices. All guest code runs at
 * CPL3; CPL0 holds a stub per fault, and one that leads system calls back to CPL3. docs/platform.md
 * tells why it is built like this.
 */
#define _GNU_SOURCE
#include "kvm.h"
#include "kvm_features.h"
#include "../deadline.h"
#include "../descriptor.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define KERNEL_SIGSET_LEN 8
/* What a restart sets with the next run; every KVM that has one of them has all. */
#define SYNC_ALL (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS)
#define UPCALL_NS 1000000  /* how often one is stopped that may be called while it computes */
#define REPEAT_NS 10000000 /* how often the deadline's signal is sent again */

static int failed(struct halo_machine *machine, const char *what)
{
    return halo__fail(machine->words, HALO_EHOST, "kvm: %s: %s", what, strerror(errno));
}

static int open_kvm(struct halo_machine *machine, struct kvm_state *state)
{
    state->kvm = halo__fd_high(open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (state->kvm < 0)
        return halo__fail(machine->words, HALO_ENOKVM,
                          "/dev/kvm: %s; load the kvm module or join the group kvm, or use "
                          "--backend process",
                          strerror(errno));
    if (ioctl(state->kvm, KVM_GET_API_VERSION, 0) < 0)
        return halo__fail(machine->words, HALO_ENOKVM,
                          "/dev/kvm: is no KVM (%s); use --backend process", strerror(errno));
    if (ioctl(state->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION ||
        ((unsigned)ioctl(state->kvm, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS) & SYNC_ALL) !=
            SYNC_ALL ||
        ioctl(state->kvm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) <= 0)
        return halo__fail(machine->words, HALO_ENOKVM,
                          "/dev/kvm: this kernel's KVM is too old; use --backend process");
    return 0;
}

static int add_memory(struct halo_machine *machine, const struct kvm_state *state, uint32_t slot,
                      uint64_t guest, uint64_t len, void *host)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot,
        .guest_phys_addr = guest,
        .memory_size = len,
        .userspace_addr = (uintptr_t)host,
    };

    if (ioctl(state->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return failed(machine, "cannot give the guest its memory");
    return 0;
}

static int make_memory(struct halo_machine *machine, struct kvm_state *state)
{
    int error;

    state->system_len = halo__kvm_tables_len(&machine->layout);
    state->system =
        mmap(NULL, state->system_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (state->system == MAP_FAILED) {
        state->system = NULL;
        return halo__fail(machine->words, HALO_ENOMEM, "kvm: no memory for page tables");
    }
    halo__kvm_tables_build(machine, state->system);
    error = add_memory(machine, state, 0, KVM_SYSTEM_BASE, state->system_len, state->system);
    if (!error)
        error = add_memory(machine, state, 1, HALO_RAM_BASE, machine->ram.len,
                           halo_shm_expose(machine->ram.host));
    return error;
}

/* The guest sees the host's features, as far as this KVM can give them. */
static int set_cpuid(struct halo_machine *machine, const struct kvm_state *state)
{
    if (halo__kvm_features(state->kvm, state->vcpu, &machine->told) < 0)
        return failed(machine, "cannot set the processor's features");
    return 0;
}

static struct kvm_regs first_registers(const struct halo_machine *machine)
{
    return (struct kvm_regs){
        .rip = halo__doorbell_start(&machine->layout),
        .rflags = 0x3002, /* IOPL 3: the doorbell is an `out` */
    };
}

/* Straight into 64-bit mode at CPL3. */
static int set_registers(struct halo_machine *machine, struct kvm_state *state)
{
    const struct kvm_segment code = {.limit = 0xffffffff,
                                     .selector = KVM_SELECTOR_CODE,
                                     .type = 11,
                                     .present = 1,
                                     .dpl = 3,
                                     .s = 1,
                                     .l = 1,
                                     .g = 1};
    const struct kvm_segment data = {.limit = 0xffffffff,
                                     .selector = KVM_SELECTOR_DATA,
                                     .type = 3,
                                     .present = 1,
                                     .dpl = 3,
                                     .db = 1,
                                     .s = 1,
                                     .g = 1};
    const struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = 7}}};
    const struct kvm_regs regs = first_registers(machine);
    struct kvm_sregs sregs;

    if (ioctl(state->vcpu, KVM_GET_SREGS, &sregs) < 0)
        return failed(machine, "cannot read the processor's state");
    sregs.cs = code;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
    sregs.fs.base = machine->layout.boot + HALO_THREAD_OFFSET;
    sregs.tr = (struct kvm_segment){.base = KVM_TSS,
                                    .limit = KVM_TSS_LIMIT,
                                    .selector = KVM_SELECTOR_TSS,
                                    .type = 11,
                                    .present = 1};
    sregs.ldt = (struct kvm_segment){.type = 2, .unusable = 1};
    sregs.gdt = (struct kvm_dtable){.base = KVM_GDT, .limit = KVM_GDT_LIMIT};
    sregs.idt = (struct kvm_dtable){.base = KVM_IDT, .limit = KVM_IDT_LIMIT};
    sregs.cr0 = 0x80010033; /* PG WP NE ET MP PE */
    sregs.cr3 = KVM_PML4;
    sregs.cr4 = 0x40620; /* OSXSAVE OSXMMEXCPT OSFXSR PAE */
    sregs.efer = 0xd00;  /* NXE LMA LME, and no SCE yet */
    /* FSGSBASE: the doorbell saves both, and a C library's threads set fs. */
    if (machine->layout.syscall_entry || halo__doorbell_has_bases())
        sregs.cr4 |= 0x10000;
    if (machine->layout.syscall_entry)
        sregs.efer |= 1; /* SCE */
    if (ioctl(state->vcpu, KVM_SET_SREGS, &sregs) < 0)
        return failed(machine, "cannot set the processor's state");
    if (ioctl(state->vcpu, KVM_SET_XCRS, &xcrs) < 0)
        return failed(machine, "cannot enable vector registers");
    if (ioctl(state->vcpu, KVM_SET_REGS, &regs) < 0)
        return failed(machine, "cannot set registers");
    state->first = sregs;
    state->cr3 = sregs.cr3;
    if (machine->layout.syscall_entry &&
        halo__kvm_set_syscall(state->vcpu, machine->layout.doorbell + HALO_SYSCALL_OFFSET) < 0)
        return failed(machine, "cannot arrange for system calls");
    return 0;
}

static int make_vcpu(struct halo_machine *machine, struct kvm_state *state)
{
    int len = ioctl(state->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    void *run;
    int error, rate;

    if (len < (int)sizeof(*state->run))
        return failed(machine, "cannot learn the size of a vCPU");
    state->vcpu = halo__fd_high(ioctl(state->vm, KVM_CREATE_VCPU, 0));
    if (state->vcpu < 0)
        return failed(machine, "cannot create a vCPU");
    run = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED, state->vcpu, 0);
    if (run == MAP_FAILED)
        return failed(machine, "cannot map a vCPU");
    state->run = run;
    state->run_len = (size_t)len;
    state->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
    rate = ioctl(state->vcpu, KVM_GET_TSC_KHZ);
    machine->counter_rate = rate > 0 ? (uint64_t)rate * 1000 : 0;
    error = set_cpuid(machine, state);
    return error ? error : set_registers(machine, state);
}

static int kvm_create(struct halo_machine *machine)
{
    struct kvm_state *state = calloc(1, sizeof(*state));
    int error;

    if (!state)
        return halo__fail(machine->words, HALO_ENOMEM, "kvm: no memory");
    state->kvm = state->vm = state->vcpu = -1;
    machine->state = state;
    error = open_kvm(machine, state);
    if (error)
        return error;
    state->vm = halo__fd_high(ioctl(state->kvm, KVM_CREATE_VM, 0));
    if (state->vm < 0)
        return halo__fail(machine->words, HALO_ENOKVM,
                          "/dev/kvm: no VM can be created (%s); use --backend process",
                          strerror(errno));
    error = make_memory(machine, state);
    return error ? error : make_vcpu(machine, state);
}

static bool kvm_destroy(struct halo_machine *machine)
{
    struct kvm_state *state = machine->state;

    if (!state)
        return true;
    if (state->run)
        munmap(state->run, state->run_len);
    if (state->vcpu >= 0)
        close(state->vcpu);
    if (state->vm >= 0)
        close(state->vm);
    if (state->kvm >= 0)
        close(state->kvm);
    if (state->system)
        munmap(state->system, state->system_len);
    free(state);
    machine->state = NULL;
    return true;
}

/*
 * Inside KVM_RUN the thread's signal mask, as it is now, without SIGURG. The vCPU keeps it, and
 * gets another where this thread has another, or a later run is another thread's.
 */
static int set_mask(struct kvm_state *state)
{
    union {
        struct kvm_signal_mask mask;
        unsigned char bytes[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET_LEN];
    } in_run = {.mask = {.len = KERNEL_SIGSET_LEN}};
    sigset_t set;

    pthread_sigmask(SIG_SETMASK, NULL, &set);
    if (state->has_mask && memcmp(&set, &state->mask, KERNEL_SIGSET_LEN) == 0)
        return 0;
    state->mask = set;
    sigdelset(&set, SIGURG);
    memcpy(in_run.bytes + sizeof(struct kvm_signal_mask), &set, KERNEL_SIGSET_LEN);
    if (ioctl(state->vcpu, KVM_SET_SIGNAL_MASK, &in_run) < 0)
        return -1;
    state->has_mask = true;
    return 0;
}

/*
 * Have KVM_RUN interrupted at the deadline, or by halo_interrupt. SIGURG is blocked in this thread
 * (by halo_run) except inside KVM_RUN, where the kernel swaps the mask: there it ends the run, and
 * it stays pending, so it cannot be lost however early it comes. No handler is ever called. RES-08.
 */
static int kvm_enter(struct halo_machine *machine, int64_t deadline)
{
    struct kvm_state *state = machine->state;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG};
    const int64_t look = machine->upcalls ? UPCALL_NS : machine->sample_ns;
    /* looked at in between */
    const bool repeats =
        machine->counts_cpu || look || machine->is_debugged || halo__tick_is_wanted(machine);
    const int64_t every = look && look < REPEAT_NS ? look : REPEAT_NS;
    struct itimerspec when = {
        .it_interval = {0, every},
        .it_value = {deadline / 1000000000, deadline % 1000000000},
    };

    if (repeats) {
        const int64_t soon = halo__now() + every;
        const int64_t first = soon < deadline ? soon : deadline;

        when.it_value = (struct timespec){first / 1000000000, first % 1000000000};
    }
    state->ticks = repeats;
    if (set_mask(state) < 0)
        return failed(machine, "cannot set the signal mask of a vCPU");
    if (deadline == HALO_FOREVER && !repeats)
        return 0;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, &state->timer) < 0)
        return failed(machine, "cannot create a timer");
    state->has_timer = true;
    if (timer_settime(state->timer, TIMER_ABSTIME, &when, NULL) < 0)
        return failed(machine, "cannot set a timer");
    return 0;
}

static void kvm_leave(struct halo_machine *machine)
{
    struct kvm_state *state = machine->state;

    if (state->has_timer)
        timer_delete(state->timer);
    state->has_timer = false;
}

static void dead(struct halo_exit *exit, const char *why, uint64_t number)
{
    exit->kind = HALO_EXIT_DEAD;
    (void)snprintf(exit->why, sizeof(exit->why), "%s (0x%llx)", why, (unsigned long long)number);
}

/* The guest stands in a fault stub; the processor left a frame on the fault stack. */
static int read_fault(struct halo_machine *machine, struct kvm_state *state, struct halo_exit *exit)
{
    const struct kvm_regs *regs = &state->run->s.regs.regs;
    struct kvm_frame frame;
    struct kvm_sregs sregs;

    if (!halo__kvm_frame(regs, state->system, &frame)) {
        dead(exit, "a fault left no frame; stack", regs->rsp);
        return 0;
    }
    if (ioctl(state->vcpu, KVM_GET_SREGS, &sregs) < 0)
        return failed(machine, "cannot read the processor's state");
    exit->kind = HALO_EXIT_FAULT;
    exit->fault = (struct halo_fault){
        .vector = frame.vector,
        .error = (uint32_t)frame.words[0],
        .address = frame.vector == 14 ? sregs.cr2 : 0,
        .rip = frame.words[KVM_FRAME_RIP],
        .rsp = frame.words[KVM_FRAME_RSP],
    };
    exit->fills =
        frame.vector == 14 && machine->layout.syscall_entry && halo__paging_is_there(sregs.cr2, 1);
    exit->is_claimed = false;
    exit->is_system_call = halo__kvm_is_system_call(machine, &exit->fault, regs->rcx);
    exit->system_call = regs->rax;
    return 0;
}

static int read_port_exit(struct halo_machine *machine, struct kvm_state *state,
                          struct halo_exit *exit)
{
    const struct kvm_run *run = state->run;
    const struct kvm_regs *regs = &run->s.regs.regs;
    bool in_stub = regs->rip >= KVM_STUBS && regs->rip < KVM_STUBS + HALO_PAGE;

    if (run->io.direction == KVM_EXIT_IO_OUT && run->io.port == KVM_FAULT_PORT && in_stub)
        return read_fault(machine, state, exit);
    if (run->io.direction == KVM_EXIT_IO_OUT && run->io.port == KVM_DOORBELL_PORT && !in_stub) {
        exit->kind = HALO_EXIT_DOORBELL;
        exit->op = regs->rdi;
        exit->a = regs->rsi;
        exit->b = regs->rdx;
        return 0;
    }
    if (run->io.direction == KVM_EXIT_IO_OUT &&
        (run->io.port == KVM_PROTECT_PORT || run->io.port == KVM_RELEASE_PORT) && !in_stub &&
        machine->layout.syscall_entry) {
        exit->kind = HALO_EXIT_PROTECT;
        exit->base = regs->rdi;
        exit->len = regs->rsi;
        exit->prot = regs->rdx;
        exit->releases = run->io.port == KVM_RELEASE_PORT;
        return 0;
    }
    dead(exit, "it used an I/O port that does not exist", run->io.port);
    return 0;
}

static int read_reason(struct halo_machine *machine, struct kvm_state *state,
                       struct halo_exit *exit)
{
    const struct kvm_run *run = state->run;

    switch (run->exit_reason) {
    case KVM_EXIT_IO:
        return read_port_exit(machine, state, exit);
    case KVM_EXIT_MMIO:
        dead(exit, "it touched memory that does not exist", run->mmio.phys_addr);
        return 0;
    case KVM_EXIT_SHUTDOWN: /* VM-01 */
        dead(exit, "triple fault", 0);
        return 0;
    case KVM_EXIT_FAIL_ENTRY:
        dead(exit, "the processor refused its state",
             run->fail_entry.hardware_entry_failure_reason);
        return 0;
    case KVM_EXIT_INTERNAL_ERROR:
        dead(exit, "KVM could not go on", run->internal.suberror);
        return 0;
    default:
        dead(exit, "unexpected exit", run->exit_reason);
        return 0;
    }
}

static int read_exit(struct halo_machine *machine, struct kvm_state *state, struct halo_exit *exit)
{
    const int error = read_reason(machine, state, exit);

    state->is_lost = error || exit->kind == HALO_EXIT_DEAD;
    return error;
}

static inline int run_vcpu(struct halo_machine *machine, int64_t deadline, struct halo_exit *exit)
{
    struct kvm_state *state = machine->state;
    sigset_t urgent;

    if (!state->ticks && halo__tick_is_wanted(machine)) {
        kvm_leave(machine);
        if (kvm_enter(machine, deadline))
            return HALO_EHOST;
    }
    while (!halo__interrupt_is_wanted(&machine->interrupt) &&
           !halo__stop_is_wanted(&machine->stop) &&
           (deadline == HALO_FOREVER || halo__now() < deadline)) {
        const int result = ioctl(state->vcpu, KVM_RUN, 0);

        state->has_run = true;
        if (result == 0)
            return read_exit(machine, state, exit);
        if (errno != EINTR && errno != EAGAIN)
            return failed(machine, "the guest cannot be run");
        /* The signal of the deadline or of halo_interrupt, or one of the host's own, whose handler
         * has run by now. */
        sigemptyset(&urgent);
        sigaddset(&urgent, SIGURG);
        (void)sigtimedwait(&urgent, NULL, &(struct timespec){0, 0});
        /* A function of the host's may have blocked what is pending: it must not end every run. */
        if (set_mask(state) < 0)
            return failed(machine, "cannot set the signal mask of a vCPU");
        if (halo__machine_is_called(machine))
            break;
        if (state->ticks && !machine->is_debugged && halo__now() >= state->tick_at) {
            halo__kvm_tick(machine, state->vcpu, state->run);
            state->tick_at = halo__now() + HALO_TICK_NS - HALO_TICK_NS / 8;
        }
    }
    exit->kind = HALO_EXIT_TIMEOUT;
    return 0;
}

static int kvm_run(struct halo_machine *machine, int64_t deadline, struct halo_exit *exit)
{
    int64_t begin;
    int error;

    if (!machine->counts_cpu)
        return run_vcpu(machine, deadline, exit);
    begin = halo__thread_time();
    error = run_vcpu(machine, deadline, exit);
    machine->cpu_ns += halo__thread_time() - begin;
    return error;
}

static int64_t kvm_cpu(struct halo_machine *machine)
{
    return machine->cpu_ns;
}

static uint64_t kvm_where(struct halo_machine *machine)
{
    const struct kvm_state *state = machine->state;

    return state->run->s.regs.regs.rip;
}

static void kvm_ahead(struct halo_machine *machine, uint64_t *ahead)
{
    halo__kvm_ahead(((struct kvm_state *)machine->state)->vcpu, ahead);
}

static bool kvm_redirect(struct halo_machine *machine, uint64_t to, uint64_t *from)
{
    const struct kvm_state *state = machine->state;

    return !state->is_lost && halo__kvm_redirect(state->vcpu, state->run, to, from);
}

static void kvm_look(struct halo_machine *machine, struct halo_processor *processor)
{
    const struct kvm_state *state = machine->state;

    if (state->has_run)
        halo__kvm_look(&state->run->s.regs.regs, state->system, processor);
}

/*
 * Page tables were changed from outside. A KVM that keeps a shadow of them looks at them anew where
 * the memory in which they lie was taken away and given again; and a processor forgets what it knew
 * of them with a new PML4.
 */
static int forget_pages(struct halo_machine *machine, struct kvm_state *state)
{
    struct kvm_sregs sregs;
    int error = add_memory(machine, state, 0, KVM_SYSTEM_BASE, 0, state->system);

    if (!error)
        error = add_memory(machine, state, 0, KVM_SYSTEM_BASE, state->system_len, state->system);
    if (error)
        return error;
    if (ioctl(state->vcpu, KVM_GET_SREGS, &sregs) < 0)
        return failed(machine, "cannot read the processor's state");
    sregs.cr3 = state->cr3 == KVM_PML4 ? KVM_PML4_TWIN : KVM_PML4;
    if (ioctl(state->vcpu, KVM_SET_SREGS, &sregs) < 0)
        return failed(machine, "cannot set the processor's state");
    state->cr3 = sregs.cr3;
    return 0;
}

/* The result is in rax, which goes in with the next run. */
static int kvm_protect(struct halo_machine *machine, const struct halo_exit *exit, int refusal)
{
    struct kvm_state *state = machine->state;

    if (!refusal && !exit->releases && exit->base >= HALO_PAGING_BASE)
        refusal = -EACCES; /* what is there came with its protection */
    state->run->s.regs.regs.rax = (__u64)(int64_t)refusal;
    state->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
    if (refusal)
        return 0;
    if (exit->releases)
        halo__kvm_tables_release(&machine->layout, state->system, state->taken, exit->base,
                                 exit->len);
    else
        halo__kvm_tables_protect(state->system, exit->base, exit->len, exit->prot);
    return forget_pages(machine, state);
}

/* Nobody remembers that there was nothing. Its stub pops the error code, and goes back. */
static int kvm_fill(struct halo_machine *machine, const struct halo_fill *fill)
{
    struct kvm_state *state = machine->state;
    struct kvm_regs *regs = &state->run->s.regs.regs;

    if (!halo__kvm_tables_fill(&machine->layout, state->system, state->taken, fill))
        return 0;
    state->has_filled = true;
    regs->rip = KVM_STUBS + 14 * 16 + KVM_STUB_RETURN;
    state->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
    return 1;
}

/*
 * All that a guest at CPL3 can change of the processor is in these registers, or is cleared by what
 * they lead to (doorbell.c). An `out` that the guest was left by is not repeated or skipped, since
 * the next instruction is elsewhere. What else may be pending goes, too.
 */
static bool kvm_restart(struct halo_machine *machine, bool protects)
{
    struct kvm_state *state = machine->state;
    struct kvm_sync_regs *set = &state->run->s.regs;

    if (state->is_lost)
        return false;
    if (state->has_filled)
        halo__kvm_tables_release(&machine->layout, state->system, state->taken, HALO_PAGING_BASE,
                                 HALO_PAGING_LEN);
    if (protects || state->has_filled) {
        state->has_filled = false;
        halo__kvm_tables_build(machine, state->system);
        if (forget_pages(machine, state))
            return false;
    }
    set->regs = first_registers(machine);
    set->sregs = state->first;
    set->sregs.cr3 = state->cr3;
    memset(&set->events, 0, sizeof(set->events));
    state->run->kvm_dirty_regs = SYNC_ALL;
    state->has_run = false;
    return true;
}

const struct halo_backend halo__kvm = {
    .name = "kvm",
    .ends_by_signal = true,
    .doorbell = {0xe6, KVM_DOORBELL_PORT, 0x66, 0x0f, 0x1f, 0x44, 0, 0,
                 /* out %al, $port; nopw 0(%rax,%rax); nopl 0(%rax,%rax) */
                 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
    .protect_code = {0xe6, KVM_PROTECT_PORT, 0xc3}, /* out %al, $port; ret */
    .release_code = {0xe6, KVM_RELEASE_PORT, 0xc3},
    .create = kvm_create,
    .enter = kvm_enter,
    .leave = kvm_leave,
    .run = kvm_run,
    .where = kvm_where,
    .cpu = kvm_cpu,
    .look = kvm_look,
    .redirect = kvm_redirect,
    .ahead = kvm_ahead,
    .protect = kvm_protect,
    .fill = kvm_fill,
    .restart = kvm_restart,
    .pause = halo__kvm_pause,
    .get = halo__kvm_get,
    .set = halo__kvm_set,
    .destroy = kvm_destroy,
};
