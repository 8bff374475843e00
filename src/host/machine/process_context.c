/*
 * The registers of a guest that is a process, for a debugger. Behind a signal that it comes back
 * from all of them are in the frame on the alternate stack, which is read, and changed, where it
 * is: the guest stands meanwhile, and has no other thread. One that stands in its doorbell is sent
 * the signal that asks where it is; its call is then taken for answered.
 */
#define _GNU_SOURCE
#include "process.h"
#include "process_child.h"
#include "../deadline.h"
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* --- Where it is ------------------------------------------------------------------------------ */

long halo__process_signal(const struct process_state *state, int signal)
{
    return syscall(SYS_pidfd_send_signal, state->pidfd, signal, NULL, 0);
}

#define WHERE_NS 100000000 /* for a guest to say where it is */

/* The child says where its guest is, and stands in that doorbell: perhaps later than it was asked.
 */
bool halo__process_says_where(const struct halo_machine *machine)
{
    struct process_state *state = machine->state;
    const struct seccomp_data *call = &state->notified.data;

    if (call->nr != CHILD_DOORBELL_SYSCALL || call->args[0] != CHILD_DOORBELL_WHERE ||
        call->instruction_pointer == machine->layout.doorbell + CHILD_DOORBELL_END)
        return false;
    state->where = call->args[1];
    state->asked = false;
    return true;
}

/* Until it says so. What it rang before was interrupted by the signal, and rings again later. */
static bool await_where(const struct halo_machine *machine)
{
    struct process_state *state = machine->state;
    const int64_t deadline = halo__now() + WHERE_NS;
    struct pollfd pollfd = {.fd = state->listener, .events = POLLIN};
    int heard;

    while (halo__now() < deadline) {
        if (poll(&pollfd, 1, halo__poll_timeout(deadline)) <= 0)
            continue;
        heard = halo__process_hear(state);
        if (heard < 0 || pollfd.revents & POLLHUP)
            return false;
        if (heard && halo__process_says_where(machine))
            return true;
        state->owes_answer = false;
    }
    return false;
}

bool halo__process_ask(const struct halo_machine *machine)
{
    struct process_state *state = machine->state;

    state->asked = state->asked || halo__process_signal(state, CHILD_STOP) == 0;
    return state->asked && await_where(machine);
}

/* --- Its registers -----------------------------------------------------------------------------
 */

#define GREGS offsetof(ucontext_t, uc_mcontext.gregs)
#define FPREGS offsetof(ucontext_t, uc_mcontext.fpregs)
#define FETCH 16u              /* in a page fault's error code */
#define MORE_THERE 0x46505853u /* in 464 of FXSAVE's part: more than that follows, of */
#define MORE 464u              /* so many bytes in 468, and what in 472 */

static const int order[16] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI,
                              REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};

/* Bytes of the alternate stack, there and in a buffer: false for any other place. */
static bool copy(struct halo_machine *machine, uint64_t address, void *bytes, size_t len, bool puts)
{
    const uint64_t stack = machine->layout.alternate;
    HALO_SHARED unsigned char *at = machine->ram.host + (stack - HALO_RAM_BASE);

    if (address < stack || address - stack > HALO_ALTERNATE_LEN - len ||
        halo__ram_touch(&machine->ram, at, HALO_ALTERNATE_LEN))
        return false;
    if (puts)
        halo_shm_copy_out(at + (address - stack), bytes, len);
    else
        halo_shm_copy_in(bytes, at + (address - stack), len);
    return true;
}

static bool is_own(const struct halo_machine *machine)
{
    const struct process_state *state = machine->state;
    const struct seccomp_data *call = &state->notified.data;

    return state->owes_answer && !state->restarts && call->nr == CHILD_DOORBELL_SYSCALL &&
           call->instruction_pointer != machine->layout.doorbell + CHILD_DOORBELL_END &&
           call->args[0] != CHILD_DOORBELL_READY && call->args[0] != CHILD_DOORBELL_FILL;
}

static bool comes_back(const struct halo_machine *machine)
{
    const struct process_state *state = machine->state;

    return is_own(machine) && (state->notified.data.args[0] == CHILD_DOORBELL_WHERE ||
                               state->notified.data.args[0] == CHILD_DOORBELL_TRAP);
}

