/* The guest's end of the queue to the host: see port.h. */
#include "port.h"
#include "stack.h"
#include "trace.h"
#include "../message/patience.h"

#define REQUESTS (HALO_QUEUE_SIZE_MAX / 2) /* in flight: none has less than two descriptors */
#define PARTS (HALO_QUEUE_SIZE_MAX + 320u) /* of those, and of requests that are being built */
#define CHAIN_MAX 34u /* descriptors of a request, as far as the host takes them */
#define SLOTS 128u    /* of as many requests at a time that are short */
#define SMALL_COUNT 256u
#define LARGE_COUNT 48u
#define SERVICES_MAX 4u

struct halo_sender halo__port;
static _Alignas(8) unsigned char memory[HALO_SENDER_BYTES(HALO_QUEUE_SIZE_MAX, REQUESTS, PARTS)];
static struct halo_tiers tiers;
static uint32_t tiers_next[SMALL_COUNT + LARGE_COUNT];

#define POOL_LEN \
    (SLOTS * HALO_SLOT_LEN + SMALL_COUNT * HALO_TIER_SMALL + LARGE_COUNT * HALO_TIER_LARGE)

_Static_assert(HALO_QUEUE_SIZE_MAX == 2048 && POOL_LEN == 320u << 10, "the words below say so");

static void (*before_wait[SERVICES_MAX + 1])(void); /* of the services that have one; then NULL */
static const struct halo__service *server;          /* of the queue from the host, or NULL */
static struct halo__memory pool;                    /* what nobody has taken of it */
static uint32_t waits;                              /* one inside the other */
uint32_t halo__port_reserved, halo__port_unsent, halo__port_came, halo__port_kept;
bool halo__port_unseen;
static bool is_silent; /* no call of the host's is served now */

static struct halo_patience patience; /* before leaving, in ticks; none before its host has some */

/* --- Start ------------------------------------------------------------------------------------ */

static void kick(void *context, const struct halo_queue_stats *stats)
{
    (void)context;
    (void)stats;
    halo__doorbell(HALO_DOORBELL_KICK, HALO_QUEUE_G2H, 0);
}

void halo__port_start(void)
{
    const struct halo_boot *boot = halo_boot_page();
    const struct halo_boot_queue *ring = &boot->queue[HALO_QUEUE_G2H];
    const uint64_t slots_len = SLOTS * HALO_SLOT_LEN;
    const uint64_t len = POOL_LEN;
    unsigned char *base = (unsigned char *)(uintptr_t)boot->pool_base;
    const struct halo_sender_config config = {
        .place = halo__boot_place(ring),
        .provider = &tiers.provider,
        .slots = base,
        .slot_count = SLOTS,
        .features = (uint32_t)boot->features,
        .request_count = REQUESTS,
        .part_count = PARTS,
        .notifier = {kick, NULL},
    };

    if (halo__on_stacks())
        return;
    if (boot->queue_count < 1 || ring->size > HALO_QUEUE_SIZE_MAX) /* DRV-17 */
        halo_panic("the queue to the host has more descriptors than this guest can take: 2048");
    if (boot->pool_len < len)
        halo_panic("the host's pool is smaller than what this guest needs: 320 KiB");
    halo__check(halo_tiers_init(&tiers, base + slots_len, HALO_TIER_SMALL, SMALL_COUNT,
                                HALO_TIER_LARGE, LARGE_COUNT, tiers_next),
                "the pool is misplaced");
    halo__check(halo_sender_init(&halo__port, &config, memory), "the ring is misplaced");
    pool = (struct halo__memory){base + len, boot->pool_len - len};
    patience.most = boot->poll_ticks;
}

