/*
 * What all of the guest's runtime stands on: the boot page, the doorbell, and the ends of a guest
 * that cannot go on. It needs nothing but the memory functions.
 */
#ifndef HALO_SRC_GUEST_BOOT_H
#define HALO_SRC_GUEST_BOOT_H

#include <halo/guest.h>
#include <halo/ring.h>

/* Remember the boot page. Does not return where the host is of another version. */
void halo__boot_take(const struct halo_boot *boot);

/* Leave the guest. Returns when the host lets it go on, with all registers that a function must
 * keep. */
void halo__doorbell(enum halo_doorbell op, uint64_t a, uint64_t b);

/*
 * Memory of malloc's: the heap of the boot page, or with a length above 0 only so much of it from
 * now on; then the rest is the program's own. Returns how much it is.
 */
uint64_t halo__heap_limit(uint64_t len);

/*
 * Where long pieces come from when that is not all of the heap and has no room for them: NULL, or
 * memory aligned to 16 bytes; and back. Where nobody has set it, from nowhere.
 */
struct halo__heap_more {
    void *(*take)(uint64_t len);
    void (*give)(void *memory, uint64_t len);
};

extern struct halo__heap_more halo__heap_more;

/* The host may call at any instruction where `may` says so (upcall.c); else it is as it begins. */
extern struct halo_upcall halo__upcall;

/* Here it must not, for this would be found in the middle of something. */
static inline void halo__not_callable(void)
{
    if (__builtin_expect(halo__shm_load_stopped(&halo__upcall.may) == HALO_UPCALL_MAY, 0))
        halo_panic("the program used Halo between halo_callable(true) and halo_callable(false)");
}

/* End the guest where the host has broken a rule, or offers what cannot be used. */
static inline void halo__check(int error, const char *what)
{
    if (error < 0)
        halo_panic(what);
}

/* Where a ring of the boot page lies. */
struct halo_ring_place halo__boot_place(const struct halo_boot_queue *ring);

static inline bool halo__on_stacks(void)
{
    return halo_boot_page()->transport == HALO_TRANSPORT_STACK;
}

#endif
