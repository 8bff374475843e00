/*
 * Shared memory: the one place that touches it.
 *
 * A ring lives in memory that an untrusted peer writes at any time. Everything Halo does with such
 * memory goes through the functions below, and nothing outside this header has an atomic, a
 * volatile or a cast of a guest address for it. (A host's threads have atomics among themselves, in
 * src/host/owner.h, budget.c, runner.h, runner.c and machine/stop.h.) Each function touches a word
 * exactly once.
 *
 * A descriptor is handled as two 64-bit words: `addr`, and `meta`, which packs len, id and flags.
 * The flags decide who owns a descriptor, so one load of `meta` gives the owner's word together
 * with everything it says: the check and the use can never see different values.
 *
 * Two flavours, chosen at compile time:
 *  - the default, for hosts and guests: loads and stores of this file, inlined;
 *  - HALO_SHM_TEST: the word functions are external, and a test supplies them, so that each access
 *    can be scheduled, answered with a lie, or counted.
 * Translation of guest addresses exists on the host alone; in a guest an address is a pointer.
 *
 * Pointers into shared memory carry HALO_SHARED: clang (noderef) and sparse (an address space)
 * then refuse a direct access. gcc ignores it.
 */
#ifndef HALO_SHM_H
#define HALO_SHM_H

#include <halo/language.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__CHECKER__)
#define HALO_SHARED __attribute__((noderef, address_space(__halo_shared)))
#define HALO_SHM_FORCE __attribute__((force))
#elif defined(__clang__)
#define HALO_SHARED __attribute__((noderef))
#define HALO_SHM_FORCE
#else
#define HALO_SHARED
#define HALO_SHM_FORCE
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Halo's shared structures are little-endian and are accessed without conversion"
#endif

#if __SIZEOF_POINTER__ != 8
#error "Halo needs a 64-bit target: its shared 64-bit words must each be a single access"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* virtio 1.2, 2.8.13: a descriptor on the wire, as the two words that are loaded and stored. */
struct halo_desc {
    uint64_t addr;
    uint64_t meta; /* len: bits 0-31, id: bits 32-47, flags: bits 48-63 */
};

/* virtio 1.2, 2.8.14: an event suppression structure, as the one word that is loaded and stored. */
struct halo_event {
    uint32_t word; /* off_wrap: bits 0-15, flags: bits 16-31 */
};

HALO_STATIC_ASSERT(sizeof(struct halo_desc) == 16, "a descriptor is 16 bytes");
HALO_STATIC_ASSERT(offsetof(struct halo_desc, meta) == 8, "len, id and flags follow addr");
HALO_STATIC_ASSERT(sizeof(struct halo_event) == 4, "an event structure is 4 bytes");

static inline uint64_t halo_meta(uint32_t len, uint16_t id, uint16_t flags)
{
    return (uint64_t)len | (uint64_t)id << 32 | (uint64_t)flags << 48;
}

static inline uint32_t halo_meta_len(uint64_t meta)
{
    return (uint32_t)meta;
}

static inline uint16_t halo_meta_id(uint64_t meta)
{
    return (uint16_t)(meta >> 32);
}

static inline uint16_t halo_meta_flags(uint64_t meta)
{
    return (uint16_t)(meta >> 48);
}

/* clang's thread sanitizer follows fences that it can see. gcc's knows none, and warns of each. */
#if defined(__clang__)
#define HALO_SHM_TSAN __has_feature(thread_sanitizer)
#else
#define HALO_SHM_TSAN 0
#endif

/* How many descriptors ahead halo_shm_prefetch asks: four cache lines. Measured: docs/bench.md. */
#define HALO_SHM_AHEAD 16u

#ifdef HALO_SHM_TEST

static inline void halo_shm_prefetch(const HALO_SHARED struct halo_desc *desc)
{
    (void)desc;
}

uint64_t halo_shm_load_meta(const HALO_SHARED struct halo_desc *desc);
uint64_t halo_shm_load_addr(const HALO_SHARED struct halo_desc *desc);
void halo_shm_stage_addr(HALO_SHARED struct halo_desc *desc, uint64_t addr);
void halo_shm_stage_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta);
void halo_shm_publish_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta);
uint32_t halo_shm_load_event(const HALO_SHARED struct halo_event *event);
void halo_shm_store_event(HALO_SHARED struct halo_event *event, uint32_t word);
void halo_shm_fence(void);

#else

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunknown-warning-option"
#pragma clang diagnostic ignored "-Wnoderef"
#endif

/*
 * Ask for the cache line of a descriptor HALO_SHM_AHEAD further on, which may lie behind the table:
 * only a hint, nothing is read. A descriptor that the other core has just written is far away, and
 * work on one is too long for the processor to look ahead to the next line by itself.
 */
