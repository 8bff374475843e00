/*
 * From chains to requests: the device loop. Exit once, drain all: whenever the host has control it
 * takes everything that is there before the guest runs again.
 */
#include "sandbox.h"

/* --- Guest memory as the host's end of queues and stacks ----------------------------------------
 */

/* The ranges that a descriptor may name, the pool first because nearly all name it. */
static void make_regions(struct halo_sandbox *box)
{
    const struct halo_layout *layout = &box->machine.layout;
    uint32_t count = 0;

    for (int pool = 1; pool >= 0; pool--) {
        for (uint32_t i = 0; i < layout->range_count; i++) {
            const struct halo_range *range = &layout->ranges[i];

            if (!range->rights || (range->base == layout->pool) != pool)
                continue;
            box->regions[count++] = (struct halo_region){
                .base = range->base,
                .len = range->len,
                .host = box->machine.ram.host + (range->base - HALO_RAM_BASE),
                .rights = range->rights,
            };
        }
    }
    box->memory = (struct halo_memory){box->regions, count};
}

static int make_queue(struct halo_sandbox *box, enum halo_queue_index index,
                      struct halo_device *device, struct halo_device_chain *chains)
{
    const struct halo_boot_queue *queue = &box->machine.layout.queues[index];
    HALO_SHARED unsigned char *at = box->machine.ram.host + (queue->desc - HALO_RAM_BASE);
    struct halo_ring_place place;
    int error = halo_ring_place_in(at, queue->size, &place);

    if (!error)
        error = halo_device_init(device, &place, &box->memory, chains, UINT32_MAX);
    if (!error)
        error = halo_device_extend(device, (uint32_t)box->machine.layout.features);
    if (error)
        return halo__fail(&box->words, error, "cannot set up the ring");
    /* The guest always comes back by a wait: while it runs, nobody here listens for kicks. */
    halo_device_disarm(device);
    return 0;
}

int halo__port_init(struct halo_sandbox *box, const struct halo_options *options)
{
    int error;

    make_regions(box);
    box->on_stacks = options->transport == HALO_TRANSPORT_STACK;
    for (uint32_t i = 0; i < HALO_STACK_COUNT && box->on_stacks; i++) {
        const struct halo_boot_stack *stack = &box->machine.layout.stacks[i];

        halo__stack_init(&box->stacks[i], box->machine.ram.host + (stack->base - HALO_RAM_BASE),
                         stack->len);
    }
    error = make_queue(box, HALO_QUEUE_G2H, &box->g2h, box->g2h_chains);
    return error ? error : make_queue(box, HALO_QUEUE_H2G, &box->h2g, box->h2g_chains);
}

/* --- Requests --------------------------------------------------------------------------------- */

static int poison(struct halo_sandbox *box, const struct halo_violation *broken)
{
    return halo__fail(&box->words, HALO_EPOISONED,
                      "the guest broke the ring: %s at slot %u, id %u (addr 0x%llx, meta 0x%llx)",
                      halo_broken_name(broken->reason), broken->slot, broken->id,
                      (unsigned long long)broken->addr, (unsigned long long)broken->meta);
}

/* A message by its kind. NULL, or what cannot be understood. */
static const char *serve(struct halo_sandbox *box, struct halo_request *request)
{
    const char *why;

    if (request->is_inline)
        return halo__call_compact(box, request);
    why = halo__request_parse(request, HALO_ANSWER_MIN);
    if (why)
        return why;
    switch (request->message.kind) {
    case HALO_KIND_CALL:
        return halo__call_serve(box, request);
    case HALO_KIND_CONTROL:
        return halo__hello(box, request);
    case HALO_KIND_FETCH:
        return halo__fetch(box, request);
    default:
        return halo__stream_take(box, request);
    }
}

/*
 * Take the next chain of a queue as a request, one of `requests` by its id. Returns 1, 0 where
 * there is none, or HALO_EPOISONED.
 */
static int take(struct halo_sandbox *box, struct halo_device *device, struct halo_request *requests,
                struct halo_request **taken)
{
    struct halo_span spans[HALO_REQUEST_SPANS];
    struct halo_chain chain;
    struct halo_request *request;
    const int got = halo_device_poll(device, &chain, spans, HALO_REQUEST_SPANS);

