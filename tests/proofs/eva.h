/*
 * What both Eva programs share: a ring in volatile memory, so that every load gives any value, as
 * if the other side rewrote everything between two instructions; and choices, each outcome of which
 * Eva follows on its own.
 */
#include <stdint.h>

/* The compiler's, byte by byte. */
static void copy_bytes(void *to, const void *from, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++)
        ((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
}
#define __builtin_memcpy copy_bytes

static volatile uint64_t any;

/* 0 to `last`, one by one. */
static uint32_t choose(uint32_t last)
{
    uint32_t choice = 0;

    while (choice < last && any)
        choice++;
    return choice;
}

/* A slot, one by one; or SLOT alone, where a run is of one. */
static uint32_t choose_slot(void)
{
#ifdef SLOT
    return SLOT;
#else
    return choose(SIZE - 1);
#endif
}

/* 0 to `last`, all at once. */
static uint32_t within(uint32_t last)
{
    return (uint32_t)(any % (last + 1));
}

/* Any id: those of the ring one by one, the others all at once. */
static uint16_t any_id(void)
{
    uint32_t id = choose(SIZE);

    return (uint16_t)(id < SIZE ? id : SIZE + within(0xffff - SIZE));
}

/* The id in a word that can be anything can be anything. So Eva can follow each id on its own. */
#define halo_meta_id halo_meta_id_of
#define halo_plain_id halo_plain_id_of
#define halo_bare_id halo_bare_id_of
#define halo_token_id halo_token_id_of
#include <halo/ring.h>
#undef halo_meta_id
#undef halo_plain_id
#undef halo_bare_id
#undef halo_token_id
#define halo_meta_id(meta) any_id()
#define halo_plain_id(word) any_id()
#define halo_bare_id(word) any_id()
#define halo_token_id(token) any_id()

const struct halo_desc halo_ring_latched;

static struct halo_desc desc[SIZE];
static struct halo_event driver_event, device_event;
static const struct halo_ring_place place = {desc, &driver_event, &device_event, SIZE};

/*
 * A place there in any lap, with the flags of available or of used descriptors. A cursor that moves
 * by more than one slot needs each slot to be followed on its own: how many are left is computed
 * from it, and Eva does not know of two values that one goes with the other.
 */
static struct halo_at any_at(uint32_t slot, bool used)
{
    const uint64_t phase = used ? HALO_META_PHASE : (uint64_t)HALO_DESC_AVAIL << 48;
    const struct halo_at at = {(struct halo_desc *)place.desc + slot,
                               phase ^ within(1) * HALO_META_PHASE};

    return at;
}

static bool at_is_sound(struct halo_at at)
{
    return at.desc >= (struct halo_desc *)place.desc &&
           at.desc < (struct halo_desc *)place.desc + SIZE;
}

/* Eva warns of the index unless it can show that the statement is true. */
static char one[1], verdict;
#define demand(statement) (verdict = one[(statement) ? 0 : 1])

uint64_t halo_shm_load_meta(const struct halo_desc *at)
{
    return *(const volatile uint64_t *)&at->meta;
}

/* Eva cannot compare the addresses of two variables as numbers; WP proves what this is made of. */
int halo_ring_place_check(const struct halo_ring_place *checked)
{
    (void)checked;
    return 0;
}

uint64_t halo_shm_load_addr(const struct halo_desc *at)
{
    return *(const volatile uint64_t *)&at->addr;
}

void halo_shm_stage_addr(struct halo_desc *at, uint64_t addr)
{
    *(volatile uint64_t *)&at->addr = addr;
}

void halo_shm_stage_meta(struct halo_desc *at, uint64_t meta)
{
    *(volatile uint64_t *)&at->meta = meta;
}

void halo_shm_publish_meta(struct halo_desc *at, uint64_t meta)
{
    *(volatile uint64_t *)&at->meta = meta;
}

uint32_t halo_shm_load_event(const struct halo_event *at)
{
    return *(const volatile uint32_t *)&at->word;
}

void halo_shm_store_event(struct halo_event *at, uint32_t word)
{
    *(volatile uint32_t *)&at->word = word;
}

void halo_shm_fence(void)
{
}
