/*
 * From chains to requests. Exit once, drain all: whenever the host has control it takes everything
 * that is there before the guest runs again.
 */
#include "port.h"
#include "deadline.h"
#include <stdio.h>
#include <string.h>

/* --- Setting up ------------------------------------------------------------------------------- */

static int make_queue(struct halo_port *port, enum halo_queue_index index,
                      const struct halo_port_config *config)
{
    const struct halo_receiver_config receiver = {
        .place = config->places[index],
        .memory = &port->memory,
        .len_max = UINT32_MAX,
        .features = config->features,
    };
    int error = HALO_EINVAL;

    if (receiver.place.size <= HALO_PORT_SIZE_MAX)
        error = halo_receiver_init(&port->queues[index], &receiver, port->chains[index]);
    if (error)
        return halo__fail(port->words, error, "cannot set up a ring of %u descriptors",
                          receiver.place.size);
    /* The guest always comes back by a wait: while it runs, nobody here listens for kicks. */
    halo_device_disarm(&port->queues[index].device);
    port->shown[index] = 0;
    return 0;
}

int halo__port_init(struct halo_port *port, struct halo_words *words,
                    const struct halo_port_config *config)
{
    int error = 0;

    port->words = words;
    if (config->region_count > HALO_PORT_REGIONS_MAX)
        return halo__fail(words, HALO_EINVAL, "more than %u regions of guest memory",
                          HALO_PORT_REGIONS_MAX);
    for (uint32_t i = 0; i < config->region_count; i++)
        port->regions[i] = config->regions[i];
    port->memory = (struct halo_memory){port->regions, config->region_count};
    port->ram = config->ram;
    port->unsent = config->unsent;
    port->work_max = config->work_max ? config->work_max : UINT64_MAX;
    port->on_stacks = config->on_stacks;
    for (uint32_t i = 0; i < HALO_STACK_COUNT && config->on_stacks; i++)
        halo__stack_init(&port->stacks[i], config->stacks[i].base, config->stacks[i].len,
                         config->stacks[i].offset);
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT && !error; i++)
        error = make_queue(port, i, config);
    return error;
}

void halo__port_attach(struct halo_port *port, const struct halo_service *service, void *self)
{
    const struct halo_attached attached = {service, self};

    port->services[port->service_count++] = attached;
    if (service->serve)
        port->servers[port->server_count++] = attached;
    if (service->send)
        port->senders[port->sender_count++] = attached;
    for (uint32_t queue = 0; queue < HALO_QUEUE_COUNT; queue++) {
        for (uint32_t kind = 0; kind < HALO_KIND_COUNT; kind++) {
            if (service->kinds[queue] & HALO_KIND_BIT(kind))
                port->routes[queue][kind] = attached;
        }
    }
}

bool halo__port_refuse_fork(struct halo_port *port)
{
    if (!halo__port_is_fork(port))
        return false;
    port->host_failed = halo__owner_refuse_fork(port->words);
    return true;
}

/* --- Taking in -------------------------------------------------------------------------------- */

int halo__port_blame(struct halo_port *port, const struct halo_poison *found, const char *rule)
{
    if (!port->poison.kind && !port->halted) {
        port->poison = *found;
        (void)snprintf(port->poison.rule, sizeof(port->poison.rule), "%s", rule);
    }
    return HALO_EPOISONED;
}

/* A chain that could not be taken: HALO_EPOISONED, with the words for `got`. */
static int poison(struct halo_port *port, enum halo_queue_index queue, int got,
                  const struct halo_chain *chain)
{
    const struct halo_violation *broken = &port->queues[queue].device.violation;

    if (got == HALO_EREJECT)
        (void)halo__port_blame(port,
                               &(struct halo_poison){.kind = HALO_POISON_BUFFER,
                                                     .queue = queue,
                                                     .id = halo_token_id(chain->token),
                                                     .words = {chain->bad_addr.value}},
                               halo_reject_name(chain->reject));
    else
        (void)halo__port_blame(port,
                               &(struct halo_poison){.kind = HALO_POISON_RING,
                                                     .queue = queue,
                                                     .slot = broken->slot,
                                                     .id = broken->id,
                                                     .words = {broken->addr, broken->meta}},
                               halo_broken_name(broken->reason));
    if (got == HALO_EREJECT)
        return halo__fail(
            port->words, HALO_EPOISONED, "the guest named a buffer that it may not: %s at 0x%llx",
            halo_reject_name(chain->reject), (unsigned long long)chain->bad_addr.value);
    return halo__fail(port->words, HALO_EPOISONED,
                      "the guest broke the ring: %s at slot %u, id %u (addr 0x%llx, meta 0x%llx)",
                      halo_broken_name(broken->reason), broken->slot, broken->id,
                      (unsigned long long)broken->addr, (unsigned long long)broken->meta);
}