    if (got == 0)
        return 0;
    if (got == HALO_EREJECT)
        return halo__fail(&box->words, HALO_EPOISONED,
                          "the guest named a buffer that it may not: %s at 0x%llx",
                          halo_reject_name(chain.reject), (unsigned long long)chain.where.value);
    if (got < 0)
        return poison(box, &device->violation);
    request = &requests[chain.token.id];
    request->token = chain.token;
    request->readable_count = chain.readable_count;
    request->writable_count = chain.writable_count;
    request->readable_len = chain.readable_len;
    request->writable_len = chain.writable_len;
    request->done = 0;
    request->is_inline = chain.is_inline;
    if (chain.is_inline) {
        request->inline_len = chain.inline_len;
        __builtin_memcpy(request->inline_bytes, chain.inline_bytes, sizeof(chain.inline_bytes));
    }
    for (uint32_t i = 0; i < chain.readable_count + chain.writable_count; i++)
        request->spans[i] = spans[i];
    *taken = request;
    return 1;
}

/*
 * At most one lap of each queue: a guest that refills while we drain does not hold us here
 * (RES-02). A function of ours may call the guest and come back here in the middle of this.
 */
static int take_all(struct halo_sandbox *box)
{
    struct halo_request *request;
    const char *why = NULL;
    int got = 1;

    for (uint32_t i = 0; i < HALO_RING_SIZE && !why; i++) {
        got = take(box, &box->h2g, box->posts, &request);
        if (got <= 0)
            break;
        why = halo__post_take(box, request);
    }
    for (uint32_t i = 0; i < HALO_RING_SIZE && got >= 0 && !why; i++) {
        got = take(box, &box->g2h, box->requests, &request);
        if (got <= 0)
            break;
        box->stats.requests++;
        why = serve(box, request);
        if (box->state == HALO_STATE_ENDED)
            return 0;
    }
    if (got >= 0 && !why)
        why = halo__call_due(box);
    if (why)
        return halo__fail(&box->words, HALO_EPOISONED, "the guest sent %s", why);
    return got < 0 ? got : 0;
}

void halo__publish(struct halo_sandbox *box)
{
    struct halo_stack *stack = &box->stacks[HALO_STACK_H2G];

    if (box->g2h.staged > 0 || box->h2g.staged > 0 || stack->pushed)
        box->answered = true;
    stack->pushed = false;
    halo_device_publish(&box->g2h);
    halo_device_publish(&box->h2g);
}

int halo__send(struct halo_sandbox *box)
{
    const char *why = halo__invoke_send(box);

    if (why)
        return halo__fail(&box->words, HALO_EPOISONED, "the guest left %s", why);
    halo__own_flush(box);
    halo__publish(box);
    return 0;
}

/* The one message of an exit. NULL, or what cannot be understood. */
static const char *take_pushed(struct halo_sandbox *box)
{
    struct halo_request request;
    const char *why =
        halo__stack_pop(&box->stacks[HALO_STACK_G2H], &box->stacks[HALO_STACK_H2G], &request);

    if (!why)
        why = halo__request_parse(&request, HALO_ANSWER_MIN);
    if (why)
        return why;
    box->stats.requests++;
    switch (request.message.kind) {
    case HALO_KIND_CALL:
        if (request.message.flags >> HALO_DEPTH_SHIFT < box->calls.waits)
            return "a call that is not its innermost";
        return halo__call_serve(box, &request);
    case HALO_KIND_CONTROL:
        return halo__hello(box, &request);
    default:
        return halo__answer_take(box, &request);
    }
}

int halo__stack_drain(struct halo_sandbox *box)
{
    const char *why = take_pushed(box);

    if (why)
        return halo__fail(&box->words, HALO_EPOISONED, "the guest sent %s", why);
    halo__publish(box);
    return 0;
}

int halo__drain(struct halo_sandbox *box)
{
    int error = box->on_stacks ? 0 : take_all(box);

    if (error)
        return error;
    halo__stream_serve(box);
    halo__publish(box);
    return 0;
}

int halo__wait_pending(struct halo_sandbox *box, int64_t deadline)
{
    if (halo__now() >= deadline)
        return HALO_ETIMEDOUT;
    if (box->watch && box->watch_next < deadline)
        deadline = box->watch_next;
    halo__end_wait(&box->streams, halo__poll_timeout(deadline));
    return 0;
}
