/*
 * Both sides over one memory, and a hand that writes into it between any two of their accesses.
 *
 * Built from the ring's unchanged sources with HALO_SHM_TEST. The words that a side did load are
 * shown to its reference model: the two must agree on everything, whatever the hand did. No word is
 * loaded twice in a decision, and no store is made that the model does not want.
 */
#include "../model/pair.h"
#include "../model/model.h"

#define RING_SIZE_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct model_region regions[] = {{RAM_BASE, RAM_LEN, true, true},
                                              {ROM_BASE, ROM_LEN, true, false}};
static const struct model_config config = {5000, 4, 2, regions};

static struct world {
    struct pair *p;
    struct model_device device;
    struct model_driver driver;
} worlds[RING_SIZE_MAX];

static struct world *w;
static const uint8_t *input;
static size_t input_len;
static struct model_desc seen[RING_SIZE_MAX];
static bool meta_loaded[RING_SIZE_MAX], addr_loaded[RING_SIZE_MAX];
static enum { DRIVER, DEVICE } side; /* whose turn it is */
/* Stores of each side that either it or its model has made, and the other has not. */
static bool wanted[2][RING_SIZE_MAX];
static uint64_t wanted_meta[2][RING_SIZE_MAX];
static uint32_t event_loaded, event_word;

static uint32_t pick(uint32_t below)
{
    uint32_t value = 0;

    for (uint32_t rest = below - 1; rest > 0 && input_len > 0; rest >>= 8, input_len--)
        value = value << 8 | *input++;
    return value % below;
}

/* Now and then the hand writes. */
static void hand(void)
{
    struct halo_desc *desc;

    if (input_len == 0 || pick(8) != 7)
        return;
    desc = &w->p->ring[pick(w->p->size)];
    switch (pick(8)) {
    case 0:
        desc->meta ^= (uint64_t)1 << pick(64);
        break;
    case 1:
        desc->meta ^= (uint64_t)HALO_PHASE_MASK << 48;
        break;
    case 2:
        desc->meta = halo_meta(pick(16), (uint16_t)pick(w->p->size + 2), (uint16_t)pick(65536));
        break;
    case 3:
        desc->addr = RAM_BASE + pick(2 * RAM_LEN);
        break;
    case 4:
        desc->addr = (uint64_t)pick(UINT32_MAX) << 32 | pick(UINT32_MAX);
        break;
    case 5:
        w->p->driver_event->word = pick(UINT32_MAX);
        break;
    case 6:
        w->p->device_event->word = pick(UINT32_MAX);
        break;
    default:
        *desc = w->p->ring[pick(w->p->size)];
    }
}

static uint32_t slot_of(const HALO_SHARED struct halo_desc *desc)
{
    uint32_t slot = (uint32_t)((const struct halo_desc *)(uintptr_t)desc - w->p->ring);

    assert_true(slot < w->p->size);
    return slot;
}

uint64_t halo_shm_load_meta(const HALO_SHARED struct halo_desc *desc)
{
    uint32_t slot;
    uint64_t meta;

    if (desc == &halo_ring_latched) /* not shared */
        return 0;
    slot = slot_of(desc);
    hand();
    assert_false(meta_loaded[slot]);
    meta_loaded[slot] = true;
    meta = w->p->ring[slot].meta;
    seen[slot].len = halo_meta_len(meta);
    seen[slot].id = halo_meta_id(meta);
    seen[slot].flags = halo_meta_flags(meta);
    return meta;
}

uint64_t halo_shm_load_addr(const HALO_SHARED struct halo_desc *desc)
{
    uint32_t slot = slot_of(desc);

    hand();
    assert_true(meta_loaded[slot] && !addr_loaded[slot]);
    addr_loaded[slot] = true;
    seen[slot].addr = w->p->ring[slot].addr;
    return seen[slot].addr;
}

void halo_shm_stage_addr(HALO_SHARED struct halo_desc *desc, uint64_t addr)
{
    hand();
    w->p->ring[slot_of(desc)].addr = addr;
}

/* A store to a slot, by the side or by its model: the second must be that of the first. */
static void want(uint32_t slot, uint64_t meta)
{
    if (wanted[side][slot])
        assert_true(wanted_meta[side][slot] == meta);
    wanted_meta[side][slot] = meta;
    wanted[side][slot] = !wanted[side][slot];
}

static void nothing_is_wanted(void)
{
    for (uint32_t i = 0; i < w->p->size; i++)
        assert_false(wanted[side][i]);
}

static void store_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    uint32_t slot = slot_of(desc);

    hand();
    w->p->ring[slot].meta = meta;
    want(slot, meta);
}

void halo_shm_stage_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    store_meta(desc, meta);
}

void halo_shm_publish_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    store_meta(desc, meta);
}

uint32_t halo_shm_load_event(const HALO_SHARED struct halo_event *event)
{
    hand();
    event_loaded++;
    event_word = ((const struct halo_event *)(uintptr_t)event)->word;
    return event_word;
}

void halo_shm_store_event(HALO_SHARED struct halo_event *event, uint32_t word)
{
    hand();
    ((struct halo_event *)(uintptr_t)event)->word = word;
}

void halo_shm_fence(void)
{
    hand();
}

static void begin_decision(void)
{
    for (uint32_t i = 0; i < w->p->size; i++)
        seen[i] = (struct model_desc){UINT64_MAX, UINT32_MAX, UINT16_MAX, UINT16_MAX};
    memset(meta_loaded, 0, sizeof(meta_loaded));
    memset(addr_loaded, 0, sizeof(addr_loaded));
    event_loaded = 0;
}

static void restart(void)
{
    struct pair *p = w->p;

    memset(p->memory, 0, p->memory_len);
    halo_driver_init(&p->driver, &p->place, p->driver_chains);
    halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, 5000);
    model_device_reset(&w->device);
    model_driver_reset(&w->driver);
    memset(wanted, 0, sizeof(wanted));
}

