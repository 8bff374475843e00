/*
 * Ticks: a guest that has threads is led elsewhere now and then while it computes, so that none
 * of them keeps the others from running. It says in its save page where to, and where its own code
 * lies that is not to be interrupted: there it is told by a word alone.
 *
 * And signals from outside, which are told in the same way, to a guest that says that it takes
 * them.
 *
 * All of it is the guest's word, and led to nothing but its own code at CPL3: it could jump there
 * by itself.
 */
#include "machine.h"
#include "kvm_tables.h"
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

static HALO_SHARED unsigned char *place_of(const struct halo_machine *machine)
{
    return machine->ram.host + (machine->layout.save - HALO_RAM_BASE) +
           offsetof(struct halo_save, tick);
}

static uint64_t entry_of(const struct halo_tick *tick)
{
    return tick->entry || !tick->raised ? tick->entry : tick->raise_entry;
}

bool halo__tick_is_wanted(const struct halo_machine *machine)
{
    struct halo_tick tick;

    if (!machine->layout.syscall_entry)
        return false;
    halo_shm_copy_in(&tick, place_of(machine), sizeof(tick));
    return entry_of(&tick) != 0;
}

bool halo__raise(struct halo_machine *machine)
{
    const uint64_t bit = 1ull << (SIGTERM - 1);
    struct halo_tick tick;

    if (!machine->layout.syscall_entry)
        return false;
    halo_shm_copy_in(&tick, place_of(machine), sizeof(tick));
    if (!(tick.takes & bit))
        return false;
    if (tick.rip == 0)
        tick.rip = HALO_TICK_DUE;
    tick.raised = bit;
    halo_shm_copy_out(place_of(machine) + offsetof(struct halo_tick, rip), &tick.rip,
                      offsetof(struct halo_tick, takes) - offsetof(struct halo_tick, rip));
    return true;
}

uint64_t halo__tick(struct halo_machine *machine, uint64_t rip)
{
    const struct halo_layout *layout = &machine->layout;
    struct halo_tick tick;
    uint64_t entry;
    bool is_inside;

    if (!layout->syscall_entry)
        return 0;
    halo_shm_copy_in(&tick, place_of(machine), sizeof(tick));
    entry = entry_of(&tick);
    if (entry < HALO_RAM_BASE || entry - HALO_RAM_BASE >= machine->ram.len ||
        tick.rip > HALO_TICK_DUE)
        return 0; /* it has not taken the last one yet */
    is_inside = rip < HALO_RAM_BASE || rip - HALO_RAM_BASE >= machine->ram.len ||
                rip - layout->doorbell < HALO_PAGE || rip - tick.low < tick.high - tick.low;
    tick.rip = is_inside ? HALO_TICK_DUE : rip;
    halo_shm_copy_out(place_of(machine) + offsetof(struct halo_tick, rip), &tick.rip,
                      sizeof(tick.rip));
    return is_inside ? 0 : entry;
}

/* Only at CPL3, and where no exception is under way that would find itself elsewhere. */
void halo__kvm_tick(struct halo_machine *machine, int vcpu, struct kvm_run *run)
{
    struct kvm_vcpu_events events = {0};
    struct kvm_sregs sregs;
    uint64_t entry;

    if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
        return;
    if (ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events) < 0)
        memset(&events, 0, sizeof(events)); /* a software KVM has none to tell of */
    if ((sregs.cs.selector & 3) != 3 || sregs.cs.dpl != 3 || events.exception.injected ||
        events.exception.pending)
        return;
    entry = halo__tick(machine, run->s.regs.regs.rip);
    if (!entry)
        return;
    run->s.regs.regs.rip = entry;
    run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
}