/* A message that cannot be understood; `request` is NULL where it is no single one. */
static void blame_message(struct halo_port *port, enum halo_queue_index queue,
                          const struct halo_request *request, const char *why)
{
    struct halo_poison found = {.kind = HALO_POISON_MESSAGE, .queue = HALO_POISON_NO_QUEUE};

    if (request && !port->on_stacks) {
        found.queue = queue;
        found.id = halo_token_id(request->parked.token);
    }
    /* Of what is shorter, or inline, there is no header that was read; nor of what has no room. */
    if (request && !request->parked.is_inline &&
        request->parked.readable_len >= sizeof(request->message))
        memcpy(&found.words[0], &request->message, sizeof(request->message));
    if (!port->host_failed)
        (void)halo__port_blame(port, &found, why);
}

/* Hand it to whoever takes its kind. */
static const char *route(const struct halo_port *port, enum halo_queue_index queue,
                         struct halo_request *request)
{
    const struct halo_attached *to;

    if (request->message.kind >= HALO_KIND_COUNT)
        return "a message of unknown kind"; /* RPC-06 */
    to = &port->routes[queue][request->message.kind];
    if (port->halted && to->service && !to->service->halt)
        return NULL;
    return to->service ? to->service->take(to->self, request) : "a message of unknown kind";
}

bool halo__port_touch_across(struct halo_port *port, const struct halo_extent *extents,
                             uint32_t count, uint64_t offset, size_t len)
{
    bool is_there = true;

    for (uint32_t i = 0; i < count && len > 0 && is_there; i++) {
        const uint64_t skip = offset < extents[i].len ? offset : extents[i].len;
        const uint64_t here = extents[i].len - skip;
        const size_t part = here < len ? (size_t)here : len;

        is_there = halo__port_touch(
            port, halo_extent_at(&port->queues[HALO_QUEUE_G2H], &extents[i]) + skip, part);
        offset -= skip;
        len -= part;
    }
    return is_there;
}

/* Of buffers up to so long, and nearly all are, all is looked for before they are used. */
#define LOOKED_AT (8 * HALO_RAM_PIECE)

/* Small ones have their memory found at once, for all that is read and written there; of a larger
 * one no more is to be found than what will be touched. */
__attribute__((noinline)) static bool find_small(struct halo_port *port,
                                                 const struct halo_span *spans, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (spans[i].len > HALO_RAM_PIECE || !halo__port_touch(port, spans[i].base, spans[i].len))
            return false;
    }
    return true;
}

/* Whether there is memory for all that a request names: it is looked for where `finds`. */
static inline bool is_there(struct halo_port *port, const struct halo_span *spans, uint32_t count,
                            bool finds)
{
    const struct halo_ram *ram = port->ram;

    if (!ram)
        return true;
    for (uint32_t i = 0; i < count; i++) {
        if (spans[i].len > LOOKED_AT ||
            !halo__ram_has(ram, (uint64_t)(spans[i].base - ram->host), spans[i].len))
            return finds && find_small(port, spans, count);
    }
    return true;
}

/* Its header, judged; `room` is what an answer needs at least. */
static const char *parse(struct halo_port *port, struct halo_request *request, uint64_t room)
{
    const struct halo_parked *parked = &request->parked;

    if (!request->is_there &&
        !halo__port_touch_across(port, parked->extents, parked->readable_count, 0,
                                 sizeof(request->message)))
        return HALO_NOT_THERE;
    return halo__request_parse(&port->queues[HALO_QUEUE_G2H], request, room);
}

