/* Snapshots: what the parts have saved, and the memory. */
#include "snapshot.h"
#include "upcall.h"
#include "picture_of.h"
#include "call/rows.h"
#include "sandbox.h"
#include "signals.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum halo_transport transport_of(const struct halo_sandbox *box)
{
    return box->port.on_stacks ? HALO_TRANSPORT_STACK : HALO_TRANSPORT_RING;
}

/* --- Taking ----------------------------------------------------------------------------------- */

static int refuse(struct halo_sandbox *box, const char *why)
{
    return halo__fail(&box->words, HALO_ESTATE, "no snapshot can be taken: %s", why);
}

static int refuse_under_way(struct halo_sandbox *box, const struct halo_under_way *what)
{
    const struct halo_calls *calls = &box->calls;
    uint32_t out = calls->number_count, aggregates = 0;

    for (const struct halo_future *future = calls->first; future; future = future->next)
        out++;
    for (uint32_t i = 0; i < HALO_AGGREGATES_MAX; i++)
        aggregates += calls->aggregates[i] && calls->aggregates[i]->is_open;
    if (what->calls + what->writes + what->reads + what->others + out + calls->deferred_count +
            aggregates ==
        0)
        return 0;
    return halo__fail(&box->words, HALO_ESTATE,
                      "no snapshot can be taken: under way are %u calls of the guest's, %u of the "
                      "host's, %u writes, %u reads that have moved bytes, %u other requests, %u "
                      "answers that wait to be fetched, and %u aggregates",
                      what->calls, out, what->writes, what->reads, what->others,
                      calls->deferred_count, aggregates);
}

static int judge(struct halo_sandbox *box)
{
    if (box->run_depth > 0 || box->port.serving > 0)
        return refuse(box, "the guest is in the middle of a call of its host's");
    if (box->loop.state == HALO_STATE_READY)
        return 0;
    if (box->loop.state != HALO_STATE_RUNNING)
        return refuse(box, box->loop.state ? "the guest has ended" : "it was not opened");
    if (box->loop.is_inside || box->port.guest == HALO_GUEST_RUNS)
        return refuse(box, "the guest was stopped in the middle of its code, and not while it "
                           "waits");
    if (halo__upcall_goes_on(&box->loop))
        return refuse(box, "the guest is being called while it computes");
    return 0;
}

static int save(struct halo_sandbox *box, struct halo_snapshot *snapshot)
{
    struct halo_under_way under_way;
    int error;

    snapshot->state = box->loop.state;
    snapshot->transport = transport_of(box);
    if (box->loop.wake) {
        snapshot->wake = box->loop.wake - halo__now();
        if (snapshot->wake < 1)
            snapshot->wake = 1;
    }
    halo__machine_tell(&box->machine); /* its clock goes on from now */
    if (box->streams.unflushed)
        halo__direct_flush_all(&box->streams);
    error = halo__port_save(&box->port, &snapshot->port, &under_way);
    if (!error || error == HALO_ESTATE) {
        const int refused = refuse_under_way(box, &under_way);

        if (refused)
            return refused;
    }
    if (!error)
        error = halo__calls_save(&box->calls, &snapshot->calls);
    if (!error)
        error = halo__streams_save(&box->streams, &snapshot->streams);
    if (error)
        return halo__fail(&box->words, error, "no memory for a snapshot");
    halo__debug_lift(box->loop.debug); /* its traps are not the guest's */
    error = halo__image_take(&box->machine, &snapshot->image);
    halo__debug_lower(box->loop.debug);
    return error;
}

static int take(struct halo_sandbox *box, struct halo_snapshot **result)
{
    struct halo_snapshot *snapshot;
    int error = box->run_depth > 0 ? 0 : halo__settle(box);

    if (!error)
        error = judge(box);
    if (error)
        return error;
    snapshot = calloc(1, sizeof(*snapshot));
    if (!snapshot)
        return halo__fail(&box->words, HALO_ENOMEM, "no memory for a snapshot");
    error = save(box, snapshot);
    if (error)
        halo_snapshot_free(snapshot);
    else
        *result = snapshot;
    return error;
}

int halo_snapshot(struct halo_sandbox *box, struct halo_snapshot **snapshot)
{
    struct halo_signals signals = {.are_blocked = false};
    int error = halo__box_enter(box);

    *snapshot = NULL;
    if (error)
        return error;
    halo__signals_borrow(&signals); /* of a limit of files, which a memory file has, too */
    error = take(box, snapshot);
    halo__signals_return(&signals);
    return halo__box_leave(box, error);
}

void halo_snapshot_free(struct halo_snapshot *snapshot)
{
    if (!snapshot)
        return;
    halo__image_free(&snapshot->image);
    halo__port_unsave(&snapshot->port);
    halo__calls_unsave(&snapshot->calls);
    halo__streams_unsave(&snapshot->streams);
    free(snapshot);
}

uint64_t halo_snapshot_bytes(const struct halo_snapshot *snapshot)
{
    return snapshot->image.present_count * HALO_PAGE;
}

/* --- Restoring -------------------------------------------------------------------------------- */

