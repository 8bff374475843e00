/* What is said of a guest that ended by its own doing. */
#include "loop.h"

/* The guest's last words, if it gave an address where it may have them. */
int halo__loop_panicked(struct halo_loop *loop, uint64_t address, uint64_t len)
{
    char text[HALO_PANIC_MAX + 1];
    uint32_t shown = len < HALO_PANIC_MAX ? (uint32_t)len : HALO_PANIC_MAX;
    struct halo_span span;

    if (shown == 0 ||
        halo_memory_span(&loop->port->memory, (struct halo_gpa){address}, shown, HALO_MAY_READ,
                         &span) != HALO_SPAN_OK ||
        !halo__port_touch(loop->port, span.base, shown))
        return halo__fail(loop->words, HALO_EPANIC, "the guest panicked without a message");
    halo_shm_copy_in(text, span.base, shown);
    text[shown] = '\0';
    for (uint32_t i = 0; i < shown; i++) { /* RES-07: bounded, and nothing a terminal obeys */
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
    }
    return halo__fail(loop->words, HALO_EPANIC, "the guest panicked: %s", text);
}

int halo__loop_faulted(struct halo_loop *loop, const struct halo_exit *exit)
{
    const struct halo_fault *fault = &exit->fault;

    loop->has_fault = true;
    loop->fault = *fault;
    if (exit->is_system_call)
        return halo__fail(
            loop->words, HALO_EFAULT,
            "the guest made system call %llu at 0x%llx, which only a program may that "
            "has a C library (halo-cc --libc=musl)",
            (unsigned long long)exit->system_call, (unsigned long long)fault->rip);
    return halo__fail(
        loop->words, HALO_EFAULT,
        "the guest faulted: %s%s at 0x%llx (instruction 0x%llx, stack 0x%llx, error "
        "code 0x%x)",
        halo__layout_is_overflow(&loop->machine->layout, fault) ? "its stack overflowed: " : "",
        halo_fault_name(fault->vector),
        (unsigned long long)(fault->vector == 14 ? fault->address : fault->rip),
        (unsigned long long)fault->rip, (unsigned long long)fault->rsp, fault->error);
}

int halo__loop_ended(struct halo_loop *loop)
{
    if (loop->error)
        *loop->words = loop->last;
    return loop->error;
}

void halo__loop_look(struct halo_loop *loop, struct halo_processor *processor)
{
    halo__machine_look(loop->machine, processor);
    if (loop->has_fault && processor->known) {
        processor->rip = loop->fault.rip;
        processor->rsp = loop->fault.rsp;
    }
}
