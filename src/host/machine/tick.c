/*
 * Ticks: a guest that has threads is led elsewhere now and then while it computes, so that none
 * of them keeps the others from running. It says in its save page where to, and where its own code
 * lies that is not to be interrupted: there it is told by a word alone.
 *
 * All of it is the guest's word, and led to nothing but its own code at CPL3: it could jump there
 * by itself.
 */
#include "machine.h"
#include "kvm_tables.h"
#include <string.h>
#include <sys/ioctl.h>

static HALO_SHARED unsigned char *place_of(const struct halo_machine *machine)
{
    return machine->ram.host + (machine->layout.save - HALO_RAM_BASE) +
           offsetof(struct halo_save, tick);
}

bool halo__tick_is_wanted(const struct halo_machine *machine)
{
    uint64_t entry;

    if (!machine->layout.syscall_entry)
        return false;
    halo_shm_copy_in(&entry, place_of(machine), sizeof(entry));
    return entry != 0;
}

uint64_t halo__tick(struct halo_machine *machine, uint64_t rip)
{
    const struct halo_layout *layout = &machine->layout;
    struct halo_tick tick;
    bool is_inside;

    if (!layout->syscall_entry)
        return 0;
    halo_shm_copy_in(&tick, place_of(machine), sizeof(tick));
    if (tick.entry < HALO_RAM_BASE || tick.entry - HALO_RAM_BASE >= machine->ram.len ||
        tick.rip > HALO_TICK_DUE)
        return 0; /* it has not taken the last one yet */
    is_inside = rip < HALO_RAM_BASE || rip - HALO_RAM_BASE >= machine->ram.len ||
                rip - layout->doorbell < HALO_PAGE || rip - tick.low < tick.high - tick.low;
    tick.rip = is_inside ? HALO_TICK_DUE : rip;
    halo_shm_copy_out(place_of(machine) + offsetof(struct halo_tick, rip), &tick.rip,
                      sizeof(tick.rip));
    return is_inside ? 0 : tick.entry;
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
