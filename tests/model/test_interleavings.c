/*
 * Every interleaving of a driver and a device that sleep when they have nothing to do.
 *
 * Both sides are coroutines over the ring's unchanged sources (HALO_SHM_TEST). Each access to
 * shared memory stops in the scheduler, which lets one of them go on; a depth-first search makes
 * each choice once. Two memories: one where a store is seen at once, and one where stores wait in a
 * buffer per side, first in, first out, and reach the memory whenever the scheduler says, as on
 * x86. (Weaker memories are relacy's part: tests/relacy.)
 *
 * A state that was seen before is not gone into again. A side is known by what it has loaded since
 * it was last at the top of its loop, and by its private state there; with the memory, the buffers
 * and the pending calls this is the whole state. States are told apart by 128 bits of hash.
 *
 * With DEEP in the environment, rings of 3 with store buffers too, and one more chain.
 *
 * It fails when all that was submitted does not come home: with a side that sleeps on work, a chain
 * that is seen too early, twice, or not as it was written.
 */
#include "pair.h"
#include <stdio.h>
#include <ucontext.h>

#define STACK_LEN 65536u
#define STEPS_MAX 400u
#define BUFFERED_MAX 16u

/* Places in shared memory, and the two wake-up calls, which are no memory but order as much. */
enum { AT_EVENTS = 1000, DRIVER_EVENT = AT_EVENTS, DEVICE_EVENT, KICK, NOTICE };

enum kind { LOAD, STORE, FENCE, CALL, SLEEP, DONE };

struct access {
    enum kind kind;
    uint32_t where;
    uint64_t value; /* of a STORE */
};

enum { DRIVER, DEVICE, SIDES };

/* Who can move: the two sides, and the two store buffers (side + SIDES). */
#define MOVERS (2 * SIDES)

struct side {
    jmp_buf context;
    unsigned char *stack;
    uint64_t history[2]; /* what it knows, as a hash */
    struct access next;
    struct access buffer[BUFFERED_MAX];
    uint32_t buffered;
};

struct scenario {
    uint32_t size;
    uint32_t chains; /* in all */
    uint32_t slots;  /* of each */
    uint32_t batch;  /* chains that the driver adds before a publish */
    bool late;       /* the device completes all it has taken, the last one first */
    bool disarms;    /* event words say NEVER while a side is awake */
    bool spurious;   /* one wake-up comes that nobody sent */
};

static struct {
    struct scenario scenario;
    bool buffers; /* stores wait in a buffer */
    struct pair *p;
    struct side sides[SIDES];
    jmp_buf scheduler;
    uint32_t running;
    bool called[2];    /* KICK, NOTICE */
    uint32_t spurious; /* wake-ups that may still come from nowhere */
    const char *failure;
} w;

/* The path of the search: at each step who could move, and who did. */
static struct {
    uint8_t movable[STEPS_MAX], moved[STEPS_MAX];
    uint32_t depth;
    uint64_t runs, ends;
} path;

/* --- What has been seen ---------------------------------------------------------------------- */

static struct {
    uint64_t (*keys)[2];
    uint64_t mask, count;
} seen;

static void mix(uint64_t hash[2], uint64_t value)
{
    hash[0] = (hash[0] ^ value) * 0x9e3779b97f4a7c15u;
    hash[0] ^= hash[0] >> 32;
    hash[1] = (hash[1] + value) * 0xd6e8feb86659fd93u;
    hash[1] ^= hash[1] >> 29;
}

static void mix_bytes(uint64_t hash[2], const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i += 4) {
        uint32_t word = 0;

        memcpy(&word, (const unsigned char *)bytes + i, len - i < 4 ? len - i : 4);
        mix(hash, word);
    }
}

/* Returns whether the key is new, and keeps it. */
static bool see(const uint64_t key[2])
{
    uint64_t at = key[0] & seen.mask;

    for (; seen.keys[at][0] | seen.keys[at][1]; at = (at + 1) & seen.mask) {
        if (seen.keys[at][0] == key[0] && seen.keys[at][1] == key[1])
            return false;
    }
    if (seen.count++ > seen.mask / 2) {
        uint64_t(*old)[2] = seen.keys, old_count = seen.mask + 1;

        seen.mask = 4 * old_count - 1;
        seen.keys = calloc(4 * old_count, sizeof(*seen.keys));
        for (uint64_t i = 0; i < old_count; i++) {
            if (!(old[i][0] | old[i][1]))
                continue;
            at = old[i][0] & seen.mask;
            while (seen.keys[at][0] | seen.keys[at][1])
                at = (at + 1) & seen.mask;
            memcpy(seen.keys[at], old[i], sizeof(old[i]));
        }
        free(old);
        at = key[0] & seen.mask;
        while (seen.keys[at][0] | seen.keys[at][1])
            at = (at + 1) & seen.mask;
    }
    memcpy(seen.keys[at], key, sizeof(seen.keys[at]));
    return true;
}

