/*
 * All histories. From a fresh ring every operation of both sides is tried in every state, until no
 * new state turns up: what holds in all of them holds after any history, however long.
 *
 * A state is both sides' private memory and the shared memory, less what grows without end and
 * cannot matter: generations, the number of batches, and how far beyond the whole ring the
 * undecided positions reach. Beside it stands what a bystander knows: which chains are on their way
 * in which order, who sleeps, and which notification is pending.
 */
#include "pair.h"
#include <stdio.h>

#define N_MAX 3u

/* Chains in the order in which they will be seen. */
struct line {
    uint8_t count;
    uint8_t ids[N_MAX];
};

struct state {
    struct halo_driver driver;
    struct halo_device device;
    struct halo_driver_chain driver_chains[N_MAX];
    struct halo_device_chain device_chains[N_MAX];
    struct halo_desc ring[N_MAX];
    uint32_t driver_event, device_event;
    /* the bystander */
    struct line offered;   /* added, not yet taken */
    struct line published; /* how many of them the device may see: only the count is used */
    struct line finished;  /* completed, not yet polled */
    struct line visible;   /* how many of them the driver may see */
    uint8_t slots[N_MAX];  /* by id, of the chains that are out */
    bool device_sleeps, driver_sleeps, kicked, notified;
};

static struct pair *p;
static bool with_events;

/* --- The set of states ----------------------------------------------------------------------- */

static struct state *states;
static uint32_t *table, state_count, state_room, table_mask;

static void states_open(void)
{
    state_room = 1u << 16;
    table_mask = (1u << 18) - 1;
    states = malloc(state_room * sizeof(*states));
    table = calloc(table_mask + 1u, sizeof(*table));
    state_count = 0;
}

static void states_close(void)
{
    free(states);
    free(table);
}

static uint32_t hash(const struct state *state)
{
    const unsigned char *bytes = (const unsigned char *)state;
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < sizeof(*state); i += 4) {
        uint32_t word;

        memcpy(&word, bytes + i, 4);
        h = (h ^ word) * 1099511628211u;
        h ^= h >> 29;
    }
    return (uint32_t)(h >> 16);
}

static void insert(uint32_t index)
{
    uint32_t at = hash(&states[index]) & table_mask;

    while (table[at])
        at = (at + 1) & table_mask;
    table[at] = index + 1;
}

static void add_state(const struct state *state)
{
    for (uint32_t at = hash(state) & table_mask; table[at]; at = (at + 1) & table_mask) {
        if (memcmp(&states[table[at] - 1], state, sizeof(*state)) == 0)
            return;
    }
    if (state_count == state_room) {
        state_room *= 2;
        states = realloc(states, state_room * sizeof(*states));
        free(table);
        table_mask = 4 * state_room - 1;
        table = calloc(table_mask + 1u, sizeof(*table));
        for (uint32_t i = 0; i < state_count; i++)
            insert(i);
    }
    states[state_count] = *state;
    insert(state_count++);
}

/* --- One state, in and out of the pair ------------------------------------------------------- */

static struct state now; /* the bystander's part is kept here while an operation runs */

