/* The pool of equal buffers, against a plain list of what is taken. */
#include <halo/pool.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT 8u
#define BUF_LEN 64u

struct fixture {
    struct halo_pool pool;
    unsigned char *memory;    /* exactly as long as the pool */
    uint32_t next[COUNT + 1]; /* the last says "taken": whoever looks there is found out */
};

static int open_pool(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->memory = aligned_alloc(4096, 4096);
    f->next[COUNT] = UINT32_MAX;
    *state = f;
    return halo_pool_init(&f->pool, f->memory, BUF_LEN, COUNT, f->next);
}

static int close_pool(void **state)
{
    struct fixture *f = *state;

    free(f->memory);
    free(f);
    return 0;
}

/* --- Init ------------------------------------------------------------------------------------ */

static void assert_init_refused(void *base, uint32_t buf_len, uint32_t count)
{
    struct halo_pool pool, before;
    uint32_t next[COUNT] = {7, 6, 5, 4, 3, 2, 1, 0}, next_before[COUNT];

    memset(&pool, 0x5a, sizeof(pool));
    memcpy(&before, &pool, sizeof(pool));
    memcpy(next_before, next, sizeof(next));
    assert_int_equal(halo_pool_init(&pool, base, buf_len, count, next), HALO_EINVAL);
    assert_memory_equal(&pool, &before, sizeof(pool));
    assert_memory_equal(next, next_before, sizeof(next));
}

static void a_buffer_length_that_is_no_power_of_two_is_refused(void **state)
{
    const struct fixture *f = *state;
    const uint32_t bad[] = {0, 3, 5, 6, 7, 12, 63, 65, 100, 4095, 4097, 0x80000001, UINT32_MAX};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_init_refused(f->memory, bad[i], 1);
}

static void a_pool_of_no_buffers_or_of_too_many_is_refused(void **state)
{
    const struct fixture *f = *state;

    assert_init_refused(f->memory, BUF_LEN, 0);
    assert_init_refused(f->memory, BUF_LEN, UINT32_MAX);
    assert_init_refused(f->memory, 0, 0);
}

static void memory_that_is_not_aligned_to_the_buffer_length_is_refused(void **state)
{
    const struct fixture *f = *state;

    for (uint32_t buf_len = 2; buf_len <= 4096; buf_len *= 2) {
        for (uint32_t offset = 1; offset < buf_len; offset = 2 * offset + 1)
            assert_init_refused(f->memory + offset, buf_len, 1);
        assert_init_refused(f->memory + buf_len / 2, buf_len, 1);
    }
}

static void memory_that_is_not_there_or_runs_past_the_address_space_is_refused(void **state)
{
    struct halo_pool pool;
    uint32_t next;

    (void)state;
    assert_init_refused(NULL, BUF_LEN, COUNT);
    assert_init_refused((void *)(UINTPTR_MAX - COUNT * BUF_LEN + 1), BUF_LEN, COUNT);
    assert_init_refused((void *)(UINTPTR_MAX - 4095), 4096, 2);
    assert_int_equal(halo_pool_init(&pool, (void *)(UINTPTR_MAX - 8191), 4096, 1, &next), 0);
}

static void no_more_than_a_page_of_alignment_is_asked_for(void **state)
{
    /* Never touched: the pool leaves the buffers alone. */
    unsigned char *base = (unsigned char *)(uintptr_t)0x100001000;
    struct halo_pool pool;
    uint32_t next[2];

    (void)state;
    assert_init_refused(base + 2048, 8192, 2);
    assert_int_equal(halo_pool_init(&pool, base, 8192, 2, next), 0);
    assert_int_equal(halo_pool_init(&pool, base, 0x80000000, 2, next), 0);
    assert_int_equal(halo_pool_buf_len(&pool), 0x80000000);
    for (int i = 0; i < 2; i++) {
        uintptr_t offset = (uintptr_t)halo_pool_alloc(&pool) - (uintptr_t)base;

        assert_true(offset == 0 || offset == 0x80000000);
    }
    assert_null(halo_pool_alloc(&pool));
    assert_int_equal(halo_pool_free(&pool, base + 0x80000000), 0);
    assert_int_equal(halo_pool_free(&pool, base), 0);
}

static void every_power_of_two_up_to_2_gib_is_a_buffer_length(void **state)
{
    unsigned char *base = (unsigned char *)(uintptr_t)0x100000000;
    struct halo_pool pool;
    uint32_t next[3];

    (void)state;
    for (uint32_t shift = 0; shift < 32; shift++) {
        assert_int_equal(halo_pool_init(&pool, base, 1u << shift, 3, next), 0);
        assert_int_equal(halo_pool_buf_len(&pool), 1u << shift);
        assert_int_equal(pool.count, 3);
        assert_int_equal(pool.free_count, 3);
    }
}