static inline void halo_shm_prefetch(const HALO_SHARED struct halo_desc *desc)
{
    const uintptr_t at = (uintptr_t)(const HALO_SHM_FORCE struct halo_desc *)desc;

    __builtin_prefetch((const void *)(at + HALO_SHM_AHEAD * sizeof(struct halo_desc)));
}

/*
 * Load len, id and flags of a descriptor.
 * Acquire: pairs with halo_shm_publish_meta of the other side. Without it the address of this
 * descriptor, the rest of its chain, or the bytes of its buffers could be older than the flags.
 */
static inline uint64_t halo_shm_load_meta(const HALO_SHARED struct halo_desc *desc)
{
    return __atomic_load_n((const HALO_SHM_FORCE uint64_t *)&desc->meta, __ATOMIC_ACQUIRE);
}

/* Load the address. Relaxed: ordered after the load of meta by that load's acquire. */
static inline uint64_t halo_shm_load_addr(const HALO_SHARED struct halo_desc *desc)
{
    return __atomic_load_n((const HALO_SHM_FORCE uint64_t *)&desc->addr, __ATOMIC_RELAXED);
}

/* Store the address of a descriptor that is not published yet. Relaxed: see publish. */
static inline void halo_shm_stage_addr(HALO_SHARED struct halo_desc *desc, uint64_t addr)
{
    __atomic_store_n((HALO_SHM_FORCE uint64_t *)&desc->addr, addr, __ATOMIC_RELAXED);
}

/*
 * Store meta of a descriptor that the other side cannot reach yet, because the first descriptor of
 * the batch is still unpublished. Relaxed: the publish of that first descriptor orders it.
 */
static inline void halo_shm_stage_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    __atomic_store_n((HALO_SHM_FORCE uint64_t *)&desc->meta, meta, __ATOMIC_RELAXED);
}

/*
 * Store meta of a batch's first descriptor: this makes the whole batch visible.
 * Release: pairs with halo_shm_load_meta of the other side. Without it the peer could see the
 * flags before an address, a later descriptor, or the contents of a buffer.
 */
static inline void halo_shm_publish_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    __atomic_store_n((HALO_SHM_FORCE uint64_t *)&desc->meta, meta, __ATOMIC_RELEASE);
}

/* Load offset, wrap and flags of an event structure in one piece; the caller has fenced. */
static inline uint32_t halo_shm_load_event(const HALO_SHARED struct halo_event *event)
{
    return __atomic_load_n((const HALO_SHM_FORCE uint32_t *)&event->word, __ATOMIC_RELAXED);
}

/* Store offset, wrap and flags of an event structure in one piece; the caller fences. */
static inline void halo_shm_store_event(HALO_SHARED struct halo_event *event, uint32_t word)
{
    __atomic_store_n((HALO_SHM_FORCE uint32_t *)&event->word, word, __ATOMIC_RELAXED);
}

/*
 * Order an earlier store before a later load. Pairs with itself on the other side: one side
 * publishes, fences and reads the event word; the other writes the event word, fences and reads
 * the ring. Without either fence both may read the old value, and a wake-up is lost.
 */
#if !defined(__x86_64__) || HALO_SHM_TSAN
#pragma GCC diagnostic push
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"
#endif
static inline void halo_shm_fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
#pragma GCC diagnostic pop
#else
/* The same, where clang makes an mfence of it, which takes several times as long. */
static inline void halo_shm_fence(void)
{
    __asm__ volatile("lock addl $0, -4(%%rsp)" : : : "memory", "cc");
}
#endif

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

#endif /* HALO_SHM_TEST */

/*
 * Words between two threads of one side (halo/halves.h), in its own memory: the peer never sees
 * them. Each is written by one thread and read by the other. HALO_HALVES_TEST has them in the hands
 * of a test.
 */
#ifdef HALO_HALVES_TEST

uint64_t halo_shm_load_record(const uint64_t *record);
void halo_shm_store_record(uint64_t *record, uint64_t value);
uint16_t halo_shm_load_id(const uint16_t *id);
void halo_shm_store_id(uint16_t *id, uint16_t value);
uint32_t halo_shm_load_returned(const uint32_t *returned);
void halo_shm_store_returned(uint32_t *returned, uint32_t value);

#else

/*
 * Load what is known of an id in flight. Acquire: pairs with halo_shm_store_record, also where the
 * used entry comes of a device that guesses and orders nothing. Without it the reaping thread could
 * see an older state of what the submitting one has prepared for this id.
 */
static inline uint64_t halo_shm_load_record(const uint64_t *record)
{
    return __atomic_load_n(record, __ATOMIC_ACQUIRE);
}

/* Release: pairs with halo_shm_load_record of the reaping thread. */
static inline void halo_shm_store_record(uint64_t *record, uint64_t value)
{
    __atomic_store_n(record, value, __ATOMIC_RELEASE);
}