static void driver_submits(void)
{
    struct model_element elements[6] = {{0}};
    struct halo_buf bufs[6];
    struct model_desc descs[6];
    uint32_t slots[6], readable = pick(4), writable = pick(4), addr, len;
    struct model_verdict verdict;
    int id;

    for (uint32_t i = 0; i < readable + writable; i++) {
        addr = RAM_BASE + pick(RAM_LEN);
        len = pick(300);
        bufs[i] = (struct halo_buf){addr, len};
        elements[i] = (struct model_element){addr, len, false};
    }
    id = halo_driver_add(&w->p->driver, bufs, readable, writable);
    verdict = model_driver_submit(&w->driver, (uint16_t)(id < 0 ? 0 : id), elements, readable,
                                  writable, slots, descs);
    assert_int_equal(id >= 0, verdict.outcome == MODEL_OK);
    for (uint32_t i = 0; id >= 0 && i < readable + writable; i++)
        want(slots[i], halo_meta(descs[i].len, (uint16_t)id, descs[i].flags));
    halo_driver_publish(&w->p->driver);
    nothing_is_wanted();
}

static void driver_polls(void)
{
    struct model_returned returned;
    struct model_verdict verdict;
    struct halo_used used;
    int got;

    got = halo_driver_poll(&w->p->driver, &used);
    verdict = model_driver_poll(&w->driver, seen, &returned);
    assert_int_equal(got == 1, verdict.outcome == MODEL_OK);
    assert_int_equal(got == 0, verdict.outcome == MODEL_EMPTY);
    if (got == 1)
        assert_true(used.id == returned.id && used.len == returned.len);
    if (got < 0)
        restart();
}

static void device_completes(uint32_t id, uint32_t written)
{
    struct halo_token token = {w->p->device_chains[id].token};
    struct model_desc desc;
    uint32_t slot;
    int error = halo_device_complete(&w->p->device, token, written);
    struct model_verdict verdict =
        model_device_complete(&w->device, (uint16_t)id, written, &slot, &desc);

    assert_int_equal(error == 0, verdict.outcome == MODEL_OK);
    if (error == 0)
        want(slot, halo_meta(desc.len, desc.id, desc.flags));
}

static void device_polls(void)
{
    struct pair *p = w->p;
    struct model_taken taken;
    struct model_verdict verdict;
    int got;

    halo_device_publish(&p->device); /* for the model a chain is over when it is completed */
    nothing_is_wanted();
    begin_decision();
    got = halo_device_poll(&p->device, &p->chain, p->spans, 4);
    verdict = model_device_poll(&w->device, seen, &taken);
    assert_int_equal(got == 1, verdict.outcome == MODEL_OK);
    assert_int_equal(got == 0, verdict.outcome == MODEL_EMPTY);
    assert_int_equal(got == HALO_EREJECT, verdict.outcome == MODEL_REJECT);
    if (got == 1) {
        assert_int_equal(halo_token_id(p->chain.token), taken.id);
        assert_true(p->chain.readable_len == taken.readable_len &&
                    p->chain.writable_len == taken.writable_len);
        for (uint32_t i = 0; i < taken.element_count; i++)
            assert_int_equal(p->spans[i].len, taken.elements[i].len);
    } else if (got == HALO_EREJECT) {
        struct model_desc desc;
        uint32_t slot;

        model_device_complete(&w->device, taken.id, 0, &slot, &desc);
        want(slot, halo_meta(desc.len, desc.id, desc.flags));
    } else if (got == HALO_EBROKEN) {
        restart();
    }
}

static void decide(void)
{
    struct model_event event;
    bool yes;

    event_word = 0;
    yes = side == DEVICE ? halo_device_should_notify(&w->p->device)
                         : halo_driver_should_kick(&w->p->driver);
    assert_true(event_loaded <= 1);
    event = (struct model_event){(uint16_t)event_word, (uint16_t)(event_word >> 16)};
    assert_int_equal(yes, side == DEVICE ? model_device_notify(&w->device, event)
                                         : model_driver_kick(&w->driver, event));
}

static void driver_acts(void)
{
    switch (pick(4)) {
    case 0:
        driver_submits();
        break;
    case 1:
        driver_polls();
        break;
    case 2:
        decide();
        break;
    default:
        halo_driver_arm(&w->p->driver);
    }
}

static void device_acts(void)
{
    switch (pick(5)) {
    case 0:
        device_polls();
        break;
    case 1:
        device_completes(pick(w->p->size), pick(600));
        break;
    case 2: /* what is decided upon was published, for the model knows no batches */
        halo_device_publish(&w->p->device);
        nothing_is_wanted();
        decide();
        break;
    case 3:
        halo_device_arm(&w->p->device);
        break;
    default:
        halo_device_publish(&w->p->device);
        nothing_is_wanted();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint32_t size;

    if (len < 2)
        return 0;
    size = *data % RING_SIZE_MAX + 1;
    input = data + 1;
    input_len = len - 1;
    w = &worlds[size - 1];
    if (!w->p) {
        w->p = pair_new(size);
        assert_true(model_device_init(&w->device, size, &config));
        assert_true(model_driver_init(&w->driver, size));
    }
    restart();
    while (input_len > 0) {
        side = pick(2) ? DEVICE : DRIVER;
        begin_decision();
        if (side == DRIVER)
            driver_acts();
        else
            device_acts();
        assert_int_equal(halo_driver_room(&w->p->driver), model_free_slots(&w->driver.queue));
        assert_int_equal(halo_device_in_flight(&w->p->device),
                         size - model_free_slots(&w->device.queue));
    }
    return 0;
}
