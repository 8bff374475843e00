/* The life of a sandbox: open, close; what it can be asked for. */
#define _GNU_SOURCE
#include "call/keep.h"
#include "picture_of.h"
#include "sandbox.h"
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>

int halo__box_make_port(struct halo_sandbox *box)
{
    const struct halo_layout *layout = &box->machine.layout;
    HALO_SHARED unsigned char *ram = box->machine.ram.host;
    struct halo_region regions[HALO_RANGE_MAX];
    struct halo_port_config config = {
        .regions = regions,
        .region_count = halo__layout_regions(&box->machine, regions),
        .features = (uint32_t)layout->features,
        .unsent = ram + (layout->save - HALO_RAM_BASE) + offsetof(struct halo_save, unsent),
        .on_stacks = layout->stacks[0].len > 0,
        .work_max = box->work_max,
        .ram = &box->machine.ram,
    };
    int error = 0;

    for (uint32_t i = 0; i < HALO_QUEUE_COUNT && !error; i++)
        error = halo_ring_place_in(ram + (layout->queues[i].desc - HALO_RAM_BASE),
                                   layout->queues[i].size, &config.places[i]);
    if (error)
        return halo__fail(&box->words, error, "cannot place the rings");
    for (uint32_t i = 0; i < HALO_STACK_COUNT && config.on_stacks; i++) {
        config.stacks[i].base = ram + (layout->stacks[i].base - HALO_RAM_BASE);
        config.stacks[i].len = layout->stacks[i].len;
        config.stacks[i].offset = layout->stacks[i].base - layout->pool;
    }
    return halo__port_init(&box->port, &box->words, &config);
}

/*
 * It has a place for each request there may be, and few are ever used. The kernel's own zeroes cost
 * nothing before that; those of calloc are written, where it has the memory from an earlier one.
 */
