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
/* It is measured over so long at least, and over twice that at most where it is often told. */
#define SPAN_NS 4000000000
#define NEAR_TICKS 500u /* clock and counter were read so close together that nobody intervened */

/* Clock and counter at one time: a thread may lose its processor between the two. */
static struct halo_moment moment(unsigned tries)
{
    struct halo_moment best = {0, 0};
    uint64_t least = UINT64_MAX;

    do {
        const uint64_t before = halo__counter();
        const int64_t ns = halo__now();
        const uint64_t took = halo__counter() - before;

        if (took < least) {
            least = took;
            best = (struct halo_moment){ns, before + took / 2};
        }
    } while (--tries > 0 && least > NEAR_TICKS);
    return best;
}

/*
 * The rate: what was seen lately, for the host's clock is slewed, and stands still in a sleep of
 * the whole machine, when the counter may not. Until that is long enough, what the backend knows.
 */
static uint64_t rate(const struct halo_machine *machine, const struct halo_moment *at)
{
    const int64_t passed = at->ns - machine->since.ns;
    const uint64_t ticked = at->counter - machine->since.counter;

    if (machine->counter_rate && passed < SPAN_NS)
        return machine->counter_rate;
    if (passed < RATE_MIN_NS || (int64_t)ticked < 0)
        return machine->counter_rate;
    return (uint64_t)((double)ticked * 1e9 / (double)passed);
}

static uint64_t rate_now(const struct halo_machine *machine)
{
    const struct halo_moment now = moment(1);

    return rate(machine, &now);
}

void halo__machine_begin_time(struct halo_machine *machine)
{
    machine->first = machine->since = machine->next_since = moment(8);
}

uint64_t halo__machine_age(const struct halo_machine *machine, uint64_t counter)
{
    const uint64_t passed = halo__counter() - counter, per_second = rate_now(machine);

    if (counter == 0 || per_second == 0 || (int64_t)passed < 0)
        return UINT64_MAX;
    return (uint64_t)((double)passed * 1e9 / (double)per_second);
}

uint32_t halo__machine_ticks(const struct halo_machine *machine, uint32_t ns)
{
    const double ticks = (double)ns * (double)rate_now(machine) / 1e9;

    return ticks < UINT32_MAX ? (ticks > ns ? (uint32_t)ticks : ns) : UINT32_MAX;
}

uint64_t halo__machine_ns(const struct halo_machine *machine, uint64_t ticks)
{
    const struct halo_moment now = moment(1);
    const double passed = (double)(now.ns - machine->first.ns);
    const double ticked = (double)(now.counter - machine->first.counter);

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
    struct halo_moment now;

    if (!machine->layout.syscall_entry)
        return;
    (void)clock_gettime(CLOCK_REALTIME, &real);
    now = moment(2);
    status = (struct halo_status){
        .monotonic_ns = (int64_t)((uint64_t)now.ns + (uint64_t)machine->clock_ahead),
        .real_ns = (int64_t)real.tv_sec * 1000000000 + real.tv_nsec,
        .counter_rate = rate(machine, &now),
    };
    if (now.ns - machine->next_since.ns >= SPAN_NS) {
        machine->since = machine->next_since;
        machine->next_since = now;
    }
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
