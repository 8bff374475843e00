/* Begin, end and read a trace: see halo/trace.h. */
#include "trace_read.h"
#include "descriptor.h"
#include "sandbox.h"
#include "trace_judge.h"
#include <stdlib.h>
#include <string.h>

static uint64_t counter(void)
{
    return __builtin_ia32_rdtsc();
}

/* Nobody but this thread runs the guest from here on. */
static int stand_still(struct halo_sandbox *box)
{
    if (!box->loop.state)
        return halo__fail(&box->words, HALO_ESTATE, "this sandbox was not opened");
    if (box->loop.runner.has_guest && box->run_depth > 0)
        return halo__fail(&box->words, HALO_ESTATE,
                          "the guest runs, on a thread of its own, beside this function of its "
                          "host's");
    (void)halo__settle(box);
    return 0;
}

static void forget(struct halo_sandbox *box)
{
    struct halo_trace *trace = box->port.trace;

    box->port.trace = NULL;
    halo__calls_watch(&box->calls);
    halo__trace_free(trace);
}

static int begin(struct halo_sandbox *box, uint32_t count)
{
    struct halo_trace *trace;
    int error = stand_still(box);

    if (error)
        return error;
    if (count > HALO_TRACE_MAX)
        return halo__fail(&box->words, HALO_EINVAL, "a trace of %u events: it has %u at most",
                          count, HALO_TRACE_MAX);
    trace = halo__trace_new(count ? count : HALO_TRACE_DEFAULT);
    if (!trace)
        return halo__fail(&box->words, HALO_ENOMEM, "no memory for a trace");
    forget(box);
    if (box->machine.backend->ahead)
        box->machine.backend->ahead(&box->machine, &trace->ahead);
    box->port.trace = trace;
    halo__calls_watch(&box->calls);
    box->trace_number = box->trace_number == UINT32_MAX ? 1 : box->trace_number + 1;
    halo__layout_trace(&box->machine, box->trace_number);
    return 0;
}

int halo_trace_begin(struct halo_sandbox *box, uint32_t count)
{
    const int error = halo__box_enter(box);

    return error ? error : halo__box_leave(box, begin(box, count));
}

