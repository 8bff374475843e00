/* Upcalls: see upcall.h. */
#include "upcall.h"

/* Where the guest's struct halo_upcall is, as it says, or 0. */
static uint64_t place_of(const struct halo_loop *loop)
{
    const HALO_SHARED unsigned char *at = loop->machine->ram.host +
                                          (loop->machine->layout.save - HALO_RAM_BASE) +
                                          offsetof(struct halo_save, upcall);
    uint64_t address;

    halo_shm_copy_in(&address, at, sizeof(address));
    return address;
}

/* UPC-01: it is in memory that the guest may have written to, wholly. */
static bool find(const struct halo_loop *loop, HALO_SHARED unsigned char **at)
{
    const uint64_t address = place_of(loop);
    struct halo_span span;

    if (address == 0 ||
        halo_memory_span(&loop->port->memory, (struct halo_gpa){address},
                         sizeof(struct halo_upcall), HALO_MAY_WRITE, &span) != HALO_SPAN_OK ||
        !halo__port_touch(loop->port, span.base, sizeof(struct halo_upcall)))
        return false;
    *at = span.base;
    return true;
}

bool halo__upcall_is_asked_for(const struct halo_loop *loop)
{
    return !loop->port->on_stacks && place_of(loop) != 0;
}

bool halo__upcall_goes_on(const struct halo_loop *loop)
{
    HALO_SHARED unsigned char *at;
    struct halo_upcall upcall;

    if (!halo__upcall_is_asked_for(loop) || !find(loop, &at))
        return false;
    halo_shm_copy_in(&upcall, at, sizeof(upcall));
    return upcall.may == HALO_UPCALL_IS;
}

/*
 * It has asked for it since it was entered: it is to be stopped once in a while from now on, and at
 * its deadline as before. Where not even that is to be had it does not run.
 */
static bool prepare(const struct halo_loop *loop)
{
    struct halo_machine *machine = loop->machine;
    const int64_t until = loop->deadline < loop->quantum ? loop->deadline : loop->quantum;

    if (machine->upcalls || loop->runner.is_there)
        return true;
    machine->backend->leave(machine);
    machine->upcalls = true;
    return machine->backend->enter(machine, until) == 0;
}

int64_t halo__upcall_when(struct halo_loop *loop)
{
    const struct halo_port *port = loop->port;

    if (port->calls_out == loop->upcall_seen || port->calls_out == port->calls_back ||
        !halo__upcall_is_asked_for(loop)) {
        loop->upcall_at = 0;
        return HALO_FOREVER;
    }
    if (loop->upcall_at == 0)
        loop->upcall_at = halo__now() + (prepare(loop) ? HALO_UPCALL_NS : 0);
    return loop->upcall_at;
}

bool halo__upcall_is_due(struct halo_loop *loop)
{
    const int64_t when = halo__upcall_when(loop);

    return when != HALO_FOREVER && halo__now() >= when;
}

void halo__upcall_look(struct halo_loop *loop)
{
    struct halo_machine *machine = loop->machine;
    struct halo_upcall upcall;
    HALO_SHARED unsigned char *at;

    if (loop->upcall_at == 0 || halo__now() < loop->upcall_at)
        return;
    loop->upcall_at = 0; /* and again, where it does not let itself be called now */
    if (!find(loop, &at))
        return;
    halo_shm_copy_in(&upcall, at, sizeof(upcall));
    /* UPC-02: an address that there is, for what goes on is the processor at it. */
    if (upcall.may != HALO_UPCALL_MAY || upcall.entry < HALO_PROGRAM_BASE ||
        upcall.entry - HALO_RAM_BASE >= machine->ram.len ||
        !machine->backend->redirect(machine, upcall.entry, &upcall.from))
        return;
    upcall.may = HALO_UPCALL_IS;
    halo_shm_copy_out(at, &upcall, offsetof(struct halo_upcall, entry));
    halo__upcall_forget(loop);
    halo__count(&loop->upcalls, 1);
}
