/* The boot page and the doorbell: see boot.h. */
#include "boot.h"
#include "trace.h"

/*
 * Says in the guest's file which contract it was built for, and how large a ring it can take: a
 * host looks before anything runs.
 */
static const struct {
    uint32_t name_len, len, type;
    char name[(sizeof(HALO_NOTE_NAME) + 3) / 4 * 4];
    uint32_t word;
} notes[] __attribute__((section(".note.halo"), used, aligned(4))) = {
    {sizeof(HALO_NOTE_NAME), sizeof(uint32_t), HALO_NOTE_ABI, HALO_NOTE_NAME, HALO_ABI_VERSION},
    {sizeof(HALO_NOTE_NAME), sizeof(uint32_t), HALO_NOTE_RING, HALO_NOTE_NAME,
     HALO_QUEUE_SIZE_MAX}};

static const struct {
    uint32_t name_len, len, type;
    char name[(sizeof(HALO_NOTE_NAME) + 3) / 4 * 4];
    uint32_t words[2];
} calls_note __attribute__((section(".note.halo"), used, aligned(4))) = {
    sizeof(HALO_NOTE_NAME),
    2 * sizeof(uint32_t),
    HALO_NOTE_CALLS,
    HALO_NOTE_NAME,
    {HALO_QUEUE_SIZE_MIN, 2 * HALO_CALLS_MAX}};

static const struct halo_boot *the_boot;
struct halo_upcall halo__upcall;
static uint64_t heap_len;

void halo__boot_take(const struct halo_boot *boot)
{
    the_boot = boot;
    heap_len = boot->heap_len;
    halo__trace_begin(boot);
    if (boot->magic != HALO_BOOT_MAGIC || boot->version != HALO_ABI_VERSION)
        halo_panic("this guest was built for another version of Halo");
}

const struct halo_boot *halo_boot_page(void)
{
    return the_boot;
}

struct halo__heap_more halo__heap_more;

uint64_t halo__heap_limit(uint64_t len)
{
    if (len > 0)
        heap_len = len;
    return heap_len;
}

void halo__doorbell(enum halo_doorbell op, uint64_t a, uint64_t b)
{
    void (*doorbell)(uint64_t, uint64_t, uint64_t) =
        (void (*)(uint64_t, uint64_t, uint64_t))(uintptr_t)the_boot->doorbell;

    halo__trace(HALO_EVENT_DOORBELL, op, a);
    doorbell(op, a, b);
    halo__trace_look(the_boot);
    halo__trace(HALO_EVENT_BACK, op, a);
}

_Noreturn void halo_panic(const char *text)
{
    for (;;)
        halo__doorbell(HALO_DOORBELL_PANIC, (uintptr_t)text, strlen(text));
}

struct halo_ring_place halo__boot_place(const struct halo_boot_queue *ring)
{
    return (struct halo_ring_place){
        .desc = halo_shm_share((void *)(uintptr_t)ring->desc),
        .driver_event = halo_shm_share((void *)(uintptr_t)ring->driver_event),
        .device_event = halo_shm_share((void *)(uintptr_t)ring->device_event),
        .size = ring->size,
    };
}

/*
 * What code calls that was compiled with a stack protector, as libraries are. It compares a word of
 * its frame with the one that fs finds (struct halo_thread).
 */
_Noreturn void __stack_chk_fail(void);

_Noreturn void __stack_chk_fail(void)
{
    halo_panic("the stack was smashed");
}