int halo_trace_end(struct halo_sandbox *box)
{
    int error = halo__box_enter(box);

    if (error)
        return error;
    error = stand_still(box);
    if (!error && box->port.trace) {
        forget(box);
        halo__layout_trace(&box->machine, 0);
    }
    return halo__box_leave(box, error);
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* The guest's own, where it has any: it says where, and that is looked at once. */
static uint32_t take_guests(struct halo_sandbox *box, const struct halo_trace_span *span,
                            struct halo_record *to)
{
    struct halo_machine *machine = &box->machine;
    struct halo_record *records;
    struct halo_span found;
    uint64_t address;
    uint32_t count;

    halo_shm_copy_in(&address,
                     machine->ram.host + (machine->layout.save - HALO_RAM_BASE) +
                         offsetof(struct halo_save, trace),
                     sizeof(address));
    /* TRC-01: of any address, only what the guest's program may lend to its host. */
    if (halo_memory_span(&box->port.memory, (struct halo_gpa){address},
                         HALO_RECORDS * sizeof(*records), HALO_MAY_READ, &found) != HALO_SPAN_OK ||
        halo__ram_touch(&machine->ram, found.base, HALO_RECORDS * sizeof(*records)))
        return 0;
    records = malloc(HALO_RECORDS * sizeof(*records));
    if (!records)
        return 0;
    halo_shm_copy_in(records, found.base, HALO_RECORDS * sizeof(*records));
    count = halo__trace_judge(records, span, to);
    free(records);
    return count;
}

/* Both in one, by time; of the same time the host's come first. */
static void merge(struct halo_sandbox *box, const struct halo_trace_span *span, double ns_per_tick,
                  const struct halo_record *guests, uint32_t guest_count,
                  struct halo_trace_events *all)
{
    const struct halo_trace *trace = box->port.trace;
    uint64_t i = trace->count > trace->mask ? trace->count - trace->mask - 1 : 0, last = 0;

    for (uint32_t g = 0; i < trace->count || g < guest_count;) {
        const struct halo_record *ours = i < trace->count ? &trace->records[i & trace->mask] : NULL;
        const bool is_ours = ours && (g == guest_count || ours->counter <= guests[g].counter);
        const struct halo_record *next = is_ours ? ours : &guests[g];
        const uint64_t since = next->counter > span->begun ? next->counter - span->begun : 0;

        last = since > last ? since : last; /* counters of two processors may differ a little */
        all->events[all->count++] = (struct halo_event_seen){
            .ns = (int64_t)((double)last * ns_per_tick),
            .kind = next->kind,
            .a = next->a,
            .b = next->b,
        };
        if (is_ours)
            i++;
        else
            g++;
    }
}

int halo__trace_events(struct halo_sandbox *box, struct halo_trace_events *all)
{
    struct halo_trace *trace = box->port.trace;
    struct halo_trace_span span = {.trace = box->trace_number};
    struct halo_record *guests;
    uint32_t guest_count;
    int64_t passed;
    int error = stand_still(box);

    *all = (struct halo_trace_events){NULL, 0};
    if (error)
        return error;
    if (!trace)
        return halo__fail(&box->words, HALO_ESTATE, "there is no trace: halo_trace_begin");
    span.begun = trace->begun;
    span.now = counter();
    span.ahead = trace->ahead;
    passed = halo__now() - trace->begun_ns;
    guests = malloc(HALO_RECORDS * sizeof(*guests));
    all->events = malloc((trace->mask + 1 + HALO_RECORDS) * sizeof(*all->events));
    if (!guests || !all->events) {
        free(guests);
        free(all->events);
        return halo__fail(&box->words, HALO_ENOMEM, "no memory to read a trace");
    }
    guest_count = take_guests(box, &span, guests);
    merge(box, &span, span.now > span.begun ? (double)passed / (double)(span.now - span.begun) : 0,
          guests, guest_count, all);
    free(guests);
    return 0;
}

int64_t halo_trace_read(struct halo_sandbox *box, struct halo_event_seen *events, size_t max)
{
    struct halo_trace_events all;
    int64_t result = halo__box_enter(box);
    size_t skipped;

    if (result)
        return result;
    result = halo__trace_events(box, &all);
    if (result)
        return halo__box_leave_wide(box, result);
    skipped = all.count > max ? all.count - max : 0;
    if (all.count > skipped)
        memcpy(events, all.events + skipped, (all.count - skipped) * sizeof(*events));
    free(all.events);
    return halo__box_leave_wide(box, (int64_t)(all.count - skipped));
}

/* --- As JSON ---------------------------------------------------------------------------------- */

struct file {
    struct halo_sandbox *box;
    int fd;
};

static int put(void *context, const char *bytes, size_t len)
{
    const struct file *file = context;
    const char *why = halo__fd_write(file->fd, bytes, len);

    return why ? halo__fail(&file->box->words, HALO_EIO, "the trace cannot be written: %s", why)
               : 0;
}

static const char *name_of(const void *context, bool is_guests, uint32_t index)
{
    const struct halo_functions *functions =
        &((const struct halo_sandbox *)context)->calls.functions;

    if (index < 1 || index > (is_guests ? functions->export_count : functions->count))
        return NULL;
    return is_guests ? functions->exported[index - 1].name : functions->provided[index - 1].name;
}

static int write_trace(struct halo_sandbox *box, int fd)
{
    const struct halo_trace_names names = {
        box->machine.backend ? box->machine.backend->name : "none", name_of, box};
    struct halo_trace_events all;
    struct file file = {box, fd};
    int error = halo__trace_events(box, &all);

    if (error)
        return error;
    error = halo__trace_json(all.events, all.count, &names, put, &file);
    free(all.events);
    return error == HALO_ENOMEM ? halo__fail(&box->words, error, "no memory to write a trace")
                                : error;
}

int halo_trace_write(struct halo_sandbox *box, int fd)
{
    struct halo_signals signals = {.are_blocked = false};
    int error = halo__box_enter(box);

    if (error)
        return error;
    halo__signals_borrow(&signals); /* of a pipe that nobody reads, and of a limit of files */
    error = write_trace(box, fd);
    halo__signals_return(&signals);
    return halo__box_leave(box, error);
}