static const char *take_request(struct halo_port *port, struct halo_request *request)
{
    const bool is_one_way = request->parked.writable_len == 0 && !request->parked.is_inline;
    const char *why = parse(port, request, is_one_way ? 0 : HALO_ANSWER_MIN);

    halo__count(&port->requests_taken, 1);
    if (!why && is_one_way && request->message.kind != HALO_KIND_LOG) {
        request->message = (struct halo_message){0};
        why = "a request without room for its answer"; /* DEV-19 */
    }
    HALO_TRACE(port->trace, TAKE, halo__traced_chain(HALO_QUEUE_G2H, request),
               (uint64_t)request->message.length << 8 | request->message.kind);
    return why ? why : route(port, HALO_QUEUE_G2H, request);
}

/* A chain of the queue to the guest: an answer, a buffer for the next message, or both. */
static const char *take_posted(struct halo_port *port, struct halo_request *posted)
{
    const char *why = NULL;

    if (posted->parked.is_inline)
        return "a compact message of unknown kind"; /* RPC-06 */
    if (posted->parked.readable_len > 0) {
        why = parse(port, posted, 0);
        HALO_TRACE(port->trace, TAKE, halo__traced_chain(HALO_QUEUE_H2G, posted),
                   (uint64_t)posted->message.length << 8 | posted->message.kind);
        if (!why)
            why = route(port, HALO_QUEUE_H2G, posted);
    }
    if (why)
        return why;
    if (posted->parked.writable_len ==
        0) { /* an answer alone: its sender waits until it was read */
        (void)halo_receiver_answer(&port->queues[HALO_QUEUE_H2G], &posted->parked, 0);
        return NULL;
    }
    if (posted->parked.writable_len < HALO_POST_MIN)
        return "a buffer for calls that is too short";
    posted->next = port->posted;
    port->posted = (uint16_t)(halo_token_id(posted->parked.token) + 1);
    return NULL;
}

/*
 * At most one lap of a queue: a guest that refills while we drain does not hold us here (RES-02). A
 * function of the host's may run the guest and come back here in the middle of this. Returns what
 * cannot be understood, or NULL; and HALO_EPOISONED in *error where the ring is broken.
 */
static const char *take_lap(struct halo_port *port, enum halo_queue_index queue, int *error)
{
    struct halo_receiver *receiver = &port->queues[queue];
    struct halo_span spans[HALO_PARKED_EXTENTS];
    struct halo_received received;
    uint32_t left = receiver->device.place.size;
    const char *why = NULL;
    int got;

    while ((got = halo_receiver_poll(receiver, &received, spans, HALO_PARKED_EXTENTS)) > 0) {
        struct halo_request *request = &port->requests[queue][halo_token_id(received.chain.token)];

        halo_receiver_park(receiver, &received, &request->parked);
        request->done = 0;
        /* Most buffers for calls are never used: for those memory is found when they are. */
        request->is_there =
            is_there(port, spans, received.chain.readable_count + received.chain.writable_count,
                     queue == HALO_QUEUE_G2H);
        request->taken = port->counter;
        why = queue == HALO_QUEUE_G2H ? take_request(port, request) : take_posted(port, request);
        if (why)
            blame_message(port, queue, request, why);
        if (why || port->closed || halo__port_is_fork(port) || --left == 0)
            return why;
    }
    if (got < 0)
        *error = poison(port, queue, got, &received.chain);
    return NULL;
}

/* Nothing was understood where the host had no memory to look at it. */
static int refuse(struct halo_port *port, const char *why)
{
    if (port->host_failed)
        return port->host_failed;
    blame_message(port, HALO_QUEUE_G2H, NULL, why);
    return halo__fail(port->words, HALO_EPOISONED, "the guest sent %s", why);
}

/* Streams may move as many bytes again as one exit may cost. */
static void begin_moves(struct halo_port *port)
{
    port->moved = 0;
    port->has_more = false;
    port->counter = halo__counter();
}