/* --- In the coroutines ----------------------------------------------------------------------- */

static void stop_at(enum kind kind, uint32_t where, uint64_t value)
{
    struct side *side = &w.sides[w.running];

    side->next = (struct access){kind, where, value};
    mix(side->history, (uint64_t)kind << 32 | where);
    if (_setjmp(side->context) == 0)
        _longjmp(w.scheduler, 1);
}

/* At the top of its loop a side knows no more than it is told here. */
static void forget(void)
{
    w.sides[w.running].history[0] = w.sides[w.running].history[1] = 1;
}

static void know(const void *bytes, size_t len)
{
    mix_bytes(w.sides[w.running].history, bytes, len);
}

/* Only the first failure of a run is told; the run ends there. */
static void require(bool good, const char *what)
{
    if (good)
        return;
    if (!w.failure)
        w.failure = what;
    stop_at(DONE, 0, 0);
}

static uint64_t *word_at(uint32_t where)
{
    return where % 2 ? &w.p->ring[where / 2].meta : &w.p->ring[where / 2].addr;
}

static uint32_t place_of(const HALO_SHARED struct halo_desc *shared, bool meta)
{
    return (uint32_t)((const struct halo_desc *)(uintptr_t)shared - w.p->ring) * 2 + meta;
}

static uint32_t *event_at(uint32_t where)
{
    return where == DRIVER_EVENT ? &w.p->driver_event->word : &w.p->device_event->word;
}

static uint64_t in_memory(uint32_t where)
{
    return where >= AT_EVENTS ? *event_at(where) : *word_at(where);
}

static void into_memory(struct access store)
{
    if (store.where >= AT_EVENTS)
        *event_at(store.where) = (uint32_t)store.value;
    else
        *word_at(store.where) = store.value;
}

static uint64_t load(uint32_t where)
{
    struct side *side = &w.sides[w.running];
    uint64_t value;
    uint32_t i;

    stop_at(LOAD, where, 0);
    value = in_memory(where);
    for (i = 0; i < side->buffered; i++) {
        if (side->buffer[i].where == where)
            value = side->buffer[i].value;
    }
    mix(side->history, value);
    return value;
}

static void store(uint32_t where, uint64_t value)
{
    struct side *side = &w.sides[w.running];

    stop_at(STORE, where, value);
    if (w.buffers)
        side->buffer[side->buffered++] = side->next;
    else
        into_memory(side->next);
}

uint64_t halo_shm_load_meta(const HALO_SHARED struct halo_desc *desc)
{
    return load(place_of(desc, true));
}

uint64_t halo_shm_load_addr(const HALO_SHARED struct halo_desc *desc)
{
    return load(place_of(desc, false));
}

void halo_shm_stage_addr(HALO_SHARED struct halo_desc *desc, uint64_t addr)
{
    store(place_of(desc, false), addr);
}

void halo_shm_stage_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    store(place_of(desc, true), meta);
}

void halo_shm_publish_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    store(place_of(desc, true), meta);
}

static uint32_t event_place(const HALO_SHARED struct halo_event *event)
{
    return event == w.p->place.driver_event ? DRIVER_EVENT : DEVICE_EVENT;
}

uint32_t halo_shm_load_event(const HALO_SHARED struct halo_event *event)
{
    return (uint32_t)load(event_place(event));
}

void halo_shm_store_event(HALO_SHARED struct halo_event *event, uint32_t word)
{
    store(event_place(event), word);
}

void halo_shm_fence(void)
{
    stop_at(FENCE, 0, 0);
}

static void call(uint32_t which)
{
    stop_at(CALL, which, 0);
    w.called[which - KICK] = true;
}

static void sleep_until(uint32_t which)
{
    stop_at(SLEEP, which, 0);
    w.spurious -= !w.called[which - KICK];
    w.called[which - KICK] = false;
}

/* --- What they do ---------------------------------------------------------------------------- */

static uint64_t request(uint32_t number, uint32_t slot)
{
    return RAM_BASE + (number * 4 + slot) * 8;
}