/* An id that came back. Relaxed, both: ordered by halo_shm_store_returned and its load. */
static inline uint16_t halo_shm_load_id(const uint16_t *id)
{
    return __atomic_load_n(id, __ATOMIC_RELAXED);
}

static inline void halo_shm_store_id(uint16_t *id, uint16_t value)
{
    __atomic_store_n(id, value, __ATOMIC_RELAXED);
}

/*
 * Load how many slots came back. Acquire: pairs with halo_shm_store_returned. Without it the
 * submitting thread could take an older id out of the ring of returned ones, or write to what the
 * reaping thread still reads for it.
 */
static inline uint32_t halo_shm_load_returned(const uint32_t *returned)
{
    return __atomic_load_n(returned, __ATOMIC_ACQUIRE);
}

/* Release: pairs with halo_shm_load_returned of the submitting thread. */
static inline void halo_shm_store_returned(uint32_t *returned, uint32_t value)
{
    __atomic_store_n(returned, value, __ATOMIC_RELEASE);
}

#endif /* HALO_HALVES_TEST */

/*
 * A word of a guest's own that its host looks at, and may change, when it has stopped the guest at
 * any instruction: no other thread does, and the compiler moves nothing across it.
 */
static inline uint64_t halo__shm_load_stopped(const uint64_t *word)
{
    const uint64_t value = __atomic_load_n(word, __ATOMIC_RELAXED);

    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return value;
}

static inline void halo__shm_store_stopped(uint64_t *word, uint64_t value)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* An address as a driver wrote it. It is a number: only halo_memory_span makes bytes of it. */
struct halo_gpa {
    uint64_t value;
};

/* What a device may do with a region. */
enum halo_right {
    HALO_MAY_READ = 1,
    HALO_MAY_WRITE = 2,
};

/* One piece of guest memory that a driver may name in a descriptor. `host` is where it is here. */
struct halo_region {
    uint64_t base;
    uint64_t len;
    HALO_SHARED unsigned char *host;
    uint32_t rights;
};

/* All such pieces, the one that is used most first. The caller owns the array. */
struct halo_memory {
    const struct halo_region *regions;
    uint32_t region_count;
};

/* Bytes of shared memory that were checked: inside one region, with the right that was asked for.
 */
struct halo_span {
    HALO_SHARED unsigned char *base;
    size_t len;
};

/* Why halo_memory_span refused. */
enum halo_span_error {
    HALO_SPAN_OK = 0,
    HALO_SPAN_RANGE = 1,      /* not wholly inside one region */
    HALO_SPAN_PERMISSION = 2, /* inside, but the region lacks the right */
};

/* A contract, proved by tests/proofs, as all comments of this form. Sums in it do not overflow. */
/*@ predicate halo_inside(struct halo_region region, integer address, integer len) =
        region.base <= address && address + len <= region.base + region.len;
*/

/*
 * Turn a guest address and a length above zero into bytes, or say why not. Never adds foreign
 * numbers: DEV-13, DEV-16.
 */
/*@ requires \valid_read(memory) && \valid(span);
    requires \valid_read(memory->regions + (0 .. memory->region_count - 1));
    requires \separated(span, memory, memory->regions + (0 .. memory->region_count - 1));
    assigns *span;
    ensures \result == HALO_SPAN_OK ==>
        \exists integer i; 0 <= i < memory->region_count &&
            halo_inside(memory->regions[i], gpa.value, len) &&
            (memory->regions[i].rights & right) != 0 && span->len == len &&
            span->base == memory->regions[i].host + (gpa.value - memory->regions[i].base);
    ensures \result == HALO_SPAN_PERMISSION ==>
        \exists integer i; 0 <= i < memory->region_count &&
            halo_inside(memory->regions[i], gpa.value, len) &&
            (memory->regions[i].rights & right) == 0;
    ensures \result == HALO_SPAN_RANGE ==>
        \forall integer i; 0 <= i < memory->region_count ==>
            !halo_inside(memory->regions[i], gpa.value, len);
    ensures \result != HALO_SPAN_OK ==> *span == \old(*span);
*/
static inline enum halo_span_error halo_memory_span(const struct halo_memory *memory,
                                                    struct halo_gpa gpa, uint32_t len,
                                                    enum halo_right right, struct halo_span *span)
{
    /*@ loop invariant 0 <= i <= memory->region_count;
        loop invariant \forall integer j; 0 <= j < i ==>
            !halo_inside(memory->regions[j], gpa.value, len);
        loop assigns i;
        loop variant memory->region_count - i;
    */
    for (uint32_t i = 0; i < memory->region_count; i++) {
        const struct halo_region *region = &memory->regions[i];
        uint64_t offset = gpa.value - region->base;

        if (gpa.value < region->base || len > region->len || offset > region->len - len)
            continue;
        if (!(region->rights & (uint32_t)right))
            return HALO_SPAN_PERMISSION;
        span->base = region->host + offset;
        span->len = len;
        return HALO_SPAN_OK;
    }
    return HALO_SPAN_RANGE;
}

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunknown-warning-option"
#pragma clang diagnostic ignored "-Wnoderef"
#endif