int halo__port_drain(struct halo_port *port)
{
    const struct halo_attached *end = port->servers + port->server_count;
    const char *why = NULL;
    int error = 0;

    begin_moves(port);
    if (!port->on_stacks) {
        why = take_lap(port, HALO_QUEUE_H2G, &error);
        if (!why && !error && !port->closed)
            why = take_lap(port, HALO_QUEUE_G2H, &error);
    }
    if (error)
        return error;
    for (const struct halo_attached *at = port->servers; at < end && !why && !port->closed; at++) {
        if (!halo__port_is_fork(port))
            why = at->service->serve(at->self);
    }
    if (halo__port_refuse_fork(port)) /* by a function of the host's */
        return port->host_failed;
    if (why)
        return refuse(port, why);
    halo__port_publish(port);
    return port->host_failed;
}

int halo__port_pop(struct halo_port *port)
{
    struct halo_request request;
    const char *why =
        halo__stack_pop(&port->stacks[HALO_STACK_G2H], &port->stacks[HALO_STACK_H2G], &request);
    const bool was_popped = !why;

    request.taken = port->counter = halo__counter();
    if (was_popped)
        why = parse(port, &request, HALO_ANSWER_MIN);
    if (!why) {
        const bool is_answer = request.message.kind < HALO_KIND_COUNT &&
                               port->routes[HALO_QUEUE_H2G][request.message.kind].service;

        halo__count(&port->requests_taken, 1);
        why = route(port, is_answer ? HALO_QUEUE_H2G : HALO_QUEUE_G2H, &request);
    }
    if (halo__port_refuse_fork(port))
        return port->host_failed;
    if (why && was_popped)
        blame_message(port, HALO_QUEUE_G2H, &request, why);
    if (why)
        return refuse(port, why);
    halo__port_publish(port);
    return 0;
}

/* --- Answers, and messages of the host's own -------------------------------------------------- */

/* There is something: it is counted, and made visible. */
static void publish(struct halo_port *port)
{
    port->answered = true;
    if (port->stacks[HALO_STACK_H2G].pushed)
        halo__observe_few(&port->batch, 1);
    port->stacks[HALO_STACK_H2G].pushed = false;
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++) {
        const uint64_t answers = port->queues[i].stats.answers;

        if (port->queues[i].device.staged == 0)
            continue;
        halo__observe_few(&port->batch, (uint32_t)(answers - port->shown[i]));
        port->shown[i] = answers;
        halo_device_publish(&port->queues[i].device);
    }
}

void halo__port_publish(struct halo_port *port)
{
    if (port->queues[HALO_QUEUE_G2H].device.staged | port->queues[HALO_QUEUE_H2G].device.staged |
        port->stacks[HALO_STACK_H2G].pushed)
        publish(port);
}

bool halo__port_is_awaited(struct halo_port *port)
{
    bool any = false;

    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++)
        any |= halo_device_should_notify(&port->queues[i].device);
    return any;
}

bool halo__port_arm(struct halo_port *port)
{
    bool any = false;

    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++)
        any |= halo_device_arm(&port->queues[i].device);
    return any;
}

void halo__port_disarm(struct halo_port *port)
{
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++)
        halo_device_disarm(&port->queues[i].device);
}

/* A guest that runs beside its host finds an answer before the drain is over. */
static inline void answered(struct halo_port *port)
{
    if (port->shows_at_once)
        publish(port);
}

/* The token is our own and the length is within the chain: completing only fails when latched. */
void halo__port_answer(struct halo_port *port, const struct halo_request *request,
                       enum halo_kind kind, uint8_t flags, uint32_t len)
{
    const struct halo_message message = {(uint8_t)kind, flags, request->message.request, len};

    if (port->closed || halo__port_is_fork(port))
        return;
    halo__request_write(port, request, 0, &message, sizeof(message));
    if (request->pushed_at)
        halo__stack_push(&port->stacks[HALO_STACK_H2G], request, sizeof(message) + len);
    else
        (void)halo_receiver_answer(&port->queues[HALO_QUEUE_G2H], &request->parked,
                                   (uint32_t)sizeof(message) + len);
    HALO_TRACE(port->trace, ANSWER, halo__traced_chain(HALO_QUEUE_G2H, request), len);
    answered(port);
}