static void enter(const struct state *state)
{
    const size_t size = p->size;

    now = *state;
    p->driver = now.driver;
    p->device = now.device;
    memcpy(p->driver_chains, now.driver_chains, size * sizeof(now.driver_chains[0]));
    memcpy(p->device_chains, now.device_chains, size * sizeof(now.device_chains[0]));
    memcpy(p->ring, now.ring, size * sizeof(now.ring[0]));
    p->driver_event->word = now.driver_event;
    p->device_event->word = now.device_event;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The slots from `from` to just before `to`, which is at most one lap ahead. */
static void mark(bool *live, struct halo_cursor from, struct halo_cursor to, uint32_t size)
{
    for (; from.slot != to.slot || from.phase != to.phase;
         from = halo_cursor_advance(from, 1, size))
        live[from.slot] = true;
}

static uint32_t taken_slots(uint32_t id)
{
    return halo_device_chain_slots(&now.device_chains[id]);
}

/* Take the pair's state, without what cannot matter. */
static void leave(void)
{
    const uint32_t size = p->size;
    uint16_t next[N_MAX] = {0};
    uint32_t free_ids = 0;
    bool live[N_MAX];
    struct halo_cursor from = halo_device_avail(&p->device);

    now.driver = p->driver;
    now.device = p->device;
    memcpy(now.driver_chains, p->driver_chains, size * sizeof(now.driver_chains[0]));
    memcpy(now.device_chains, p->device_chains, size * sizeof(now.device_chains[0]));
    memcpy(now.ring, p->ring, size * sizeof(now.ring[0]));
    now.driver_event = p->driver_event->word;
    now.device_event = p->device_event->word;

    for (uint32_t id = 0; id < size; id++) {
        struct halo_driver_chain *chain = &now.driver_chains[id];

        next[id] = chain->next;
        free_ids += halo_driver_chain_slots(chain) == 0;
        chain->next = 0;
        chain->batch = halo_driver_chain_slots(chain) && chain->batch == now.driver.batch;
        chain->capacity = chain->slots ? chain->capacity : 0;
        now.device_chains[id].token &= HALO_TOKEN_FREE | UINT16_MAX;
        now.device_chains[id].capacity =
            now.device_chains[id].slots ? now.device_chains[id].capacity : 0;
    }
    /* The last free id's `next` is never followed. */
    for (uint32_t i = 0, id = now.driver.free_id; i + 1 < free_ids; i++) {
        now.driver_chains[id].next = next[id];
        id = next[id];
    }
    if (free_ids == 0)
        now.driver.free_id = 0;
    /* Where the newest chain cannot go back any more, all that matters is that its id is free. */
    if (with_events || taken_slots(now.device.newest) == 0) {
        for (now.device.newest = 0; now.device.newest + 1u < size; now.device.newest++) {
            if (with_events || taken_slots(now.device.newest) == 0)
                break;
        }
    } else {
        from = halo_cursor_retreat(from, taken_slots(now.device.newest), size);
    }
    /* Of a slot that holds neither a chain to be taken nor a used entry, only the phase matters;
       the newest chain may be put back. */
    memset(live, 0, sizeof(live));
    mark(live, from, halo_at_cursor(p->driver.avail, &p->place), size);
    mark(live, halo_driver_used(&p->driver), halo_at_cursor(p->device.used, &p->place), size);
    for (uint32_t slot = 0; slot < size; slot++) {
        now.ring[slot].addr = RAM_BASE;
        if (!live[slot])
            now.ring[slot].meta &= halo_meta(0, 0, HALO_PHASE_MASK);
    }
    now.driver.batch = 1;
    now.driver.batch_meta = now.driver.staged ? now.driver.batch_meta : 0;
    now.device.batch_meta = now.device.staged ? now.device.batch_meta : 0;
    now.driver.unannounced = with_events ? least(now.driver.unannounced, 2 * size) : 0;
    now.device.unannounced = with_events ? least(now.device.unannounced, 2 * size) : 0;
}

/* --- What must hold everywhere --------------------------------------------------------------- */

static void check(void)
{
    uint32_t out = 0, taken = 0;

    assert_int_equal(p->driver.violation.reason, HALO_BROKEN_NOT);
    assert_int_equal(p->device.violation.reason, HALO_BROKEN_NOT);
    for (uint32_t id = 0; id < p->size; id++) {
        out += now.slots[id];
        taken += halo_device_chain_slots(&p->device_chains[id]);
        assert_int_equal(halo_driver_chain_slots(&p->driver_chains[id]), now.slots[id]);
    }
    assert_int_equal(out + halo_driver_room(&p->driver), p->size); /* U6 */
    assert_int_equal(taken, halo_device_in_flight(&p->device));
    assert_true(taken + p->device.staged <= out);

    /* Nobody sleeps on work that everybody else is done with. */
    if (now.device_sleeps && !now.kicked && p->driver.unannounced == 0)
        assert_int_equal(now.published.count, 0);
    if (now.driver_sleeps && !now.notified && p->device.unannounced == 0)
        assert_int_equal(now.visible.count, 0);
}

static uint8_t pop(struct line *line)
{
    uint8_t first = line->ids[0];

    assert_true(line->count > 0);
    line->count--;
    memmove(line->ids, line->ids + 1, N_MAX - 1);
    line->ids[N_MAX - 1] = 0;
    return first;
}

static void push(struct line *line, uint32_t id)
{
    assert_true(line->count < N_MAX);
    line->ids[line->count++] = (uint8_t)id;
}

/* --- Operations: each returns whether it was possible ---------------------------------------- */

static bool driver_adds(uint32_t slots)
{
    const struct halo_buf bufs[N_MAX] = {{RAM_BASE, 1}, {RAM_BASE, 1}, {RAM_BASE, 1}};
    int id = halo_driver_add(&p->driver, bufs, slots - 1, 1);

    assert_int_equal(id >= 0, slots <= now.driver.free_slots);
    if (id < 0)
        return false;
    assert_int_equal(now.slots[id], 0);
    now.slots[id] = (uint8_t)slots;
    push(&now.offered, (uint32_t)id);
    return true;
}

static bool driver_publishes(void)
{
    halo_driver_publish(&p->driver);
    now.published.count = now.offered.count;
    return true;
}

static bool driver_polls(void)
{
    struct halo_used used = {0};
    int got = halo_driver_poll(&p->driver, &used);

    assert_int_equal(got, now.visible.count > 0);
    if (got == 0)
        return false;
    assert_int_equal(used.id, pop(&now.finished));
    assert_int_equal(used.len, used.id % 2);
    now.visible.count--;
    now.slots[used.id] = 0;
    return true;
}

static bool device_polls(void)
{
    int got = take(p);
    uint8_t id;

    assert_int_equal(got, now.published.count > 0);
    if (got == 0)
        return false;
    id = pop(&now.offered);
    now.published.count--;
    assert_int_equal(halo_token_id(p->chain.token), id);
    assert_int_equal(p->chain.slots, now.slots[id]);
    return true;
}

static bool device_completes(uint32_t id)
{
    struct halo_token token = {p->device_chains[id].token};
    bool in_flight = halo_device_chain_slots(&p->device_chains[id]) > 0;
    int error = halo_device_complete(&p->device, token, id % 2);

    assert_int_equal(error, in_flight ? 0 : HALO_ESTALE);
    if (error == 0)
        push(&now.finished, id);
    return error == 0;
}

static bool device_publishes(void)
{
    halo_device_publish(&p->device);
    now.visible.count = now.finished.count;
    return true;
}

static bool device_rewinds(void)
{
    const struct halo_token newest = {p->device_chains[p->device.newest].token};

    if (halo_device_rewind(&p->device, newest) != 0)
        return false;
    memmove(now.offered.ids + 1, now.offered.ids, N_MAX - 1);
    now.offered.ids[0] = (uint8_t)halo_token_id(newest);
    now.offered.count++;
    now.published.count++;
    return true;
}

static bool driver_decides(void)
{
    now.kicked |= halo_driver_should_kick(&p->driver);
    return true;
}

static bool device_decides(void)
{
    now.notified |= halo_device_should_notify(&p->device);
    return true;
}

static bool device_goes_to_sleep(void)
{
    bool work = halo_device_arm(&p->device);

    assert_int_equal(work, now.published.count > 0);
    now.device_sleeps = !work;
    return true;
}

static bool driver_goes_to_sleep(void)
{
    bool work = halo_driver_arm(&p->driver);

    assert_int_equal(work, now.visible.count > 0);
    now.driver_sleeps = !work;
    return true;
}

/* Also without a kick: spurious wake-ups happen. */
static bool device_wakes(void)
{
    now.device_sleeps = now.kicked = false;
    halo_device_disarm(&p->device);
    return true;
}

static bool driver_wakes(void)
{
    now.driver_sleeps = now.notified = false;
    halo_driver_disarm(&p->driver);
    return true;
}

#define OPERATIONS (2 * N_MAX + 11)

static bool operate(uint32_t number)
{
    const bool driver_awake = !now.driver_sleeps, device_awake = !now.device_sleeps;

    if (number < N_MAX)
        return driver_awake && number < p->size && driver_adds(number + 1);
    number -= N_MAX;
    if (number < N_MAX)
        return device_awake && number < p->size && device_completes(number);
    switch (number - N_MAX) {
    case 0:
        return driver_awake && driver_publishes();
    case 1:
        return driver_awake && driver_polls();
    case 2:
        return device_awake && device_polls();
    case 3:
        return device_awake && device_publishes();
    case 4:
        return device_awake && !with_events && device_rewinds();
    case 5:
        return with_events && driver_awake && driver_decides();
    case 6:
        return with_events && device_awake && device_decides();
    case 7:
        return with_events && device_awake && p->device.staged == 0 && device_goes_to_sleep();
    case 8:
        return with_events && driver_awake && p->driver.staged == 0 && driver_goes_to_sleep();
    case 9:
        return with_events && device_wakes();
    default:
        return with_events && driver_wakes();
    }
}

/* From here everything that is out can come home. */
static void drain(void)
{
    driver_publishes();
    while (now.published.count > 0)
        device_polls();
    for (uint32_t id = 0; id < p->size; id++)
        device_completes(id);
    device_publishes();
    while (now.visible.count > 0)
        driver_polls();
    assert_int_equal(halo_driver_room(&p->driver), p->size);
    assert_int_equal(halo_device_in_flight(&p->device), 0);
}

static void search(uint32_t size, bool events)
{
    uint64_t steps = 0;

    with_events = events;
    p = pair_new(size);
    states_open();
    memset(&now, 0, sizeof(now));
    leave();
    add_state(&now);
    for (uint32_t i = 0; i < state_count; i++) {
        for (uint32_t number = 0; number < OPERATIONS; number++) {
            enter(&states[i]);
            if (!operate(number))
                continue;
            check();
            leave();
            add_state(&now);
            steps++;
        }
        enter(&states[i]);
        drain();
    }
    printf("             ring of %u%s: %u states, %llu steps\n", size, events ? " with events" : "",
           state_count, (unsigned long long)steps);
    states_close();
    pair_free(p);
}

static void every_history_of_a_ring_of_1_2_and_3(void **state)
{
    (void)state;
    search(1, false);
    search(2, false);
    search(3, false);
}

static void evt_08_every_history_with_sleeping_sides(void **state)
{
    (void)state;
    search(1, true);
    search(2, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_history_of_a_ring_of_1_2_and_3),
        cmocka_unit_test(evt_08_every_history_with_sleeping_sides),
    };

    return cmocka_run_group_tests_name("state space", tests, NULL, NULL);
}