static int judge_restore(struct halo_sandbox *box, const struct halo_snapshot *snapshot)
{
    char missing[400];

    if (!snapshot)
        return halo__fail(&box->words, HALO_EINVAL, "the snapshot is NULL");
    if (box->run_depth > 0 || box->port.serving > 0)
        return halo__fail(&box->words, HALO_ESTATE,
                          "this sandbox is running: a function of its host's cannot restore it");
    if (box->loop.state == HALO_STATE_FAILED)
        return halo__fail(&box->words, HALO_ESTATE, "this sandbox was not opened");
    if (box->machine.ram.len != snapshot->image.len)
        return halo__fail(&box->words, HALO_EINVAL,
                          "the snapshot is of %llu KiB of guest memory, and this sandbox has %llu",
                          (unsigned long long)snapshot->image.len >> 10,
                          (unsigned long long)box->machine.ram.len >> 10);
    if (transport_of(box) != snapshot->transport)
        return halo__fail(&box->words, HALO_ETRANSPORT,
                          "the snapshot is of a guest with the other transport");
    if (snapshot->image.layout.syscall_entry &&
        halo__features_lack(halo__machine_told(&box->machine), &snapshot->image.told, missing,
                            sizeof(missing)))
        return halo__fail(&box->words, HALO_EHOST,
                          "the snapshot's program may use what the processor has not got here "
                          "(backend %s): %s",
                          halo_backend_name(box), missing);
    return 0;
}

/* The guest of before is over, for all that waits for it. */
static void end(struct halo_sandbox *box)
{
    halo__loop_stop(&box->loop);
    if (box->loop.state != HALO_STATE_ENDED)
        (void)halo__fail(&box->words, HALO_ESTATE, "the sandbox was restored");
    halo__port_close(&box->port, HALO_ESTATE);
    halo__handles_end(&box->calls.handles); /* HND-04 */
    box->loop.state = HALO_STATE_ENDED;
    box->loop.error = HALO_ESTATE;
}

static void begin(struct halo_sandbox *box, const struct halo_snapshot *snapshot)
{
    struct halo_loop *loop = &box->loop;

    box->calls.deferred_len_max = box->machine.layout.sizes.deferred_len;
    box->calls.deferred_max = box->machine.layout.sizes.deferred_max;
    halo__picture_drop(box);
    loop->last_exit_count = 0;
    halo__limits_restart(&loop->limits, &box->machine);
    loop->error = 0;
    loop->exit_code = 0;
    loop->is_inside = loop->has_fault = loop->is_halting = loop->is_parked = false;
    loop->wake = snapshot->wake ? halo__deadline(snapshot->wake) : 0;
    loop->state = snapshot->state;
    box->exit_reported = false;
    box->is_restored = true;
    box->words.text[0] = '\0';
}

static int bring_back(struct halo_sandbox *box, const struct halo_snapshot *snapshot)
{
    const bool is_same = halo__layout_is_same(&box->machine.layout, &snapshot->image.layout);
    struct halo_brought_back pages = {0, 0};
    int error = halo__streams_let_go(&box->streams);

    halo__debug_lift(box->loop.debug);
    if (!error)
        error = halo__image_bring_back(&box->machine, &snapshot->image, &pages);
    halo__count(&box->restored_pages, pages.copied);
    halo__count(&box->compared_pages, pages.compared);
    if (!error && box->port.trace && box->machine.backend->ahead)
        box->machine.backend->ahead(&box->machine, &box->port.trace->ahead);
    if (!error)
        error = halo__box_make_port(box);
    if (!error)
        error = halo__port_bring_back(&box->port, &snapshot->port);
    if (!error) {
        halo__streams_bring_back(&box->streams, &snapshot->streams);
        halo__machine_take_time(&box->machine);
        begin(box, snapshot);
    }
    halo__debug_restored(box->loop.debug, !error && is_same);
    if (error)
        box->loop.last = box->words;
    return error;
}

static int restore(struct halo_sandbox *box, const struct halo_snapshot *snapshot)
{
    int error = judge_restore(box, snapshot);

    if (!error)
        error = halo__calls_bring_back(&box->calls, &snapshot->calls);
    if (error)
        return error;
    end(box);
    halo__count(&box->restores, 1);
    HALO_TRACE(box->port.trace, RESTORE, 0, 0);
    return bring_back(box, snapshot);
}

int halo_restore(struct halo_sandbox *box, const struct halo_snapshot *snapshot)
{
    const int error = halo__box_enter(box);

    return error ? error : halo__box_leave(box, restore(box, snapshot));
}

int halo_open_snapshot(struct halo_sandbox **box, const struct halo_snapshot *snapshot,
                       const struct halo_options *options)
{
    const struct halo_program program = {
        .fd = -1, .bytes = "", .image = snapshot ? &snapshot->image : NULL};
    struct halo_options of_guest = options ? *options : (struct halo_options){.ram_len = 0};
    int error;

    of_guest.transport = snapshot ? snapshot->transport : HALO_TRANSPORT_RING;
    error = halo__open(box, &program, &of_guest);
    if (error == HALO_ENOMEM && !*box)
        return error;
    if (error && snapshot)
        return error;
    if (snapshot)
        halo__image_lend(&(*box)->machine, &snapshot->image);
    return halo_restore(*box, snapshot);
}