/* How long a copy may be that is made on the spot. */
#define HALO_COPY_SHORT 256u

/*
 * Copy 0 to HALO_COPY_SHORT bytes without a call, which takes longer than they do: pieces from the
 * front, and one from the end, where it may lie over the piece before it.
 */
static inline __attribute__((always_inline)) void halo_copy_short(void *to, const void *from,
                                                                  size_t len)
{
    const unsigned char *source = (const unsigned char *)from;
    unsigned char *target = (unsigned char *)to;

    if (len >= 32) {
        __builtin_memcpy(target, source, 32);
        for (size_t at = 32; at + 32 < len; at += 32)
            __builtin_memcpy(target + at, source + at, 32);
        __builtin_memcpy(target + len - 32, source + len - 32, 32);
    } else if (len >= 16) {
        __builtin_memcpy(target, source, 16);
        __builtin_memcpy(target + len - 16, source + len - 16, 16);
    } else if (len >= 8) {
        __builtin_memcpy(target, source, 8);
        __builtin_memcpy(target + len - 8, source + len - 8, 8);
    } else if (len >= 4) {
        __builtin_memcpy(target, source, 4);
        __builtin_memcpy(target + len - 4, source + len - 4, 4);
    } else if (len > 0) {
        target[0] = source[0];
        target[len / 2] = source[len / 2];
        target[len - 1] = source[len - 1];
    }
}

/* At most 8 bytes as a word, the first one lowest and what is missing 0; and out of such a word. */
static inline uint64_t halo_word_load(const void *from, size_t len)
{
    const unsigned char *source = (const unsigned char *)from;
    uint32_t low = 0, high = 0;
    uint64_t word;

    if (len >= 8) {
        __builtin_memcpy(&word, source, 8);
        return word;
    }
    if (len >= 4) {
        __builtin_memcpy(&low, source, 4);
        __builtin_memcpy(&high, source + len - 4, 4);
        return low | (uint64_t)high << (8 * (len - 4));
    }
    for (size_t i = 0; i < len; i++)
        low |= (uint32_t)source[i] << (8 * i);
    return low;
}

static inline void halo_word_store(void *to, uint64_t word, size_t len)
{
    unsigned char *target = (unsigned char *)to;

    if (len >= 8) {
        __builtin_memcpy(target, &word, 8);
    } else if (len >= 4) {
        const uint32_t low = (uint32_t)word, high = (uint32_t)(word >> (8 * (len - 4)));

        __builtin_memcpy(target, &low, 4);
        __builtin_memcpy(target + len - 4, &high, 4);
    } else {
        for (size_t i = 0; i < len; i++)
            target[i] = (unsigned char)(word >> (8 * i));
    }
}

/*
 * Copy from shared memory into private memory. The bytes are whatever the peer left there; what
 * matters is that they change no more. The empty asm keeps the compiler from reading the source
 * again when the copy is looked at (TOC-04, TOC-07).
 */
static inline void halo_shm_copy_in(void *to, const HALO_SHARED void *from, size_t len)
{
    __builtin_memcpy(to, (const HALO_SHM_FORCE void *)from, len);
    __asm__ volatile("" : : "r"(to) : "memory");
}

/* Copy from private memory into shared memory. Not ordered: a publish must follow. */
static inline void halo_shm_copy_out(HALO_SHARED void *to, const void *from, size_t len)
{
    __builtin_memcpy((HALO_SHM_FORCE void *)to, from, len);
}

/* The same for at most HALO_COPY_SHORT bytes. */
static inline void halo_shm_copy_in_short(void *to, const HALO_SHARED void *from, size_t len)
{
    halo_copy_short(to, (const HALO_SHM_FORCE void *)from, len);
    __asm__ volatile("" : : "r"(to) : "memory");
}

static inline void halo_shm_copy_out_short(HALO_SHARED void *to, const void *from, size_t len)
{
    halo_copy_short((HALO_SHM_FORCE void *)to, from, len);
}

/*
 * The same bytes as a plain pointer, for a caller that hands them to the operating system
 * (readv, writev) or that treats them as changing under its hands.
 */
static inline void *halo_shm_expose(HALO_SHARED void *shared)
{
    return (HALO_SHM_FORCE void *)shared;
}

/* Plain memory that is to become shared. */
static inline HALO_SHARED void *halo_shm_share(void *memory)
{
    return (HALO_SHM_FORCE HALO_SHARED void *)memory;
}

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