void halo__port_answer_inline(struct halo_port *port, const struct halo_request *request,
                              const void *bytes, uint32_t len)
{
    if (port->closed || halo__port_is_fork(port))
        return;
    (void)halo_receiver_answer_inline(&port->queues[HALO_QUEUE_G2H], &request->parked, bytes, len);
    HALO_TRACE(port->trace, ANSWER, halo__traced_chain(HALO_QUEUE_G2H, request), len);
    answered(port);
}

struct halo_request *halo__port_buffer(struct halo_port *port, const char **why)
{
    struct halo_request *buffer;

    *why = NULL;
    if (port->on_stacks) {
        if (port->guest == HALO_GUEST_RUNS)
            return NULL;
        *why = halo__stack_post(&port->stacks[HALO_STACK_H2G], &port->post);
        return *why ? NULL : &port->post;
    }
    if (!port->posted)
        return NULL;
    buffer = &port->requests[HALO_QUEUE_H2G][port->posted - 1];
    port->posted = buffer->next;
    return buffer;
}

const struct halo_request *halo__port_longer(struct halo_port *port,
                                             const struct halo_request *buffer, uint64_t len)
{
    const uint16_t id = (uint16_t)(halo_token_id(buffer->parked.token) + 1);
    struct halo_request *requests = port->requests[HALO_QUEUE_H2G];
    uint16_t *link = &port->posted;
    struct halo_request *longer;

    while (*link && requests[*link - 1].parked.writable_len < len)
        link = &requests[*link - 1].next;
    if (!*link)
        return buffer;
    longer = &requests[*link - 1];
    *link = longer->next;
    requests[id - 1].next = port->posted;
    port->posted = id;
    return longer;
}

void halo__port_post(struct halo_port *port, const struct halo_request *buffer,
                     struct halo_message message)
{
    halo__request_write(port, buffer, 0, &message, sizeof(message));
    if (buffer->pushed_at)
        halo__stack_push(&port->stacks[HALO_STACK_H2G], buffer, sizeof(message) + message.length);
    else
        (void)halo_receiver_answer(&port->queues[HALO_QUEUE_H2G], &buffer->parked,
                                   (uint32_t)sizeof(message) + message.length);
    HALO_TRACE(port->trace, ANSWER, halo__traced_chain(HALO_QUEUE_H2G, buffer), message.length);
}

int halo__port_send(struct halo_port *port)
{
    const char *why = NULL;

    for (uint32_t i = 0; i < port->sender_count && !why; i++)
        why = port->senders[i].service->send(port->senders[i].self);
    if (why && !port->host_failed) {
        blame_message(port, HALO_QUEUE_G2H, NULL, why);
        return halo__fail(port->words, HALO_EPOISONED, "the guest left %s", why);
    }
    halo__port_publish(port);
    return port->host_failed;
}

/* --- The end ---------------------------------------------------------------------------------- */

void halo__port_halt(struct halo_port *port)
{
    int error = 0;

    begin_moves(port);
    if (!port->halted && port->open && !port->on_stacks) {
        port->halted = true;
        (void)take_lap(port, HALO_QUEUE_G2H, &error); /* as far as it can be understood */
    }
    for (uint32_t i = 0; i < port->service_count; i++) {
        if (port->services[i].service->halt)
            port->services[i].service->halt(port->services[i].self);
    }
}

int halo__port_reason(const struct halo_port *port, uint64_t word)
{
    int error = 0;

    for (uint32_t i = 0; i < port->service_count && word && !error; i++) {
        if (port->services[i].service->reason)
            error = port->services[i].service->reason(port->services[i].self, word);
    }
    return error;
}

void halo__port_close(struct halo_port *port, int error)
{
    port->open = false;
    port->closed = true;
    for (uint32_t i = 0; i < port->service_count; i++) {
        if (port->services[i].service->end)
            port->services[i].service->end(port->services[i].self, error);
    }
}

bool halo__port_needs_host(const struct halo_port *port)
{
    for (uint32_t i = 0; i < port->service_count; i++) {
        const struct halo_attached *at = &port->services[i];

        if (at->service->needs_host && at->service->needs_host(at->self))
            return true;
    }
    return false;
}
