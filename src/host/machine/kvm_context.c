/*
 * The registers of a vCPU that does not run, for a debugger. One that stands in a fault's stub is
 * shown where it was in its own code, and goes on from there: back at CPL3. Single steps are the
 * processor's own, by TF, whose trap leads to a stub as any fault does: so it is on every KVM,
 * those among them that would take KVM_SET_GUEST_DEBUG and stop nowhere.
 */
#define _GNU_SOURCE
#include "kvm.h"
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* `kvm_regs` has them in another order. */
#define GENERAL(regs)                                                                         \
    {                                                                                         \
        &(regs)->rax, &(regs)->rbx, &(regs)->rcx, &(regs)->rdx, &(regs)->rsi, &(regs)->rdi,   \
            &(regs)->rbp, &(regs)->rsp, &(regs)->r8, &(regs)->r9, &(regs)->r10, &(regs)->r11, \
            &(regs)->r12, &(regs)->r13, &(regs)->r14, &(regs)->r15                            \
    }

/* What the last exit left undone is done now: docs/platform.md. */
bool halo__kvm_pause(struct halo_machine *machine)
{
    struct kvm_state *state = machine->state;
    int result;

    if (!state->has_run || state->is_lost)
        return false;
    state->run->immediate_exit = 1;
    result = ioctl(state->vcpu, KVM_RUN, 0);
    state->run->immediate_exit = 0;
    return result < 0 && errno == EINTR;
}

bool halo__kvm_get(struct halo_machine *machine, struct halo_context *context)
{
    const struct kvm_state *state = machine->state;
    struct kvm_regs *regs = &state->run->s.regs.regs;
    __u64 *const general[16] = GENERAL(regs);
    struct kvm_xsave xsave;
    struct kvm_frame frame;
    struct kvm_sregs sregs;

    *context = (struct halo_context){.is_final = state->is_lost};
    if (!state->has_run || ioctl(state->vcpu, KVM_GET_SREGS, &sregs) < 0)
        return false;
    for (uint32_t i = 0; i < 16; i++)
        context->general[i] = *general[i];
    context->is_known = true;
    context->rip = regs->rip;
    context->flags = (uint32_t)regs->rflags;
    context->segments[0] = KVM_SELECTOR_CODE;
    context->segments[1] = KVM_SELECTOR_DATA;
    context->segments[2] = sregs.ds.selector;
    context->segments[3] = sregs.es.selector;
    context->segments[4] = sregs.fs.selector;
    context->segments[5] = sregs.gs.selector;
    context->bases[0] = sregs.fs.base;
    context->bases[1] = sregs.gs.base;
    if (halo__kvm_frame(regs, state->system, &frame)) {
        context->rip = frame.words[KVM_FRAME_RIP];
        context->flags = (uint32_t)frame.words[KVM_FRAME_RFLAGS];
        context->general[HALO_RSP] = frame.words[KVM_FRAME_RSP];
    }
    context->has_vectors = ioctl(state->vcpu, KVM_GET_XSAVE, &xsave) == 0;
    if (context->has_vectors)
        memcpy(context->xsave, xsave.region, HALO_XSAVE_LEN);
    else
        halo__context_no_vectors(context);
    return true;
}

/* What there is of it stays, but for what a context has. */
static bool set_vectors(const struct kvm_state *state, const struct halo_context *context)
{
    struct kvm_xsave xsave;

    if (!context->has_vectors)
        return true;
    if (ioctl(state->vcpu, KVM_GET_XSAVE, &xsave) < 0)
        return false;
    memcpy(xsave.region, context->xsave, HALO_XSAVE_LEN);
    return ioctl(state->vcpu, KVM_SET_XSAVE, &xsave) == 0;
}

bool halo__kvm_set(struct halo_machine *machine, const struct halo_context *context)
{
    struct kvm_state *state = machine->state;
    struct kvm_regs *regs = &state->run->s.regs.regs;
    __u64 *const general[16] = GENERAL(regs);
    struct kvm_frame frame;
    struct kvm_sregs sregs;

    if (!state->has_run || state->is_lost || !set_vectors(state, context) ||
        ioctl(state->vcpu, KVM_GET_SREGS, &sregs) < 0)
        return false;
    /* It may have been stopped at CPL0, on its way from `syscall` or back from a fault: no other
     * code than that goes on there. VM-05. */
    if (context->rip != regs->rip || halo__kvm_frame(regs, state->system, &frame)) {
        sregs.cs = state->first.cs;
        sregs.ss = state->first.ss;
    }
    sregs.fs.base = context->bases[0];
    sregs.gs.base = context->bases[1];
    if (ioctl(state->vcpu, KVM_SET_SREGS, &sregs) < 0)
        return false;
    for (uint32_t i = 0; i < 16; i++)
        *general[i] = context->general[i];
    regs->rip = context->rip;
    regs->rflags = halo__context_flags(context) | 0x3000u; /* IOPL 3: the doorbell is an `out` */
    state->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
    return true;
}
