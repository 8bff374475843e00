/*
 * Memory of calls with rows: blocks that stay from call to call, and results that lie there until
 * the host has read them, while other calls are served.
 */
#include "../port.h"
#include "rows_result.h"

/* What is kept between calls at most. */
#define KEPT_MAX (2u << 20)

/* Results that the host has not read yet: those that are more than this part of the heap wait. */
#define LENT_PART 8u

static struct halo__kept payload;
struct halo__kept halo__result_kept;

/* --- Results that are lent -------------------------------------------------------------------- */

static uint32_t lent_count;
static uint64_t lent_all; /* bytes of them */

static uint64_t lent_max(void)
{
    return halo_boot_page()->heap_len / LENT_PART;
}

bool halo__rows_may_lend(size_t len)
{
    return lent_all + len <= lent_max();
}

void halo__rows_lend(size_t len)
{
    lent_all += len;
    lent_count++;
}

void halo__rows_take_back(unsigned char *memory, size_t len)
{
    lent_all -= len;
    lent_count--;
    halo__kept_give(&halo__result_kept, memory);
}

/* Wait until the host has read one. False: there is none. */
static bool settle(void)
{
    const uint32_t before = lent_count;

    while (before > 0 && lent_count >= before)
        halo__port_wait();
    return before > 0;
}

/* --- Blocks ----------------------------------------------------------------------------------- */

static unsigned char *kept_or_new(struct halo__kept *kept, size_t len)
{
    if (kept->used)
        return malloc(len);
    if (kept->len < len) {
        free(kept->memory);
        kept->memory = malloc(len);
        kept->len = kept->memory ? len : 0;
    }
    kept->used = kept->memory;
    return kept->memory;
}

unsigned char *halo__kept_take(struct halo__kept *kept, size_t len)
{
    unsigned char *memory;

    /* What is long comes when the results before it are out of the way. */
    while (len > lent_max() && settle())
        continue;
    do
        memory = kept_or_new(kept, len);
    while (!memory && settle());
    return memory;
}

void halo__kept_give(struct halo__kept *kept, unsigned char *memory)
{
    if (!memory || memory != kept->memory) {
        free(memory);
        return;
    }
    kept->used = false;
    if (kept->len > KEPT_MAX) {
        free(memory);
        kept->memory = NULL;
        kept->len = 0;
    }
}

unsigned char *halo__kept_replace(struct halo__kept *kept, unsigned char *memory, size_t used,
                                  size_t len)
{
    unsigned char *larger;

    do
        larger = malloc(len);
    while (!larger && settle());
    if (!larger)
        return NULL;
    memcpy(larger, memory, used);
    if (memory == kept->memory) {
        kept->memory = larger;
        kept->len = len;
    }
    free(memory);
    return larger;
}

unsigned char *halo__rows_memory(size_t len)
{
    return halo__kept_take(&payload, len);
}

void halo__rows_memory_free(unsigned char *memory)
{
    halo__kept_give(&payload, memory);
}

void halo__rows_give(unsigned char *memory)
{
    halo__kept_give(&halo__result_kept, memory);
}