/* Where the frame is, and all general registers of it. */
static bool take_frame(struct halo_machine *machine, uint64_t *frame, gregset_t all)
{
    const struct seccomp_data *call = &((struct process_state *)machine->state)->notified.data;

    /* A trap's is said with it: it may have been asked where it is before that was heard. */
    if (is_own(machine) && call->args[0] == CHILD_DOORBELL_TRAP)
        *frame = call->args[2];
    else if (!copy(machine, machine->layout.alternate, frame, sizeof(*frame), false))
        return false;
    return copy(machine, *frame + GREGS, all, sizeof(gregset_t), false);
}

/* It rings again when the signal has been handled: so it is led behind what has been heard. */
static bool step_over_call(struct halo_machine *machine)
{
    const uint64_t behind = machine->layout.doorbell + CHILD_DOORBELL_END;
    gregset_t all;
    uint64_t frame;

    if (!take_frame(machine, &frame, all))
        return false;
    if ((uint64_t)all[REG_RIP] != behind && (uint64_t)all[REG_RIP] != behind - 2)
        return true; /* it was not in it any more */
    all[REG_RIP] = (greg_t)behind;
    all[REG_RAX] = 0;
    return copy(machine, frame + GREGS, all, sizeof(all), true);
}

/*
 * A fault's handler does not return. The one of the signal that asks where it is does, and is led
 * to where the fault was: so a function that a debugger has called returns to where nothing can be
 * executed, and the guest goes on. What lies between the two frames goes, for among it is the word
 * that proves faults.
 */
static bool come_back(struct halo_machine *machine)
{
    struct process_state *state = machine->state;
    unsigned char none[256] = {0};
    uint64_t frame, vectors, faulted, at;
    gregset_t all;

    if (!take_frame(machine, &faulted, all) ||
        !copy(machine, faulted + FPREGS, &vectors, sizeof(vectors), false) ||
        !halo__process_ask(machine) ||
        !copy(machine, machine->layout.alternate, &frame, sizeof(frame), false) ||
        !copy(machine, frame + GREGS, all, sizeof(all), true) ||
        !copy(machine, frame + FPREGS, &vectors, sizeof(vectors), true))
        return false;
    for (at = frame + FPREGS + sizeof(vectors); at < faulted; at += sizeof(none)) {
        const size_t len = faulted - at < sizeof(none) ? (size_t)(faulted - at) : sizeof(none);

        if (!copy(machine, at, none, len, true))
            return false;
    }
    state->where = (uint64_t)all[REG_RIP];
    return true;
}

static bool is_fetch(const struct process_state *state)
{
    const uint64_t what = state->notified.data.args[1];

    return halo__process_is_own(state, CHILD_DOORBELL_FAULT) && (uint32_t)what == 14 &&
           (what >> 32 & FETCH);
}

bool halo__process_pause(struct halo_machine *machine)
{
    struct process_state *state = machine->state;

    if (is_own(machine) && state->notified.data.args[0] == CHILD_DOORBELL_TRAP)
        state->told = CHILD_GOES_ON;
    if (is_own(machine) && is_fetch(state))
        return come_back(machine) || is_own(machine);
    if (is_own(machine) && state->notified.data.args[0] == CHILD_DOORBELL_WHERE &&
        state->where >= CHILD_BASE)
        return false; /* in its handler of a trap, say, which is told of when it goes on */
    if (comes_back(machine) || is_own(machine))
        return true;
    if (!state->owes_answer || state->restarts || state->refusal || state->continues ||
        state->notified.data.nr != CHILD_DOORBELL_SYSCALL ||
        state->notified.data.instruction_pointer != machine->layout.doorbell + CHILD_DOORBELL_END)
        return false;
    return halo__process_ask(machine) && step_over_call(machine);
}