/* --- Alloc and free -------------------------------------------------------------------------- */

static void all_buffers_can_be_had_are_apart_and_fill_the_memory(void **state)
{
    struct fixture *f = *state;
    bool seen[COUNT] = {false};

    for (uint32_t i = 0; i < COUNT; i++) {
        unsigned char *buf = halo_pool_alloc(&f->pool);
        size_t offset = (size_t)(buf - f->memory);

        assert_non_null(buf);
        assert_int_equal(offset % BUF_LEN, 0);
        assert_in_range(offset / BUF_LEN, 0, COUNT - 1);
        assert_false(seen[offset / BUF_LEN]);
        seen[offset / BUF_LEN] = true;
        assert_int_equal(f->pool.free_count, COUNT - 1 - i);
    }
    assert_null(halo_pool_alloc(&f->pool));
    assert_null(halo_pool_alloc(&f->pool));
    assert_int_equal(f->pool.free_count, 0);
    assert_int_equal(f->next[COUNT], UINT32_MAX); /* behind the bookkeeping */
}

static void the_buffer_that_was_freed_last_is_handed_out_first(void **state)
{
    struct fixture *f = *state;
    void *bufs[COUNT];

    for (uint32_t i = 0; i < COUNT; i++)
        bufs[i] = halo_pool_alloc(&f->pool);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(halo_pool_free(&f->pool, bufs[i * 3 % COUNT]), 0);
    for (uint32_t i = COUNT; i-- > 0;)
        assert_ptr_equal(halo_pool_alloc(&f->pool), bufs[i * 3 % COUNT]);
}

static void a_pool_of_one_buffer_works(void **state)
{
    unsigned char *memory = aligned_alloc(64, 64);
    struct halo_pool pool;
    uint32_t next;

    (void)state;
    assert_int_equal(halo_pool_init(&pool, memory, 64, 1, &next), 0);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(halo_pool_alloc(&pool), memory);
        assert_null(halo_pool_alloc(&pool));
        assert_int_equal(halo_pool_free(&pool, memory), 0);
        assert_int_equal(halo_pool_free(&pool, memory), HALO_EINVAL);
    }
    free(memory);
}

static void assert_free_refused(struct fixture *f, uintptr_t buf)
{
    struct fixture before;

    memcpy(&before, f, sizeof(before));
    assert_int_equal(halo_pool_free(&f->pool, (void *)buf), HALO_EINVAL);
    assert_memory_equal(&before, f, sizeof(before));
}

static void a_buffer_is_freed_once_only(void **state)
{
    struct fixture *f = *state;
    unsigned char *bufs[COUNT];

    for (uint32_t i = 0; i < COUNT; i++)
        assert_free_refused(f, (uintptr_t)f->memory + i * BUF_LEN); /* was never handed out */
    for (uint32_t i = 0; i < COUNT; i++)
        bufs[i] = halo_pool_alloc(&f->pool);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(halo_pool_free(&f->pool, bufs[i]), 0);
        for (uint32_t k = 0; k <= i; k++)
            assert_free_refused(f, (uintptr_t)bufs[k]);
    }
    assert_int_equal(f->pool.free_count, COUNT);
}

static void only_the_start_of_a_buffer_can_be_freed(void **state)
{
    struct fixture *f = *state;

    for (uint32_t i = 0; i < COUNT; i++)
        assert_non_null(halo_pool_alloc(&f->pool));
    for (uint32_t offset = 0; offset < COUNT * BUF_LEN; offset++) {
        if (offset % BUF_LEN)
            assert_free_refused(f, (uintptr_t)f->memory + offset);
    }
}

static void a_pointer_from_elsewhere_cannot_be_freed(void **state)
{
    struct fixture *f = *state;
    const uintptr_t base = (uintptr_t)f->memory, end = base + COUNT * BUF_LEN;
    const uintptr_t foreign[] = {
        0,
        1,
        base - 1,
        base - BUF_LEN,
        base - COUNT * BUF_LEN,
        end,
        end + BUF_LEN,
        end - 1,
        (uintptr_t)f,
        UINTPTR_MAX,
        UINTPTR_MAX - BUF_LEN + 1,
        base + ((uintptr_t)BUF_LEN << 32), /* its number has zeros in the low 32 bits */
        base ^ (UINTPTR_MAX / 2 + 1),
    };

    for (uint32_t i = 0; i < COUNT; i++)
        assert_non_null(halo_pool_alloc(&f->pool));
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        assert_free_refused(f, foreign[i]);
}

