/* The guest's allocator, on the host: against a model, and with what it must refuse. */
#include "../../src/guest/libc/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LEN 65536u
#define LIVE 200

static _Alignas(16) unsigned char memory[LEN];
static struct halo_heap heap;

static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static size_t largest(void)
{
    size_t low = 0, high = LEN;

    while (low < high) {
        const size_t middle = (low + high + 1) / 2;
        void *at = halo__heap_alloc(&heap, middle);

        if (at)
            low = middle;
        else
            high = middle - 1;
        halo__heap_free(&heap, at);
    }
    return low;
}

static void what_is_freed_comes_back_whole(void **state)
{
    static struct {
        unsigned char *at;
        size_t len;
        unsigned char byte;
    } live[LIVE];
    size_t whole;

    (void)state;
    halo__heap_init(&heap, memory, LEN);
    whole = largest();
    assert_in_range(whole, LEN - 64, LEN);
    for (int round = 0; round < 1000000; round++) {
        const size_t i = next_random() % LIVE;

        if (live[i].at) {
            assert_int_equal(live[i].at[0], live[i].byte);
            assert_int_equal(live[i].at[live[i].len - 1], live[i].byte);
            assert_int_equal(live[i].at[live[i].len / 2], live[i].byte);
            assert_true(halo__heap_free(&heap, live[i].at));
            live[i].at = NULL;
            continue;
        }
        live[i].len = 1 + next_random() % (round % 100 == 0 ? 20000 : 500);
        live[i].byte = (unsigned char)round;
        live[i].at = halo__heap_alloc(&heap, live[i].len);
        if (!live[i].at)
            continue;
        assert_int_equal((uintptr_t)live[i].at % 16, 0);
        assert_true(live[i].at >= memory && live[i].at + live[i].len <= memory + LEN);
        assert_true(halo__heap_usable(live[i].at) >= live[i].len);
        memset(live[i].at, live[i].byte, live[i].len);
    }
    for (size_t i = 0; i < LIVE; i++)
        assert_true(halo__heap_free(&heap, live[i].at)); /* NULL is fine */
    assert_int_equal(largest(), whole);
}

static void what_is_not_allocated_is_not_freed(void **state)
{
    unsigned char *a, *b, *d;

    (void)state;
    halo__heap_init(&heap, memory, LEN);
    a = halo__heap_alloc(&heap, 100);
    b = halo__heap_alloc(&heap, 100);
    d = halo__heap_alloc(&heap, 100);
    assert_true(a && b && d);
    assert_true(halo__heap_free(&heap, b));
    assert_false(halo__heap_free(&heap, b));
    assert_true(halo__heap_free(&heap, a));
    assert_false(halo__heap_free(&heap, a));
    assert_true(halo__heap_free(&heap, d));
}

static void a_heap_may_be_small_crooked_or_empty(void **state)
{
    (void)state;
    for (size_t skip = 0; skip < 16; skip++) {
        for (size_t len = 0; len < 300; len++) {
            unsigned char *at;

            memset(memory, 0xee, 400);
            halo__heap_init(&heap, memory + skip, len);
            at = halo__heap_alloc(&heap, 1);
            if (at)
                assert_true(at >= memory + skip && at + 1 <= memory + skip + len);
            else
                assert_true(len < 80);
            assert_null(halo__heap_alloc(&heap, 300));
            assert_null(halo__heap_alloc(&heap, SIZE_MAX));
            assert_null(halo__heap_alloc(&heap, SIZE_MAX - 16));
            for (size_t i = skip + len; i < 400; i++)
                assert_int_equal(memory[i], 0xee);
            for (size_t i = 0; i < skip; i++)
                assert_int_equal(memory[i], 0xee);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_freed_comes_back_whole),
        cmocka_unit_test(what_is_not_allocated_is_not_freed),
        cmocka_unit_test(a_heap_may_be_small_crooked_or_empty),
    };

    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