static void driver_main(void)
{
    const struct scenario *s = &w.scenario;
    struct halo_driver *driver = &w.p->driver;
    uint32_t submitted = 0, home = 0, number_of[8] = {0};
    bool out[8] = {false};

    while (home < s->chains) {
        struct halo_used used;
        bool added = false, moved = false;

        forget();
        know(driver, sizeof(*driver));
        know(w.p->driver_chains, w.p->size * sizeof(*w.p->driver_chains));
        know((uint32_t[]){submitted, home}, 8);
        know(number_of, sizeof(number_of));
        for (uint32_t n = 0; n < s->batch && submitted < s->chains; n++) {
            struct halo_buf bufs[4];
            int id;

            for (uint32_t i = 0; i < s->slots; i++)
                bufs[i] = (struct halo_buf){request(submitted, i), 8};
            id = halo_driver_add(driver, bufs, 0, s->slots);
            if (id == HALO_EFULL)
                break;
            require(id >= 0 && !out[id], "an id was given twice");
            out[id] = added = true;
            number_of[id] = submitted++;
        }
        if (added) {
            halo_driver_publish(driver);
            if (halo_driver_should_kick(driver))
                call(KICK);
        }
        while (halo_driver_poll(driver, &used) == 1) {
            require(out[used.id], "a chain came back twice");
            require(used.len == number_of[used.id] + 1, "a chain came back with another's length");
            out[used.id] = false;
            number_of[used.id] = 0;
            moved = true;
            home++;
        }
        require(driver->violation.reason == 0, "the driver found the ring broken");
        if (added || moved || home == s->chains)
            continue;
        if (!halo_driver_arm(driver))
            sleep_until(NOTICE);
        if (s->disarms)
            halo_driver_disarm(driver);
    }
    stop_at(DONE, 0, 0);
}

static void device_main(void)
{
    const struct scenario *s = &w.scenario;
    struct halo_device *device = &w.p->device;
    struct halo_token tokens[8];
    uint32_t lens[8], taken = 0, count;

    while (taken < s->chains) {
        forget();
        know(device, sizeof(*device));
        know(w.p->device_chains, w.p->size * sizeof(*w.p->device_chains));
        know(&taken, sizeof(taken));
        count = 0;
        while (halo_device_poll(device, &w.p->chain, w.p->spans, 4) == 1) {
            const struct halo_chain *chain = &w.p->chain;

            require(chain->slots == s->slots, "a chain arrived in pieces");
            for (uint32_t i = 0; i < s->slots; i++)
                require(w.p->spans[i].base == w.p->regions[0].host + (request(taken, i) - RAM_BASE),
                        "a chain arrived out of turn, or with old addresses");
            tokens[count] = chain->token;
            lens[count++] = ++taken;
            if (!s->late)
                require(halo_device_complete(device, tokens[--count], taken) == 0, "complete");
        }
        require(device->violation.reason == 0, "the device found the ring broken");
        while (count > 0) {
            count--;
            require(halo_device_complete(device, tokens[count], lens[count]) == 0, "complete");
        }
        halo_device_publish(device);
        if (halo_device_should_notify(device))
            call(NOTICE);
        if (taken < s->chains) {
            if (!halo_device_arm(device))
                sleep_until(KICK);
            if (s->disarms)
                halo_device_disarm(device);
        }
    }
    stop_at(DONE, 0, 0);
}

/* --- The scheduler --------------------------------------------------------------------------- */

static bool can_move(uint32_t mover)
{
    const struct side *side = &w.sides[mover % SIDES];

    if (mover >= SIDES)
        return side->buffered > 0;
    switch (side->next.kind) {
    case LOAD:
        return true;
    case STORE:
        return side->buffered < BUFFERED_MAX;
    case FENCE:
    case CALL: /* a system call, or an exit from the VM */
        return side->buffered == 0;
    case SLEEP:
        return side->buffered == 0 && (w.called[side->next.where - KICK] || w.spurious > 0);
    case DONE:
        return false;
    }
    return false;
}

static void move(uint32_t mover)
{
    struct side *side = &w.sides[mover % SIDES];

    if (mover >= SIDES) {
        into_memory(side->buffer[0]);
        memmove(side->buffer, side->buffer + 1, --side->buffered * sizeof(side->buffer[0]));
        return;
    }
    w.running = mover;
    if (_setjmp(w.scheduler) == 0)
        _longjmp(side->context, 1);
}

static void start_side(uint32_t number, void (*entry)(void))
{
    struct side *side = &w.sides[number];
    ucontext_t first;

    side->buffered = 0;
    getcontext(&first);
    first.uc_stack.ss_sp = side->stack;
    first.uc_stack.ss_size = STACK_LEN;
    first.uc_link = NULL;
    makecontext(&first, entry, 0);
    w.running = number;
    if (_setjmp(w.scheduler) == 0)
        setcontext(&first);
}

static bool is_new_state(void)
{
    uint64_t key[2] = {1, 1};

    mix_bytes(key, w.p->memory, w.p->memory_len);
    mix(key, w.spurious * 4 + w.called[0] * 2u + w.called[1]);
    for (uint32_t i = 0; i < SIDES; i++) {
        const struct side *side = &w.sides[i];

        mix(key, side->history[0]);
        mix(key, side->history[1]);
        mix(key, side->buffered);
        mix_bytes(key, side->buffer, side->buffered * sizeof(side->buffer[0]));
    }
    return see(key);
}