static struct halo_sandbox *make_box(void)
{
    void *box = mmap(NULL, sizeof(struct halo_sandbox), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return box == MAP_FAILED ? NULL : box;
}

/*
 * A thread's stack that ends too soon ends the process without a word. How much the first thread
 * has left is known: its stack begins where the kernel has put the program's name, and what the
 * limit says of it counts from there. Of other stacks nobody knows without asking the C library,
 * and it the whole map of memory.
 */
static int check_stack(struct halo_words *words)
{
    const uint64_t here = (uintptr_t)__builtin_frame_address(0), begin = getauxval(AT_EXECFN);
    struct rlimit limit;

    if (begin < here || getrlimit(RLIMIT_STACK, &limit) < 0 || begin - here >= limit.rlim_cur ||
        limit.rlim_cur - (begin - here) >= HALO_THREAD_STACK)
        return 0;
    return halo__fail(
        words, HALO_EHOST,
        "this thread has %llu KiB of stack left, and a host needs %u: raise the limit "
        "of the process (RLIMIT_STACK, ulimit -s)",
        (unsigned long long)(limit.rlim_cur - (begin - here)) >> 10, HALO_THREAD_STACK >> 10);
}

/* A thread for the guest, and how long each side looks before it sleeps. */
static int begin_runner(struct halo_sandbox *box, const struct halo_options *options)
{
    if (options->transport != HALO_TRANSPORT_RING)
        return halo__fail(&box->words, HALO_EINVAL,
                          "a guest with stacks has no thread of its own: host and guest never have "
                          "anything to do at the same time");
    box->port.shows_at_once = true;
    return halo__runner_begin(&box->loop.runner, &box->machine, &box->loop.poller);
}

int halo__open(struct halo_sandbox **result, const struct halo_program *program,
               const struct halo_options *options)
{
    static const struct halo_options defaults = {.ram_len = 0};
    struct halo_signals signals = {.are_blocked = false};
    struct halo_sandbox *box;
    int error;

    box = make_box();
    *result = box;
    if (!box)
        return HALO_ENOMEM;
    halo__owner_init(&box->owner);
    box->port.owner = &box->owner;
    if (!options)
        options = &defaults;
    box->loop = (struct halo_loop){.machine = &box->machine,
                                   .port = &box->port,
                                   .words = &box->words,
                                   .watch_box = box,
                                   .deadline = HALO_FOREVER,
                                   .quantum = HALO_FOREVER};
    box->machine.ram.fd = box->machine.stop.fd = -1;
    box->machine.interrupt.fd = -1;
    box->loop.at_end = halo__picture_keep;
    error = halo__poller_init(&box->loop.poller);
    if (!error)
        error = halo__interrupt_init(&box->machine.interrupt);
    if (!error)
        error = halo__poller_wake_by(&box->loop.poller, box->machine.interrupt.fd);
    if (error)
        return halo__fail(&box->words, error, "cannot make an epoll descriptor or an eventfd: %s",
                          strerror(errno));
    error = check_stack(&box->words);
    if (error)
        return error;
    halo__signals_borrow(&signals);
    box->work_max = options->exit_max ? options->exit_max : HALO_EXIT_DEFAULT;
    error = halo__machine_load(&box->machine, &box->words, program, options);
    if (!error)
        error = halo__box_make_port(box);
    halo__calls_init(&box->calls, &box->port, &box->words, box);
    box->calls.end = &box->loop.last;
    box->calls.budget = halo__budget_new(options->held_max ? options->held_max : HALO_HELD_DEFAULT);
    if (!box->calls.budget && !error)
        error = halo__fail(&box->words, HALO_ENOMEM, "no memory");
    box->calls.deferred_len_max = box->machine.layout.sizes.deferred_len;
    box->calls.deferred_max = box->machine.layout.sizes.deferred_max;
    if (options->handles_max)
        box->calls.handles.max = options->handles_max;
    if (!error && options->handles_max > HALO_HANDLES_MAX)
        error = halo__fail(&box->words, HALO_EINVAL, "handles_max is %u, and %u at most",
                           options->handles_max, HALO_HANDLES_MAX);
    halo__streams_init(&box->streams, &box->port, &box->loop.poller, box->calls.budget,
                       &box->signals, &box->words);
    halo__log_init(&box->log, &box->port);
    if (!error)
        error = halo__machine_create(&box->machine);
    if (!error)
        error = halo__limits_begin(&box->loop.limits, &box->machine, &box->words, options);
    if (!error && options->threaded)
        error = begin_runner(box, options);
    halo__signals_return(&signals);
    if (!error)
        box->loop.state = HALO_STATE_READY;
    return error;
}

int halo_open(struct halo_sandbox **box, const char *path, const struct halo_options *options)
{
    return halo__open(
        box, &(struct halo_program){.path = path, .fd = -1, .has_no_path = path == NULL}, options);
}

int halo_open_memory(struct halo_sandbox **box, const void *bytes, size_t len,
                     const struct halo_options *options)
{
    /* No bytes at all are no program either. */
    return halo__open(
        box, &(struct halo_program){.bytes = bytes ? bytes : "", .len = bytes ? len : 0, .fd = -1},
        options);
}

int halo_open_fd(struct halo_sandbox **box, int fd, const struct halo_options *options)
{
    return halo__open(box, &(struct halo_program){.fd = fd}, options);
}

void halo_close(struct halo_sandbox *box)
{
    if (!box || halo__box_is_attached(box))
        return;
    if (!halo__owner_is_fork(&box->owner)) /* before anything goes that who answers one needs */
        halo__kept_end(&box->calls);
    if (!halo__owner_is_fork(&box->owner)) /* where the thread is not */
        halo__runner_end(&box->loop.runner);
    else
        halo__kept_abandon(&box->calls);
    halo__debug_free(box->loop.debug);
    if (box->loop.state != HALO_STATE_ENDED)
        (void)halo__fail(&box->words, HALO_ESTATE, "the sandbox was closed");
    halo__port_close(&box->port, HALO_ESTATE);
    if (!halo__owner_is_fork(&box->owner))
        halo__handles_end(&box->calls.handles);
    halo__calls_free(&box->calls);
    if (halo__owner_is_fork(&box->owner))
        halo__streams_abandon(&box->streams);
    else if (!halo__streams_free(&box->streams))
        box->machine.ram.host = NULL; /* it stays mapped: the kernel may write to it yet */
    halo__poller_free(&box->loop.poller);
    halo__interrupt_free(&box->machine.interrupt);
    halo__trace_free(box->port.trace);
    halo__machine_close(&box->machine);
    halo__owner_free(&box->owner);
    halo__picture_drop(box);
    munmap(box, sizeof(*box));
}

const struct halo_fault *halo_fault(const struct halo_sandbox *box)
{
    return box->loop.has_fault ? &box->loop.fault : NULL;
}

const struct halo_poison *halo_poison(const struct halo_sandbox *box)
{
    return box->loop.error == HALO_EPOISONED ? &box->port.poison : NULL;
}

const char *halo_errmsg(const struct halo_sandbox *box)
{
    return box ? box->words.text : halo_strerror(HALO_ENOMEM);
}

const char *halo_backend_name(const struct halo_sandbox *box)
{
    return box->machine.backend ? box->machine.backend->name : "none";
}

const char *halo_backend_note(const struct halo_sandbox *box)
{
    return box->machine.note[0] ? box->machine.note : NULL;
}

void halo_sandbox_sizes(const struct halo_sandbox *box, struct halo_sizes *sizes)
{
    *sizes = box->loop.state ? box->machine.layout.sizes : (struct halo_sizes){0};
}

void halo_watch(struct halo_sandbox *box, int64_t interval_ns,
                void (*watch)(struct halo_sandbox *box, void *context), void *context)
{
    box->loop.watch = watch;
    box->loop.watch_context = context;
    box->loop.watch_interval = interval_ns;
    box->loop.watch_next = 0;
}
