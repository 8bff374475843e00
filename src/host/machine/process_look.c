/*
 * What is known of the registers of a guest that is a process. In a doorbell the kernel says some,
 * and the doorbell's code has saved others; behind a signal all are in the frame that the kernel
 * has put on the alternate stack. Both are in memory that the guest can write: they are judged as
 * addresses, and believed in nothing.
 */
#define _GNU_SOURCE
#include "process.h"
#include "process_child.h"
#include <stddef.h>
#include <ucontext.h>

_Static_assert(offsetof(ucontext_t, uc_mcontext.gregs) == 40, "as the kernel has it");

/* The registers in the frame of the last signal, whose address is the first word of the stack for
 * signals: where they are, or 0. */
static uint64_t find_frame(struct halo_machine *machine, gregset_t all)
{
    const uint64_t stack = machine->layout.alternate;
    const uint64_t offset = offsetof(ucontext_t, uc_mcontext.gregs);
    uint64_t frame;

    if (!halo__ram_take(&machine->ram, stack, &frame, sizeof(frame)) || frame < stack ||
        frame - stack > HALO_ALTERNATE_LEN - offset - sizeof(gregset_t) ||
        !halo__ram_take(&machine->ram, frame + offset, all, sizeof(gregset_t)))
        return 0;
    return frame + offset;
}

static void look_at_frame(struct halo_machine *machine, struct halo_processor *processor)
{
    gregset_t all;

    if (!find_frame(machine, all))
        return;
    *processor = (struct halo_processor){
        .known = HALO_PROCESSOR_ALL,
        .rax = (uint64_t)all[REG_RAX],
        .rbx = (uint64_t)all[REG_RBX],
        .rcx = (uint64_t)all[REG_RCX],
        .rdx = (uint64_t)all[REG_RDX],
        .rsi = (uint64_t)all[REG_RSI],
        .rdi = (uint64_t)all[REG_RDI],
        .rbp = (uint64_t)all[REG_RBP],
        .rsp = (uint64_t)all[REG_RSP],
        .r8 = (uint64_t)all[REG_R8],
        .r9 = (uint64_t)all[REG_R9],
        .r10 = (uint64_t)all[REG_R10],
        .r11 = (uint64_t)all[REG_R11],
        .r12 = (uint64_t)all[REG_R12],
        .r13 = (uint64_t)all[REG_R13],
        .r14 = (uint64_t)all[REG_R14],
        .r15 = (uint64_t)all[REG_R15],
        .rip = (uint64_t)all[REG_RIP],
        .rflags = (uint64_t)all[REG_EFL],
    };
}

/* The frame is where the kernel has put it, in the guest's memory; what it says there is judged. */
void halo__process_tick(struct halo_machine *machine)
{
    const uint64_t stack = machine->layout.alternate;
    const uint64_t at = offsetof(ucontext_t, uc_mcontext.gregs) + REG_RIP * sizeof(greg_t);
    uint64_t frame, rip, entry;

    if (!halo__ram_take(&machine->ram, stack, &frame, sizeof(frame)) || frame < stack ||
        frame - stack > HALO_ALTERNATE_LEN - at - sizeof(rip) ||
        !halo__ram_take(&machine->ram, frame + at, &rip, sizeof(rip)))
        return;
    entry = halo__tick(machine, rip);
    if (entry)
        halo_shm_copy_out(machine->ram.host + (frame + at - HALO_RAM_BASE), &entry, sizeof(entry));
}

void halo__process_look(struct halo_machine *machine, struct halo_processor *processor)
{
    const struct process_state *state = machine->state;
    const struct seccomp_data *call = &state->notified.data;
    const uint64_t saved = machine->layout.save + offsetof(struct halo_save, registers);
    struct halo_registers kept;

    *processor = (struct halo_processor){.known = HALO_PROCESSOR_NOTHING};
    if (!state->owes_answer || state->restarts) /* or what it stands at is another guest's */
        return;
    /* Its own code, which stands where the guest has no doorbell. */
    if (call->nr == CHILD_DOORBELL_SYSCALL &&
        call->instruction_pointer != machine->layout.doorbell + CHILD_DOORBELL_END) {
        if (call->args[0] != CHILD_DOORBELL_READY)
            look_at_frame(machine, processor);
        return;
    }
    *processor = (struct halo_processor){
        .known = HALO_PROCESSOR_CALL,
        .rax = (uint64_t)call->nr,
        .rdi = call->args[0],
        .rsi = call->args[1],
        .rdx = call->args[2],
        .r10 = call->args[3],
        .r8 = call->args[4],
        .r9 = call->args[5],
        .rip = call->instruction_pointer,
    };
    if (!halo__ram_take(&machine->ram, saved, &kept, sizeof(kept)))
        return;
    processor->rbx = kept.rbx;
    processor->rbp = kept.rbp;
    processor->rsp = kept.rsp;
    processor->r12 = kept.r12;
    processor->r13 = kept.r13;
    processor->r14 = kept.r14;
    processor->r15 = kept.r15;
}

/*
 * It stands in the handler of the signal that stopped it, and goes on where the frame says: that is
 * the guest's memory, as the place to which it is led. Were it somewhere else, and says that it is
 * there, it is its own frame that is written to, or whatever it has there.
 */
bool halo__process_redirect(struct halo_machine *machine, uint64_t to, uint64_t *from)
{
    const struct process_state *state = machine->state;
    const struct seccomp_data *call = &state->notified.data;
    gregset_t all;
    uint64_t at;

    if (!state->owes_answer || state->stopped || state->restarts ||
        call->nr != CHILD_DOORBELL_SYSCALL || call->args[0] != CHILD_DOORBELL_WHERE ||
        call->instruction_pointer == machine->layout.doorbell + CHILD_DOORBELL_END)
        return false;
    at = find_frame(machine, all);
    if (!at)
        return false;
    *from = (uint64_t)all[REG_RIP];
    at += REG_RIP * sizeof(all[0]);
    halo_shm_copy_out(machine->ram.host + (at - HALO_RAM_BASE), &to, sizeof(to));
    return true;
}