/* One execution: along the path as far as it goes, then on with whoever may move first. */
static void run(void)
{
    struct pair *p = w.p;

    memset(p->memory, 0, p->memory_len);
    memset(p->device_chains, 0, p->size * sizeof(*p->device_chains));
    halo_driver_init(&p->driver, &p->place, p->driver_chains);
    halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, UINT32_MAX);
    w.called[0] = w.called[1] = false;
    w.spurious = w.scenario.spurious;
    w.failure = NULL;
    start_side(DRIVER, driver_main);
    start_side(DEVICE, device_main);
    for (uint32_t step = 0; !w.failure; step++) {
        if (step == path.depth) {
            uint32_t movable = 0;

            for (uint32_t i = 0; i < MOVERS; i++)
                movable |= can_move(i) ? 1u << i : 0;
            if (!movable) {
                if (w.sides[DRIVER].next.kind != DONE || w.sides[DEVICE].next.kind != DONE)
                    w.failure = "nobody can go on: a wake-up was lost";
                path.ends++;
                break;
            }
            if (!is_new_state())
                break;
            if (step == STEPS_MAX) {
                w.failure = "no end";
                break;
            }
            path.movable[step] = (uint8_t)movable;
            path.moved[step] = (uint8_t)__builtin_ctz(movable);
            path.depth++;
        }
        move(path.moved[step]);
    }
    path.runs++;
}

/* To the next path. False after the last. */
static bool next_path(void)
{
    for (; path.depth > 0; path.depth--) {
        uint32_t last = path.depth - 1;
        uint32_t rest = path.movable[last] & ~((2u << path.moved[last]) - 1);

        if (rest) {
            path.moved[last] = (uint8_t)__builtin_ctz(rest);
            return true;
        }
    }
    return false;
}

static uint64_t total_states, total_runs, total_scenarios;

static void explore(struct scenario scenario, bool buffers)
{
    w.scenario = scenario;
    w.buffers = buffers;
    w.p = pair_new(scenario.size);
    for (uint32_t i = 0; i < SIDES; i++)
        w.sides[i].stack = malloc(STACK_LEN);
    memset(&path, 0, sizeof(path));
    seen.mask = (1u << 12) - 1;
    seen.count = 0;
    seen.keys = calloc(seen.mask + 1, sizeof(*seen.keys));
    do {
        run();
        if (w.failure)
            fail_msg("ring of %u, %u chains of %u, batches of %u%s%s%s%s: %s, after %u accesses",
                     scenario.size, scenario.chains, scenario.slots, scenario.batch,
                     scenario.late ? ", last first" : "", scenario.disarms ? ", disarmed" : "",
                     scenario.spurious ? ", spurious wake-up" : "", buffers ? ", buffers" : "",
                     w.failure, path.depth);
    } while (next_path());
    total_states += seen.count;
    total_runs += path.runs;
    total_scenarios++;
    free(seen.keys);
    for (uint32_t i = 0; i < SIDES; i++)
        free(w.sides[i].stack);
    pair_free(w.p);
}

/* Every scenario of rings up to `size_max` and up to `chains_max` chains. */
static void explore_all(uint32_t size_max, uint32_t chains_max, bool buffers)
{
    struct scenario s;

    total_states = total_runs = total_scenarios = 0;
    for (s.size = 1; s.size <= size_max; s.size++) {
        for (s.chains = 1; s.chains <= chains_max; s.chains++) {
            for (s.slots = 1; s.slots <= s.size; s.slots++) {
                for (s.batch = 1; s.batch <= s.size / s.slots && s.batch <= s.chains; s.batch++) {
                    for (uint32_t flags = 0; flags < 8; flags++) {
                        s.late = (flags & 1) != 0;
                        s.disarms = flags & 2;
                        s.spurious = flags & 4;
                        explore(s, buffers);
                    }
                }
            }
        }
    }
    printf("             %llu scenarios, %llu states, %llu runs\n",
           (unsigned long long)total_scenarios, (unsigned long long)total_states,
           (unsigned long long)total_runs);
}

static void evt_07_evt_08_every_interleaving_where_a_store_is_seen_at_once(void **state)
{
    (void)state;
    explore_all(3, getenv("DEEP") ? 4 : 3, false);
}

static void evt_07_evt_08_every_interleaving_where_stores_wait_in_buffers(void **state)
{
    (void)state;
    explore_all(getenv("DEEP") ? 3 : 2, 3, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evt_07_evt_08_every_interleaving_where_a_store_is_seen_at_once),
        cmocka_unit_test(evt_07_evt_08_every_interleaving_where_stores_wait_in_buffers),
    };

    return cmocka_run_group_tests_name("interleavings", tests, NULL, NULL);
}
