/*
 * The status line: what the guest is told of time each time before it runs. It adds what its own
 * time stamp counter has moved since. Counters of guest and host are never compared; only their
 * rate is the same.
 */
#define _GNU_SOURCE
#include "machine.h"
#include "../deadline.h"
#include <time.h>

#define RATE_MIN_NS 50000 /* a rate that was measured over less is too coarse to be told */

/* The rate: what the backend knows, or what was seen since the guest began to be loaded. */
static uint64_t rate(const struct halo_machine *machine, int64_t now)
{
    const int64_t passed = now - machine->first_ns;

    if (machine->counter_rate)
        return machine->counter_rate;
    if (passed < RATE_MIN_NS)
        return 0;
    return (uint64_t)((double)(halo__counter() - machine->first_counter) * 1e9 / (double)passed);
}

void halo__machine_begin_time(struct halo_machine *machine)
{
    machine->first_ns = halo__now();
    machine->first_counter = halo__counter();
}

uint64_t halo__machine_age(const struct halo_machine *machine, uint64_t counter)
{
    const uint64_t passed = halo__counter() - counter, per_second = rate(machine, halo__now());

    if (counter == 0 || per_second == 0 || (int64_t)passed < 0)
        return UINT64_MAX;
    return (uint64_t)((double)passed * 1e9 / (double)per_second);
}

uint32_t halo__machine_ticks(const struct halo_machine *machine, uint32_t ns)
{
    const double ticks = (double)ns * (double)rate(machine, halo__now()) / 1e9;

    return ticks < UINT32_MAX ? (ticks > ns ? (uint32_t)ticks : ns) : UINT32_MAX;
}

uint64_t halo__machine_ns(const struct halo_machine *machine, uint64_t ticks)
{
    const double passed = (double)(halo__now() - machine->first_ns);
    const double ticked = (double)(halo__counter() - machine->first_counter);

    return ticked > 0 ? (uint64_t)((double)ticks * passed / ticked) : 0;
}

static HALO_SHARED unsigned char *line_of(const struct halo_machine *machine)
{
    return machine->ram.host + (machine->layout.boot + HALO_STATUS_OFFSET - HALO_RAM_BASE);
}

void halo__machine_tell(struct halo_machine *machine)
{
    struct halo_status status;
    struct timespec real;
    int64_t now;

    if (!machine->layout.syscall_entry)
        return;
    (void)clock_gettime(CLOCK_REALTIME, &real);
    now = halo__now();
    status = (struct halo_status){
        .monotonic_ns = (int64_t)((uint64_t)now + (uint64_t)machine->clock_ahead),
        .real_ns = (int64_t)real.tv_sec * 1000000000 + real.tv_nsec,
    };
    status.counter_rate = rate(machine, now);
    /* The guest stands in its doorbell: nobody reads meanwhile, and the sequence stays even. */
    halo_shm_copy_out(line_of(machine), &status, sizeof(status));
}

/* SNP-13: what a file says there is any number, and moves nothing but the guest's own clock. */
void halo__machine_take_time(struct halo_machine *machine)
{
    struct halo_status status;

    machine->clock_ahead = 0;
    if (!machine->layout.syscall_entry)
        return;
    halo_shm_copy_in(&status, line_of(machine), sizeof(status));
    if (status.monotonic_ns)
        machine->clock_ahead = (int64_t)((uint64_t)status.monotonic_ns - (uint64_t)halo__now());
}