/* Vector registers, which the kernel has put where the frame says. */
static bool take_vectors(struct halo_machine *machine, uint64_t frame, struct halo_context *context,
                         bool puts)
{
    uint64_t at, parts = 3;
    uint32_t more[4];

    if (!copy(machine, frame + FPREGS, &at, sizeof(at), false) ||
        !copy(machine, at + MORE, more, sizeof(more), false))
        return false;
    if (!puts)
        halo__context_no_vectors(context);
    if (more[0] != MORE_THERE || more[1] < HALO_XSAVE_LEN || !(more[2] & 4))
        return copy(machine, at, context->xsave, MORE, puts); /* no upper halves */
    if (!puts)
        return copy(machine, at, context->xsave, MORE, false) &&
               copy(machine, at + HALO_XSAVE_HEADER, context->xsave + HALO_XSAVE_HEADER,
                    HALO_XSAVE_LEN - HALO_XSAVE_HEADER, false);
    memcpy(&parts, context->xsave + HALO_XSAVE_HEADER, sizeof(parts));
    return copy(machine, at, context->xsave, MORE, true) &&
           copy(machine, at + HALO_XSAVE_HEADER, &parts, sizeof(parts), true) &&
           copy(machine, at + HALO_XSAVE_UPPER, context->xsave + HALO_XSAVE_UPPER,
                HALO_XSAVE_LEN - HALO_XSAVE_UPPER, true);
}

/* What the doorbell's code said last, of bases that no frame has. A program of Linux's has others
 * than what answers its calls. */
static void take_bases(struct halo_machine *machine, struct halo_context *context)
{
    const uint64_t at = machine->layout.save + offsetof(struct halo_save, registers);
    struct halo_registers saved;

    halo_shm_copy_in(&saved, machine->ram.host + (at - HALO_RAM_BASE), sizeof(saved));
    context->bases[0] = saved.fs_base;
    context->bases[1] = saved.gs_base;
    context->lacks_bases = machine->layout.is_linux;
}

/* In its doorbell: what is saved there, and no more. */
static bool get_partly(struct halo_machine *machine, struct halo_context *context)
{
    struct halo_processor seen;

    halo__process_look(machine, &seen);
    if (!seen.known)
        return false;
    *context = (struct halo_context){
        .is_known = true,
        .is_partly = true,
        .is_final = true,
        .general = {seen.rax, seen.rbx, 0, seen.rdx, seen.rsi, seen.rdi, seen.rbp, seen.rsp,
                    seen.r8, seen.r9, seen.r10, 0, seen.r12, seen.r13, seen.r14, seen.r15},
        .rip = seen.rip,
        .segments = {0x33, 0x2b, 0, 0, 0, 0},
    };
    halo__context_no_vectors(context);
    take_bases(machine, context);
    return true;
}

bool halo__process_get(struct halo_machine *machine, struct halo_context *context)
{
    gregset_t all;
    uint64_t frame;

    *context = (struct halo_context){.is_final = true};
    if (!is_own(machine))
        return get_partly(machine, context);
    if (!take_frame(machine, &frame, all))
        return false;
    context->is_known = true;
    context->is_final = !comes_back(machine);
    for (uint32_t i = 0; i < 16; i++)
        context->general[i] = (uint64_t)all[order[i]];
    context->rip = (uint64_t)all[REG_RIP];
    context->flags = (uint32_t)all[REG_EFL];
    context->segments[0] = (uint32_t)(all[REG_CSGSFS] & 0xffff);
    context->segments[1] = (uint32_t)((uint64_t)all[REG_CSGSFS] >> 48);
    context->has_vectors = take_vectors(machine, frame, context, false);
    take_bases(machine, context);
    return true;
}

/* Segments and their bases stay: no signal's frame has these. */
bool halo__process_set(struct halo_machine *machine, const struct halo_context *context)
{
    struct halo_context vectors = *context;
    gregset_t all;
    uint64_t frame;

    if (!comes_back(machine) || !take_frame(machine, &frame, all))
        return false;
    for (uint32_t i = 0; i < 16; i++)
        all[order[i]] = (greg_t)context->general[i];
    all[REG_RIP] = (greg_t)context->rip;
    all[REG_EFL] = (greg_t)halo__context_flags(context);
    if (!copy(machine, frame + GREGS, all, sizeof(all), true))
        return false;
    return !context->has_vectors || take_vectors(machine, frame, &vectors, true);
}