static void the_buffers_themselves_are_never_touched(void **state)
{
    struct fixture *f = *state;
    void *bufs[COUNT];

    memset(f->memory, 0xa5, 4096);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < COUNT; i++)
            bufs[i] = halo_pool_alloc(&f->pool);
        for (uint32_t i = 0; i < COUNT; i++)
            assert_int_equal(halo_pool_free(&f->pool, bufs[i]), 0);
    }
    for (uint32_t i = 0; i < 4096; i++)
        assert_int_equal(f->memory[i], 0xa5);
}

/* --- A million steps ------------------------------------------------------------------------- */

#define MANY 97u

/* What is taken, and what was freed in which order. Buffers that were never freed are in neither.
 */
struct list {
    bool taken[MANY];
    uint32_t freed[MANY], freed_count;
    uint32_t taken_count;
};

static void step(struct halo_pool *pool, unsigned char *base, struct list *list, uint32_t random)
{
    uint32_t index = (random >> 8) % MANY;

    if (random % 8 == 7) { /* a wrong pointer: into a buffer, or around all of them */
        unsigned char *wrong = random & 8 ? base + MANY * BUF_LEN : base + index * BUF_LEN + 1;

        assert_int_equal(halo_pool_free(pool, wrong), HALO_EINVAL);
    } else if (random % 8 < 3) {
        unsigned char *buf = halo_pool_alloc(pool);

        if (list->taken_count == MANY) {
            assert_null(buf);
            return;
        }
        assert_non_null(buf);
        index = (uint32_t)(buf - base) / BUF_LEN;
        assert_ptr_equal(buf, base + index * BUF_LEN);
        assert_in_range(index, 0, MANY - 1);
        assert_false(list->taken[index]);
        if (list->freed_count > 0)
            assert_int_equal(index, list->freed[--list->freed_count]);
        list->taken[index] = true;
        list->taken_count++;
    } else if (list->taken[index]) {
        assert_int_equal(halo_pool_free(pool, base + index * BUF_LEN), 0);
        list->taken[index] = false;
        list->taken_count--;
        list->freed[list->freed_count++] = index;
    } else {
        assert_int_equal(halo_pool_free(pool, base + index * BUF_LEN), HALO_EINVAL);
    }
}

static void a_million_random_steps_agree_with_a_list(void **state)
{
    unsigned char *memory = aligned_alloc(BUF_LEN, MANY * BUF_LEN);
    struct list list = {.taken_count = 0};
    struct halo_pool pool;
    uint32_t next[MANY], full = 0, empty = 0;
    uint64_t seed = 1;

    (void)state;
    assert_int_equal(halo_pool_init(&pool, memory, BUF_LEN, MANY, next), 0);
    for (int i = 0; i < 1000000; i++) {
        uint32_t random;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        random = (uint32_t)(seed >> 33);
        /* Now and then only one way for a while, so that both ends are reached. */
        if (i / 1000 % 3 == 1 && random % 8 < 6)
            random = random / 8 * 8;
        if (i / 1000 % 3 == 2 && random % 8 < 3)
            random += 3;
        step(&pool, memory, &list, random);
        assert_int_equal(pool.free_count, MANY - list.taken_count);
        full += list.taken_count == MANY;
        empty += list.taken_count == 0;
    }
    assert_true(full > 100 && empty > 100);
    free(memory);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_pool, close_pool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_buffer_length_that_is_no_power_of_two_is_refused),
        TEST(a_pool_of_no_buffers_or_of_too_many_is_refused),
        TEST(memory_that_is_not_aligned_to_the_buffer_length_is_refused),
        TEST(memory_that_is_not_there_or_runs_past_the_address_space_is_refused),
        TEST(no_more_than_a_page_of_alignment_is_asked_for),
        TEST(every_power_of_two_up_to_2_gib_is_a_buffer_length),
        TEST(all_buffers_can_be_had_are_apart_and_fill_the_memory),
        TEST(the_buffer_that_was_freed_last_is_handed_out_first),
        TEST(a_pool_of_one_buffer_works),
        TEST(a_buffer_is_freed_once_only),
        TEST(only_the_start_of_a_buffer_can_be_freed),
        TEST(a_pointer_from_elsewhere_cannot_be_freed),
        TEST(the_buffers_themselves_are_never_touched),
        TEST(a_million_random_steps_agree_with_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