void halo__port_add(const struct halo__service *service)
{
    uint32_t count = 0;

    while (before_wait[count])
        count++;
    if (count == SERVICES_MAX)
        halo_panic("the port has no room for another service");
    before_wait[count] = service->before_wait;
    if (service->serve)
        server = service;
    if (service->start && !halo__on_stacks())
        pool = service->start(pool);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

struct halo_room halo_room(void)
{
    const struct halo_boot *boot = halo_boot_page();
    uint32_t room, used = 0;

    if (halo__on_stacks())
        return (struct halo_room){.requests_max = 1, .requests = 1, .calls_max = 1};
    (void)halo_sender_reclaim(&halo__port);
    room = halo_sender_room(&halo__port);
    /*
     * A small request takes two descriptors and, where its slot is taken or there is none, a buffer
     * for itself and one for its answer: there is room for so many at least.
     */
    if (halo__port_reserved > 0)
        used = halo__port_reserved + CHAIN_MAX - 2; /* see has_room: then one more goes */
    return (struct halo_room){
        .requests_max =
            least((boot->queue[HALO_QUEUE_G2H].size - used) / 2, (SMALL_COUNT + LARGE_COUNT) / 2),
        .requests = least(room > used ? (room - used) / 2 : 0,
                          (tiers.small.free_count + tiers.large.free_count) / 2),
        .calls_max = boot->queue[HALO_QUEUE_H2G].size / 2,
        .deferred_max = boot->deferred_max,
        .deferred_len = boot->deferred_len,
    };
}

/* --- Waiting ---------------------------------------------------------------------------------- */

void halo__port_flush(void)
{
    halo__not_callable();
    halo__check(halo_sender_flush(&halo__port), "the host broke the ring");
    if (server)
        server->flush();
}

bool halo__port_take(void)
{
    struct halo_answer answer;
    bool any = false;
    int got;

    do {
        struct halo_op *op;

        got = halo_sender_poll(&halo__port, &answer);
        if (got <= 0)
            break;
        op = (struct halo_op *)(uintptr_t)answer.context;
        halo__trace(HALO_EVENT_ANSWERED, halo_token_id(answer.token), 0);
        if (!op->answered(op, &answer))
            (void)halo_answer_free(&halo__port, &answer);
        any = true;
    } while (halo__port.stats.in_flight > 0 || halo__port.answered > 0);
    halo__check(got, "the host broke the ring");
    halo__port_came += any;
    return any;
}

static bool serve(uint32_t inside)
{
    const bool any = server && !is_silent && server->serve(inside);

    halo__port_came += any;
    return any;
}

/* Everything that can go out does. Returns whether something came meanwhile. */
static inline bool send_all(void)
{
    const uint32_t came = halo__port_came;

    for (uint32_t i = 0; before_wait[i]; i++)
        before_wait[i]();
    halo__port_flush();
    return halo__port_came != came;
}

static void (*around)(bool leaves);

void halo__port_around(void (*function)(bool leaves))
{
    around = function;
}

__attribute__((noinline)) static void wait_and_keep(enum halo_wait_for what, uint64_t ns)
{
    around(true);
    halo__doorbell(HALO_DOORBELL_WAIT, what, ns);
    around(false);
}

static inline void wait_at_host(enum halo_wait_for what, uint64_t ns)
{
    halo__port_unseen = false;
    if (around)
        wait_and_keep(what, ns);
    else
        halo__doorbell(HALO_DOORBELL_WAIT, what, ns);
}

static bool has_news(const void *nothing)
{
    (void)nothing;
    return halo_driver_has_next(&halo__port.driver) || (server && !is_silent && server->has_news());
}

/* Of a host that serves the guest while it runs: whether it has something soon. */
__attribute__((noinline)) static bool comes_soon(void)
{
    return halo__patience_look(&patience, __builtin_ia32_rdtsc(), has_news, NULL);
}

/* Leave the guest until something has come, unless it has. */
static inline void leave(enum halo_wait_for what, uint32_t inside)
{
    if (patience.most && comes_soon())
        return;
    const bool answers = halo__port.answered > 0 || halo_driver_arm(&halo__port.driver);
    const bool calls = server && !is_silent && server->arm(inside);

    if (!answers && !calls)
        wait_at_host(what, 0);
}

void halo__port_silence(bool silence)
{
    is_silent = silence;
}

void halo__port_sleep(int64_t ns)
{
    if (halo__on_stacks()) { /* nothing comes by them that was not waited for */
        halo__doorbell(HALO_DOORBELL_WAIT, HALO_WAIT_ANSWER, (uint64_t)ns);
        return;
    }
    send_all();
    if (!halo__port_take())
        wait_at_host(HALO_WAIT_ANSWER, (uint64_t)ns);
    (void)halo__port_take();
}

void halo__port_wait(void)
{
    waits++;
    if (!send_all()) {
        do
            leave(HALO_WAIT_ANSWER, waits);
        while (!halo__port_take() && !serve(waits));
    }
    waits--;
}

/* Is the ring free for any request beyond what is reserved for others? */
static bool has_room(void)
{
    if (halo_sender_room(&halo__port) >= halo__port_reserved + CHAIN_MAX ||
        halo__port_reserved == 0)
        return true;
    (void)halo_sender_reclaim(&halo__port);
    return halo_sender_room(&halo__port) >= halo__port_reserved + CHAIN_MAX;
}

void halo__port_submit(struct halo_send *send, struct halo_op *op)
{
    struct halo_token token;
    int error;

    halo__not_callable();
    while (!has_room())
        halo__port_wait();
    while ((error = halo_send_submit(send, (uintptr_t)op, &token)) == HALO_EFULL)
        halo__port_wait();
    halo__check(error, "the ring refuses a request");
    halo__trace(HALO_EVENT_SUBMIT, halo_token_id(token), 0);
}

void halo__port_request(const void *bytes, size_t len, uint64_t answer_len, struct halo_op *op)
{
    struct halo_token token;
    int error;

    halo__not_callable();
    while (!has_room())
        halo__port_wait();
    while ((error = halo_sender_request(&halo__port, bytes, len, answer_len, (uintptr_t)op,
                                        &token)) == HALO_EFULL ||
           error == HALO_ENOMEM)
        halo__port_wait();
    halo__check(error, "the ring refuses a request");
    halo__trace(HALO_EVENT_SUBMIT, halo_token_id(token), 0);
}

bool halo__port_is_called(void)
{
    return halo__port_unseen ||
           (server && !is_silent && (server->has_put_off(waits) || server->has_news()));
}

/* A host on the same thread listens for no notification: it is left for. */
void halo__port_upcall(void (*before)(void))
{
    while (serve(waits))
        continue;
    before();
    if (!halo__port_unseen)
        return;
    halo__port_unseen = false;
    halo__port_flush();
    halo__doorbell(HALO_DOORBELL_KICK, HALO_QUEUE_H2G, 0);
}

/* --- Stacks ----------------------------------------------------------------------------------- */

static void serve_popped(struct halo__popped *popped)
{
    if (!server)
        halo_panic("the host sent a malformed call"); /* this program exports nothing */
    server->serve_popped(popped);
}

void halo__port_exchange(struct halo__popped *answer)
{
    for (;;) {
        halo__doorbell(HALO_DOORBELL_PUSHED, 0, 0);
        if (!halo__stack_pop(answer))
            halo_panic("the host pushed nothing");
        if (answer->message.kind != HALO_KIND_CALL)
            return;
        serve_popped(answer);
    }
}

/* The answer to one call is what waits for the next. */
static void serve_stacks(const bool *over)
{
    struct halo__popped popped;

    halo__doorbell(HALO_DOORBELL_WAIT, HALO_WAIT_CALL, 0);
    while (!*over && halo__stack_pop(&popped)) {
        serve_popped(&popped);
        if (!*over)
            halo__doorbell(HALO_DOORBELL_PUSHED, 0, 0);
    }
}

void halo__port_serve(const bool *over)
{
    if (halo__on_stacks()) {
        if (!*over)
            serve_stacks(over);
        return;
    }
    while (!*over) {
        if (serve(0) || send_all())
            continue;
        leave(halo__port_kept > 0 ? HALO_WAIT_KEPT : HALO_WAIT_CALL, 0);
        (void)halo__port_take();
    }
}
