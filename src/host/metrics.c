/* Numbers of a sandbox, on any thread: see halo/metrics.h. Every word is read by itself. */
#include "counts.h"
#include "sandbox.h"
#include <string.h>

/* Words of what is counted, one by one. */
static void copy(void *to, const void *from, size_t len)
{
    uint64_t *words = to;
    const uint64_t *counted = from;

    for (size_t i = 0; i < len / sizeof(*words); i++)
        words[i] = halo__counted(&counted[i]);
}

_Static_assert(sizeof(struct halo_metrics) % sizeof(uint64_t) == 0 &&
                   sizeof(struct halo_stats) % sizeof(uint64_t) == 0 &&
                   sizeof(struct halo_histogram) % sizeof(uint64_t) == 0,
               "all of it is 64-bit words");

/* What a guest that makes system calls has noted in its save page. */
static bool take_saved(const struct halo_sandbox *box, uint64_t offset, void *to, size_t len)
{
    const struct halo_machine *machine = &box->machine;

    if (!machine->ram.host || !machine->layout.syscall_entry)
        return false;
    halo_shm_copy_in(to, machine->ram.host + (machine->layout.save + offset - HALO_RAM_BASE), len);
    return true;
}

/* All exits that nothing else was found out of; of one that is going on it is not known yet. */
static uint64_t waits(const struct halo_port *port)
{
    const uint64_t others = halo__counted(&port->other_exits) + halo__counted(&port->kicks);
    const uint64_t exits = halo__counted(&port->exits);

    return exits > others ? exits - others : 0;
}

void halo_stats(const struct halo_sandbox *box, struct halo_stats *stats)
{
    const struct halo_call_counts *calls = &box->calls.stats;
    uint64_t made;

    *stats = (struct halo_stats){
        .requests = halo__counted(&box->port.requests_taken),
        .exits = halo__counted(&box->port.exits),
        .kicks = halo__counted(&box->port.kicks),
        .waits = waits(&box->port),
        .calls = halo__counted(&calls->served),
        .calls_out = halo__counted(&calls->sent),
        .deferred = halo__counted(&calls->deferred),
        .fetched = halo__counted(&calls->fetched),
        .discarded = halo__counted(&calls->discarded),
        .deferred_out = halo__counted(&calls->deferred_out),
        .spare = halo__counted(&calls->spare),
        .spare_out = halo__counted(&calls->spare_out),
        .bytes_in = halo__counted(&box->streams.total.bytes_in),
        .bytes_out = halo__counted(&box->streams.total.bytes_out),
        .elapsed_ns = halo__machine_ns(&box->machine, halo__counted(&box->elapsed)),
        .restores = halo__counted(&box->restores),
        .restored_pages = halo__counted(&box->restored_pages),
        .compared_pages = halo__counted(&box->compared_pages),
    };
    if (take_saved(box, offsetof(struct halo_save, calls), &made, sizeof(made)))
        stats->system_calls = made;
}

uint32_t halo_unanswered(const struct halo_sandbox *box, uint32_t number)
{
    uint32_t count = 0;

    if (number < HALO_CALLS_COUNT)
        (void)take_saved(box, offsetof(struct halo_save, unknown) + number * sizeof(count), &count,
                         sizeof(count));
    return count;
}

size_t halo_metrics(const struct halo_sandbox *box, struct halo_metrics *numbers, size_t size)
{
    const struct halo_call_counts *calls = &box->calls.stats;
    const struct halo_budget *budget = box->calls.budget;
    struct halo_metrics all;
    struct halo_stats stats;

    halo_stats(box, &stats);
    all = (struct halo_metrics){
        .size = size < sizeof(all) ? size : sizeof(all),
        .sandboxes = 1,
        .requests = stats.requests,
        .exits = stats.exits,
        .kicks = stats.kicks,
        .waits = stats.waits,
        .calls = stats.calls,
        .calls_out = stats.calls_out,
        .deferred = stats.deferred,
        .fetched = stats.fetched,
        .discarded = stats.discarded,
        .deferred_out = stats.deferred_out,
        .spare = stats.spare,
        .spare_out = stats.spare_out,
        .bytes_in = stats.bytes_in,
        .bytes_out = stats.bytes_out,
        .elapsed_ns = stats.elapsed_ns,
        .system_calls = stats.system_calls,
        .restores = stats.restores,
        .restored_pages = stats.restored_pages,
        .calls_out_answered = halo__counted(&box->calls.answered),
        .held_bytes = budget ? halo__counted(&budget->used) : 0,
        .ends = halo__counted(&box->loop.ends),
        .failures = halo__counted(&box->loop.failures),
        .log_lines = halo__counted(&box->log.all_given),
        .log_dropped = halo__counted(&box->log.all_dropped),
        .sleeps = halo__counted(&box->loop.runner.sleeps),
        .upcalls = halo__counted(&box->loop.upcalls),
    };
    copy(&all.batch, &box->port.batch, sizeof(all.batch));
    copy(&all.exits_out, &calls->exits_out, sizeof(all.exits_out));
    copy(&all.room, &calls->room, sizeof(all.room));
    copy(&all.room_out, &calls->room_out, sizeof(all.room_out));
    copy(&all.call_ns, &calls->call_ns, sizeof(all.call_ns));
    copy(&all.call_out_ns, &calls->call_out_ns, sizeof(all.call_out_ns));
    memset(numbers, 0, size);
    memcpy(numbers, &all, all.size);
    return all.size;
}

void halo_metrics_add(struct halo_metrics *sum, const struct halo_metrics *numbers, size_t size)
{
    uint64_t *all = (uint64_t *)sum;
    const uint64_t *more = (const uint64_t *)numbers;

    for (size_t i = 1; i < size / sizeof(*all); i++)
        all[i] += more[i];
    sum->size = numbers->size;
}

int halo_measure(struct halo_sandbox *box, bool measures)
{
    const int error = halo__box_enter(box);

    if (error)
        return error;
    halo__calls_measure(&box->calls, measures);
    return halo__box_leave(box, 0);
}
