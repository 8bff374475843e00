/* The KVM backend: what its running and its debugging share. */
#ifndef HALO_SRC_KVM_H
#define HALO_SRC_KVM_H

#include "context.h"
#include "kvm_tables.h"
#include <signal.h>
#include <time.h>

struct kvm_state {
    int kvm, vm, vcpu;
    struct kvm_run *run;
    size_t run_len;
    unsigned char *system;
    uint64_t system_len;
    timer_t timer; /* of the deadline, while inside halo_run */
    bool has_timer;
    bool ticks;             /* it rings again and again */
    int64_t tick_at;        /* when the guest is to be led elsewhere, where it wants that */
    bool has_mask;          /* the vCPU has a signal mask of its own, */
    sigset_t mask;          /* which was made of this one */
    bool is_lost;           /* an exit is not done with: what the vCPU would do next is not known */
    bool has_run;           /* since it was begun, or brought back: its registers are its own */
    struct kvm_sregs first; /* with which it begins */
    uint64_t cr3;           /* KVM_PML4, or its twin */
    unsigned char taken[KVM_PAGING_TABLES];
    bool has_filled; /* pages of paging.c are there */
};

/* Of a vCPU that does not run: see struct halo_backend. */
bool halo__kvm_pause(struct halo_machine *machine);
bool halo__kvm_get(struct halo_machine *machine, struct halo_context *context);
bool halo__kvm_set(struct halo_machine *machine, const struct halo_context *context);

#endif
