/* The buffer pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <halo/pool.h>

#define COUNT 37u
#define LEN 256u

static _Alignas(4096) unsigned char memory[COUNT * LEN];

static void bad_pools_are_refused(void **state)
{
    struct halo_pool pool;
    uint32_t next[COUNT];

    (void)state;
    assert_int_equal(halo_pool_init(&pool, memory, 0, COUNT, next), HALO_EINVAL);
    assert_int_equal(halo_pool_init(&pool, memory, 100, COUNT, next), HALO_EINVAL);
    assert_int_equal(halo_pool_init(&pool, memory, LEN, 0, next), HALO_EINVAL);
    assert_int_equal(halo_pool_init(&pool, memory, LEN, UINT32_MAX, next), HALO_EINVAL);
    assert_int_equal(halo_pool_init(&pool, memory + 1, LEN, COUNT - 1, next), HALO_EINVAL);
    assert_int_equal(halo_pool_init(&pool, memory, LEN, COUNT, next), 0);
    assert_int_equal(halo_pool_buf_len(&pool), LEN);
}

static void wrong_frees_are_refused_and_change_nothing(void **state)
{
    struct halo_pool pool, before;
    uint32_t next[COUNT];
    unsigned char *buf, other;

    (void)state;
    assert_int_equal(halo_pool_init(&pool, memory, LEN, COUNT, next), 0);
    buf = halo_pool_alloc(&pool);
    before = pool;
    assert_int_equal(halo_pool_free(&pool, NULL), HALO_EINVAL);
    assert_int_equal(halo_pool_free(&pool, &other), HALO_EINVAL);
    assert_int_equal(halo_pool_free(&pool, buf + 1), HALO_EINVAL);
    assert_int_equal(halo_pool_free(&pool, (void *)((uintptr_t)memory - LEN)), HALO_EINVAL);
    assert_int_equal(halo_pool_free(&pool, memory + sizeof(memory)), HALO_EINVAL);
    assert_int_equal(halo_pool_free(&pool, memory + LEN), HALO_EINVAL); /* never handed out */
    assert_memory_equal(&pool, &before, sizeof(pool));
    assert_int_equal(halo_pool_free(&pool, buf), 0);
    assert_int_equal(halo_pool_free(&pool, buf), HALO_EINVAL);
}

static void two_million_random_steps_agree_with_a_list(void **state)
{
    struct halo_pool pool;
    uint32_t next[COUNT];
    bool taken[COUNT] = {false};
    uint32_t taken_count = 0;
    uint64_t random = 88172645463325252ull;

    (void)state;
    assert_int_equal(halo_pool_init(&pool, memory, LEN, COUNT, next), 0);
    for (int step = 0; step < 2000000; step++) {
        uint32_t index;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        index = (uint32_t)(random >> 20) % COUNT;
        if (random % 2) {
            unsigned char *buf = halo_pool_alloc(&pool);

            if (taken_count == COUNT) {
                assert_null(buf);
                continue;
            }
            assert_non_null(buf);
            assert_int_equal((size_t)(buf - memory) % LEN, 0);
            index = (uint32_t)(buf - memory) / LEN;
            assert_true(index < COUNT && !taken[index]);
            taken[index] = true;
            taken_count++;
        } else {
            assert_int_equal(halo_pool_free(&pool, memory + index * LEN),
                             taken[index] ? 0 : HALO_EINVAL);
            taken_count -= taken[index];
            taken[index] = false;
        }
        assert_int_equal(pool.free_count, COUNT - taken_count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_pools_are_refused),
        cmocka_unit_test(wrong_frees_are_refused_and_change_nothing),
        cmocka_unit_test(two_million_random_steps_agree_with_a_list),
    };

    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
