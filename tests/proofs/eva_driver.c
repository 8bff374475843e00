/*
 * The driver: from every state in which it can be, with whatever it reads, each operation makes no
 * run-time error and leaves such a state again. SIZE is the ring's; OPERATION, where it is given,
 * the only one that is tried.
 */
#include "eva.h"

#include "ring/driver.c"

static struct halo_driver driver;
static struct halo_driver_chain chains[SIZE];

/*
 * Every slot is free, or belongs to one chain; those of the chains of this batch are staged. Every
 * id that no chain has stands in the list of free ids once.
 */
static void check(void)
{
    bool listed[SIZE] = {0};
    uint32_t slots = 0, staged = 0, in_flight = 0, id = driver.free_id;

    for (uint32_t i = 0; i < SIZE; i++) {
        const uint32_t count = halo_driver_chain_slots(&chains[i]);

        slots += count;
        staged += chains[i].batch == driver.batch ? count : 0;
        in_flight += count ? 1 : 0;
    }
    demand(driver.free_slots == (driver.violation.reason ? 0 : SIZE - slots));
    demand(driver.staged == (driver.violation.reason ? 0 : staged));
    demand(driver.ids == (driver.violation.reason ? 0 : SIZE));
    for (uint32_t i = in_flight; i < SIZE; i++) {
        demand(id < SIZE);
        demand(halo_driver_chain_slots(&chains[id]) == 0 && !listed[id]);
        listed[id] = true;
        id = chains[id].next;
    }
    demand(at_is_sound(driver.avail));
    demand(at_is_sound(driver.published));
    demand(driver.violation.reason || at_is_sound(driver.used));
}

/* False where a choice was none. */
static bool begin(void)
{
    bool listed[SIZE] = {0};
    uint32_t slots = 0, free_ids = 0, last = SIZE;

    demand(halo_driver_init(&driver, &place, chains) == 0);
    check();
    driver.batch = 3;
    for (uint32_t id = 0; id < SIZE; id++) {
        uint32_t count = choose(SIZE - slots);
        bool is_staged = count > 0 && choose(1);

        const bool is_plain = count == 1 && choose(1);

        chains[id].capacity = (uint32_t)any;
        chains[id].limit = is_plain ? 1 + (any & (HALO_META_WRITE | UINT32_MAX)) : 0;
        chains[id].slots = (uint16_t)(is_plain ? 0 : count);
        chains[id].batch = is_staged ? driver.batch : within(2);
        chains[id].next = (uint16_t)any;
        driver.staged += is_staged ? count : 0;
        slots += count;
        free_ids += count == 0 ? 1 : 0;
    }
    driver.free_slots = SIZE - slots;
    driver.free_id = (uint16_t)any;
    for (; free_ids > 0; free_ids--) {
        uint32_t id = choose(SIZE - 1);

        if (halo_driver_chain_slots(&chains[id]) || listed[id])
            return false;
        listed[id] = true;
        if (last == SIZE)
            driver.free_id = id;
        else
            chains[last].next = (uint16_t)id;
        last = id;
    }
    (void)halo_driver_extend(&driver, within(HALO_FEATURES_ALL + 1));
    driver.avail = any_at(within(SIZE - 1), false);
    driver.published = any_at(within(SIZE - 1), false);
    driver.used = any_at(choose_slot(), true);
    driver.batch_meta = any;
    driver.unannounced = any;
    driver.failed = within(SIZE);
    if (choose(1)) {
        driver.violation.reason = HALO_BROKEN_STOPPED;
        driver.stopped = driver.used;
        driver.used = halo_at_latched();
        driver.ids = 0;
        driver.free_slots = 0;
        driver.staged = 0;
        driver.unannounced = 0;
    }
    return true;
}

/* A number of buffers: those that may fit one by one, the others all at once. */
static uint32_t any_count(void)
{
    uint32_t count = choose(SIZE + 1);

    return count <= SIZE ? count : SIZE + 1 + within(UINT32_MAX - SIZE - 2);
}

int main(void)
{
    static const unsigned char bytes[HALO_INLINE_REQUEST_MAX] = {1, 2, 3};
    struct halo_buf bufs[SIZE];
    struct halo_used used;
    uint32_t readable;
    uint16_t id;

    for (uint32_t i = 0; i < SIZE; i++)
        bufs[i] = (struct halo_buf){any, (uint32_t)any};
    if (!begin())
        return 0;
#ifdef OPERATION
    switch (OPERATION) {
#else
    switch (choose(9)) {
#endif
    case 0:
        readable = any_count();
        halo_driver_add(&driver, bufs, readable, any_count());
        break;
    case 1:
        halo_driver_publish(&driver);
        break;
    case 2:
        halo_driver_should_kick(&driver);
        break;
    case 3:
        if (halo_driver_poll(&driver, &used) == 1)
            demand(used.id < SIZE);
        break;
    case 4:
        halo_driver_arm(&driver);
        break;
    case 5:
        halo_driver_disarm(&driver);
        break;
    case 6:
        halo_driver_stop(&driver);
        break;
    case 7:
        halo_driver_fail(&driver, &id);
        break;
    case 8:
        halo_driver_add_inline(&driver, bytes, within(HALO_INLINE_REQUEST_MAX + 1), bufs,
                               any_count());
        break;
    case 9:
        demand(halo_driver_init(&driver, &place, chains) == 0);
        break;
    }
    check();
    return 0;
}
