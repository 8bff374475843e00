/* Providers: a pool and two tiers behind one interface, who holds what, resize, scatter. */
#include <halo/pool.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SMALL 16u
#define LARGE 64u
#define SMALL_COUNT 4u
#define LARGE_COUNT 3u
#define BYTES (LARGE * LARGE_COUNT + SMALL * SMALL_COUNT)

struct fixture {
    struct halo_tiers tiers;
    struct halo_provider *provider;
    unsigned char *memory;                         /* exactly as long as the tiers */
    uint32_t next[LARGE_COUNT + SMALL_COUNT + 1u]; /* the last says "held" */
};

static int open_tiers(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->memory = aligned_alloc(LARGE, BYTES);
    f->next[LARGE_COUNT + SMALL_COUNT] = UINT32_MAX;
    f->provider = &f->tiers.provider;
    *state = f;
    return halo_tiers_init(&f->tiers, f->memory, SMALL, SMALL_COUNT, LARGE, LARGE_COUNT, f->next);
}

static int close_tiers(void **state)
{
    struct fixture *f = *state;

    free(f->memory);
    free(f);
    return 0;
}

static bool is_small(const struct fixture *f, const void *buf)
{
    return (const unsigned char *)buf >= f->memory + (size_t)LARGE * LARGE_COUNT;
}

static uint32_t free_bytes(const struct fixture *f)
{
    return f->tiers.small.free_count * SMALL + f->tiers.large.free_count * LARGE;
}

/* --- Tiers ------------------------------------------------------------------------------------ */

static void tiers_that_break_their_rules_are_refused(void **state)
{
    const struct fixture *f = *state;
    struct halo_tiers tiers, before;
    uint32_t next[8];

    memset(&tiers, 0x5a, sizeof(tiers));
    before = tiers;
    assert_int_equal(halo_tiers_init(&tiers, f->memory, 16, 1, 16, 1, next), HALO_EINVAL);
    assert_int_equal(halo_tiers_init(&tiers, f->memory, 32, 1, 16, 1, next), HALO_EINVAL);
    assert_int_equal(halo_tiers_init(&tiers, f->memory, 0, 1, 16, 1, next), HALO_EINVAL);
    assert_int_equal(halo_tiers_init(&tiers, f->memory, 15, 1, 16, 1, next), HALO_EINVAL);
    assert_int_equal(halo_tiers_init(&tiers, f->memory, 8, 1, 17, 1, next), HALO_EINVAL);
    assert_int_equal(halo_tiers_init(&tiers, f->memory, 8, 0, 16, 1, next), HALO_EINVAL);
    assert_int_equal(halo_tiers_init(&tiers, f->memory, 8, 1, 16, 0, next), HALO_EINVAL);
    assert_int_equal(halo_tiers_init(&tiers, NULL, 8, 1, 16, 1, next), HALO_EINVAL);
    assert_int_equal(halo_tiers_init(&tiers, f->memory + 8, 8, 1, 16, 1, next), HALO_EINVAL);
    assert_memory_equal(&tiers, &before, sizeof(tiers));
}

static void each_length_comes_from_its_tier(void **state)
{
    struct fixture *f = *state;

    assert_null(halo_buffer_alloc(f->provider, 0));
    assert_null(halo_buffer_alloc(f->provider, LARGE + 1));
    assert_true(is_small(f, halo_buffer_alloc(f->provider, 1)));
    assert_true(is_small(f, halo_buffer_alloc(f->provider, SMALL)));
    assert_false(is_small(f, halo_buffer_alloc(f->provider, SMALL + 1)));
    assert_false(is_small(f, halo_buffer_alloc(f->provider, LARGE)));
    assert_int_equal(f->tiers.small.free_count, SMALL_COUNT - 2);
    assert_int_equal(f->tiers.large.free_count, LARGE_COUNT - 2);
}

static void large_buffers_stand_in_for_small_ones(void **state)
{
    struct fixture *f = *state;

    for (uint32_t i = 0; i < SMALL_COUNT + LARGE_COUNT; i++) {
        void *buf = halo_buffer_alloc(f->provider, SMALL);

        assert_non_null(buf);
        assert_int_equal(is_small(f, buf), i < SMALL_COUNT);
    }
    assert_null(halo_buffer_alloc(f->provider, 1));
}

static void small_buffers_stand_in_where_less_will_do(void **state)
{
    struct fixture *f = *state;

    for (uint32_t i = 0; i < SMALL_COUNT + LARGE_COUNT; i++) {
        uint32_t len;
        void *buf = f->provider->alloc(f->provider, SMALL, LARGE, HALO_HELD, &len);

        assert_non_null(buf);
        assert_int_equal(is_small(f, buf), i >= LARGE_COUNT);
        assert_int_equal(len, i < LARGE_COUNT ? LARGE : SMALL);
    }
    assert_null(halo_buffer_alloc(f->provider, 1));
}

static void a_small_buffer_is_no_answer_to_more_than_it_holds(void **state)
{
    struct fixture *f = *state;

    for (uint32_t i = 0; i < LARGE_COUNT; i++)
        assert_non_null(halo_buffer_alloc(f->provider, LARGE));
    assert_null(halo_buffer_alloc(f->provider, SMALL + 1));
    assert_int_equal(f->tiers.small.free_count, SMALL_COUNT);
}

static void a_pool_is_a_provider_too(void **state)
{
    struct fixture *f = *state;
    struct halo_provider *provider = &f->tiers.large.provider;
    void *bufs[LARGE_COUNT], *buf;
    uint32_t len;

    assert_null(halo_buffer_alloc(provider, LARGE + 1));
    buf = halo_buffer_alloc(provider, LARGE);
    assert_non_null(buf);
    assert_int_equal(halo_buffer_free(provider, buf), 0);
    for (uint32_t i = 0; i < LARGE_COUNT; i++) {
        bufs[i] = provider->alloc(provider, 1, UINT32_MAX, HALO_HELD, &len);
        assert_non_null(bufs[i]);
        assert_int_equal(len, LARGE);
        assert_ptr_equal(provider->find(provider, (char *)bufs[i] + LARGE - 1, &len), bufs[i]);
        assert_int_equal(len, LARGE);
    }
    assert_null(halo_buffer_alloc(provider, 1));
    buf = f->memory + (size_t)LARGE * LARGE_COUNT; /* a small one */
    assert_null(provider->find(provider, buf, &len));
    assert_int_equal(provider->hand_over(provider, buf, HALO_HELD), HALO_EINVAL);
    assert_int_equal(halo_buffer_free(provider, buf), HALO_EINVAL);
    assert_int_equal(provider->hand_over(provider, bufs[0], HALO_HELD), 0);
    assert_int_equal(halo_buffer_free(provider, bufs[0]), HALO_EBUSY);
    assert_int_equal(provider->free(provider, bufs[0], HALO_LENT), 0);
    assert_int_equal(halo_buffer_free(provider, bufs[1]), 0);
    assert_null(provider->find(provider, bufs[1], &len));
}

/* --- Who holds a buffer ----------------------------------------------------------------------- */

static void what_is_lent_cannot_be_freed_or_lent_again(void **state)
{
    struct fixture *f = *state;
    struct fixture before;

    for (uint32_t len = 1; len <= LARGE; len += LARGE - 1) {
        void *buf = halo_buffer_alloc(f->provider, len);

        assert_int_equal(f->provider->hand_over(f->provider, buf, HALO_LENT), HALO_EINVAL);
        assert_int_equal(f->provider->hand_over(f->provider, buf, HALO_HELD), 0);
        before = *f;
        assert_int_equal(f->provider->hand_over(f->provider, buf, HALO_HELD), HALO_EBUSY);
        assert_int_equal(halo_buffer_free(f->provider, buf), HALO_EBUSY);
        assert_int_equal(halo_buffer_resize(f->provider, &buf, 0, 1), HALO_EBUSY);
        assert_memory_equal(&before, f, sizeof(before));
        assert_int_equal(f->provider->hand_over(f->provider, buf, HALO_LENT), 0);
        assert_int_equal(f->provider->free(f->provider, buf, HALO_LENT), HALO_EINVAL);
        assert_int_equal(halo_buffer_free(f->provider, buf), 0);
        assert_int_equal(halo_buffer_free(f->provider, buf), HALO_EINVAL);
        assert_int_equal(f->provider->hand_over(f->provider, buf, HALO_HELD), HALO_EINVAL);
        assert_int_equal(f->provider->hand_over(f->provider, buf, HALO_LENT), HALO_EINVAL);
    }
    assert_int_equal(free_bytes(f), BYTES);
}

static void any_byte_of_a_buffer_finds_it_and_only_its_start_is_it(void **state)
{
    struct fixture *f = *state;
    void *const small = halo_buffer_alloc(f->provider, SMALL);
    void *const large = halo_buffer_alloc(f->provider, LARGE);
    const struct fixture before = *f;

    for (unsigned char *at = f->memory - LARGE; at < f->memory + BYTES + LARGE; at++) {
        const bool in_small = at >= (unsigned char *)small && at < (unsigned char *)small + SMALL;
        const bool in_large = at >= (unsigned char *)large && at < (unsigned char *)large + LARGE;
        uint32_t len = 7;
        void *found = f->provider->find(f->provider, at, &len), *moved = at;

        assert_ptr_equal(found, in_small ? small : in_large ? large : NULL);
        if (found)
            assert_int_equal(len, in_small ? SMALL : LARGE);
        if (at == small || at == large)
            continue;
        assert_int_equal(halo_buffer_free(f->provider, at), HALO_EINVAL);
        assert_int_equal(f->provider->hand_over(f->provider, at, HALO_HELD), HALO_EINVAL);
        assert_int_equal(halo_buffer_resize(f->provider, &moved, 0, 1), HALO_EINVAL);
        assert_ptr_equal(moved, at);
    }
    assert_memory_equal(&before, f, sizeof(before));
}

/* --- Resize ----------------------------------------------------------------------------------- */

static void a_buffer_grows_in_place_while_it_has_the_room(void **state)
{
    struct fixture *f = *state;
    void *const small = halo_buffer_alloc(f->provider, 1);
    void *buf = small;

    for (uint32_t len = SMALL; len > 0; len--) {
        assert_int_equal(halo_buffer_resize(f->provider, &buf, SMALL, len), 0);
        assert_ptr_equal(buf, small);
    }
    assert_int_equal(f->tiers.small.free_count, SMALL_COUNT - 1);
    assert_int_equal(f->tiers.large.free_count, LARGE_COUNT);
}

static void a_buffer_moves_to_where_there_is_room(void **state)
{
    struct fixture *f = *state;

    for (uint32_t used = 0; used <= SMALL; used++) {
        void *const small = halo_buffer_alloc(f->provider, SMALL);
        void *buf = small;

        memset(f->memory, 0, (size_t)LARGE * LARGE_COUNT);
        memset(small, 0x7e, SMALL);
        assert_int_equal(halo_buffer_resize(f->provider, &buf, used, SMALL + 1), 0);
        assert_ptr_not_equal(buf, small);
        for (uint32_t i = 0; i < LARGE; i++)
            assert_int_equal(((unsigned char *)buf)[i], i < used ? 0x7e : 0);
        assert_int_equal(halo_buffer_free(f->provider, small), HALO_EINVAL); /* it was freed */
        assert_int_equal(f->tiers.large.free_count, LARGE_COUNT - 1);
        assert_int_equal(f->tiers.small.free_count, SMALL_COUNT);
        assert_int_equal(halo_buffer_free(f->provider, buf), 0);
    }
}

static void a_resize_that_fails_leaves_all_as_it_was(void **state)
{
    struct fixture *f = *state;
    void *const small = halo_buffer_alloc(f->provider, SMALL);
    void *buf = small;
    struct fixture before = *f;

    assert_int_equal(halo_buffer_resize(f->provider, &buf, SMALL, 0), HALO_EINVAL);
    assert_int_equal(halo_buffer_resize(f->provider, &buf, SMALL + 1, LARGE), HALO_EINVAL);
    assert_int_equal(halo_buffer_resize(f->provider, &buf, SMALL, LARGE + 1), HALO_ENOMEM);
    assert_memory_equal(&before, f, sizeof(before));
    for (uint32_t i = 0; i < LARGE_COUNT; i++)
        assert_non_null(halo_buffer_alloc(f->provider, LARGE));
    before = *f;
    assert_int_equal(halo_buffer_resize(f->provider, &buf, SMALL, SMALL + 1), HALO_ENOMEM);
    assert_memory_equal(&before, f, sizeof(before));
    assert_ptr_equal(buf, small);
    buf = NULL;
    assert_int_equal(halo_buffer_resize(f->provider, &buf, 0, 1), HALO_EINVAL);
    assert_int_equal(f->provider->hand_over(f->provider, NULL, HALO_HELD), HALO_EINVAL);
    assert_int_equal(halo_buffer_free(f->provider, NULL), HALO_EINVAL);
}

/* --- Scatter ---------------------------------------------------------------------------------- */

static void every_length_is_scattered_or_nothing_is_taken(void **state)
{
    struct fixture *f = *state;
    struct halo_piece pieces[SMALL_COUNT + LARGE_COUNT];

    assert_int_equal(halo_buffer_scatter(f->provider, 0, pieces, 7), HALO_EINVAL);
    for (uint64_t len = 1; len < BYTES + 10; len++) {
        const int count = halo_buffer_scatter(f->provider, len, pieces, 7);
        uint64_t sum = 0;

        if (len > BYTES) {
            assert_int_equal(count, HALO_ENOMEM);
        } else {
            assert_in_range(count, 1, 7);
            for (int i = 0; i < count; i++) {
                memset(pieces[i].base, i, pieces[i].len);
                sum += pieces[i].len;
            }
            assert_int_equal(sum, len);
            for (int i = 0; i < count; i++)
                for (uint32_t k = 0; k < pieces[i].len; k++)
                    assert_int_equal(((unsigned char *)pieces[i].base)[k], i);
            for (int i = 0; i < count; i++)
                assert_int_equal(halo_buffer_free(f->provider, pieces[i].base), 0);
        }
        assert_int_equal(free_bytes(f), BYTES);
    }
    assert_int_equal(halo_buffer_scatter(f->provider, UINT64_MAX, pieces, 7), HALO_ENOMEM);
    assert_int_equal(free_bytes(f), BYTES);
}

static void no_more_pieces_are_made_than_there_is_room_for(void **state)
{
    struct fixture *f = *state;
    struct halo_piece pieces[4] = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {(void *)f, 99}};

    assert_int_equal(halo_buffer_scatter(f->provider, 1, pieces, 0), HALO_ENOMEM);
    assert_int_equal(halo_buffer_scatter(f->provider, 1, pieces, (uint32_t)INT32_MAX + 1),
                     HALO_EINVAL);
    assert_int_equal(halo_buffer_scatter(f->provider, 3 * LARGE + 1, pieces, 3), HALO_ENOMEM);
    assert_int_equal(free_bytes(f), BYTES);
    assert_int_equal(halo_buffer_scatter(f->provider, 3 * LARGE, pieces, 3), 3);
    assert_ptr_equal(pieces[3].base, f);
    assert_int_equal(pieces[3].len, 99);
}

static void a_short_rest_takes_a_small_buffer(void **state)
{
    struct fixture *f = *state;
    struct halo_piece pieces[7];

    assert_int_equal(halo_buffer_scatter(f->provider, LARGE + 5, pieces, 7), 2);
    assert_int_equal(pieces[0].len, LARGE);
    assert_int_equal(pieces[1].len, 5);
    assert_true(is_small(f, pieces[1].base));
}

/* What is asked of a provider, piece by piece; this one has buffers of any length. */
static void *alloc_any(struct halo_provider *provider, uint32_t min, uint32_t want,
                       enum halo_holder holder, uint32_t *len)
{
    check_expected(want);
    assert_int_equal(min, 1);
    assert_int_equal(holder, HALO_HELD);
    *len = want;
    return provider;
}

static void a_length_above_4_gib_is_scattered_too(void **state)
{
    struct halo_provider provider = {.alloc = alloc_any};
    struct halo_piece pieces[2];

    (void)state;
    expect_value(alloc_any, want, UINT32_MAX);
    expect_value(alloc_any, want, 5);
    assert_int_equal(halo_buffer_scatter(&provider, (uint64_t)UINT32_MAX + 5, pieces, INT32_MAX),
                     2);
    assert_int_equal(pieces[0].len, UINT32_MAX);
    assert_int_equal(pieces[1].len, 5);
    for (uint32_t below = 0; below < 3; below++) { /* and around it in one piece */
        expect_value(alloc_any, want, UINT32_MAX - below);
        assert_int_equal(halo_buffer_scatter(&provider, UINT32_MAX - below, pieces, 2), 1);
        assert_int_equal(pieces[0].len, UINT32_MAX - below);
    }
}

/* --- Random steps against a list -------------------------------------------------------------- */

#define MANY_SMALL 23u
#define MANY_LARGE 11u
#define MANY (MANY_SMALL + MANY_LARGE)

enum status { FREE, HELD, LENT };

/* What each buffer is, the large ones first, and the byte that all of it was filled with. */
struct list {
    unsigned char *memory;
    enum status status[MANY];
    unsigned char fill[MANY];
    uint32_t small_free, large_free;
};

static uint32_t length(uint32_t index)
{
    return index < MANY_LARGE ? LARGE : SMALL;
}

static unsigned char *address(const struct list *list, uint32_t index)
{
    return index < MANY_LARGE
               ? list->memory + (size_t)index * LARGE
               : list->memory + (size_t)MANY_LARGE * LARGE + (size_t)(index - MANY_LARGE) * SMALL;
}

/* Note that `buf` was handed out: it must be a buffer, and free. Returns its number. */
static uint32_t note(struct list *list, void *buf, enum status status, uint32_t random)
{
    for (uint32_t i = 0; i < MANY; i++) {
        if (address(list, i) != buf)
            continue;
        assert_int_equal(list->status[i], FREE);
        list->status[i] = status;
        *(i < MANY_LARGE ? &list->large_free : &list->small_free) -= 1;
        list->fill[i] = (unsigned char)random;
        memset(buf, list->fill[i], length(i));
        return i;
    }
    fail_msg("no buffer starts there");
    return 0;
}

static void give_back(struct list *list, uint32_t index)
{
    const unsigned char *at = address(list, index);

    for (uint32_t i = 0; i < length(index); i++)
        assert_int_equal(at[i], list->fill[index]); /* nobody else wrote there */
    list->status[index] = FREE;
    *(index < MANY_LARGE ? &list->large_free : &list->small_free) += 1;
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 29;
}

static void step(struct halo_provider *provider, struct list *list, uint64_t random)
{
    const uint32_t index = (uint32_t)(random >> 8) % MANY, what = (uint32_t)random % 16;
    const uint32_t len = 1 + (uint32_t)(random >> 16) % (LARGE + 2);
    const enum halo_holder holder = random & 16 ? HALO_LENT : HALO_HELD;
    const enum status mine = holder == HALO_LENT ? LENT : HELD;
    const bool can = len <= SMALL ? list->small_free + list->large_free > 0
                                  : len <= LARGE && list->large_free > 0;
    struct halo_piece pieces[MANY];
    uint32_t have;
    void *buf;
    int result;

    if (what < 5) {
        buf = provider->alloc(provider, len, len, holder, &have);
        assert_int_equal(buf != NULL, can);
        if (buf)
            assert_int_equal(have, length(note(list, buf, mine, (uint32_t)random >> 3)));
    } else if (what < 9) {
        result = provider->free(provider, address(list, index), holder);
        if (list->status[index] == mine) {
            assert_int_equal(result, 0);
            give_back(list, index);
        } else {
            assert_int_equal(result, list->status[index] == LENT ? HALO_EBUSY : HALO_EINVAL);
        }
    } else if (what < 11) {
        result = provider->hand_over(provider, address(list, index), holder);
        if (list->status[index] == mine) {
            assert_int_equal(result, 0);
            list->status[index] = mine == HELD ? LENT : HELD;
        } else {
            assert_int_equal(result, list->status[index] == LENT ? HALO_EBUSY : HALO_EINVAL);
        }
    } else if (what < 13) {
        const uint32_t used = (uint32_t)(random >> 23) % (length(index) + 1);

        buf = address(list, index);
        result = halo_buffer_resize(provider, &buf, used, len);
        if (list->status[index] != HELD) {
            assert_int_equal(result, list->status[index] == LENT ? HALO_EBUSY : HALO_EINVAL);
        } else if (len <= length(index)) {
            assert_int_equal(result, 0);
            assert_ptr_equal(buf, address(list, index));
        } else if (!can) {
            assert_int_equal(result, HALO_ENOMEM);
            assert_ptr_equal(buf, address(list, index));
        } else {
            assert_int_equal(result, 0);
            for (uint32_t i = 0; i < used; i++)
                assert_int_equal(((unsigned char *)buf)[i], list->fill[index]);
            (void)note(list, buf, HELD, (uint32_t)random >> 3);
            give_back(list, index);
        }
    } else if (what < 14) {
        const uint64_t sum = 1 + (random >> 16) % (MANY_LARGE * LARGE / 2);
        uint64_t got = 0;

        result = halo_buffer_scatter(provider, sum, pieces, 1 + (uint32_t)random % MANY);
        assert_true(result > 0 || result == HALO_ENOMEM);
        for (int i = 0; i < result; i++) {
            have = note(list, pieces[i].base, HELD, (uint32_t)random >> 3);
            assert_true(pieces[i].len > 0 && pieces[i].len <= length(have));
            got += pieces[i].len;
        }
        assert_true(result < 0 || got == sum);
    } else {
        buf = address(list, index) + 1 + (random >> 16) % (length(index) - 1);
        assert_int_equal(provider->free(provider, buf, holder), HALO_EINVAL);
        assert_ptr_equal(provider->find(provider, buf, &have),
                         list->status[index] == FREE ? NULL : address(list, index));
    }
}

static void two_million_random_steps_agree_with_a_list(void **state)
{
    struct list list = {.small_free = MANY_SMALL, .large_free = MANY_LARGE};
    struct halo_tiers tiers;
    uint32_t next[MANY], full = 0, empty = 0;
    uint64_t seed = 1;

    (void)state;
    list.memory = aligned_alloc(LARGE, MANY_LARGE * LARGE + (MANY_SMALL + 3) / 4 * LARGE);
    assert_int_equal(
        halo_tiers_init(&tiers, list.memory, SMALL, MANY_SMALL, LARGE, MANY_LARGE, next), 0);
    for (int i = 0; i < 2000000; i++) {
        uint64_t random = next_random(&seed);

        /* Now and then only one way for a while, so that both ends are reached. */
        if (i / 1000 % 3 == 1)
            random = (random & ~UINT64_C(15)) | (random & 1 ? 13 : 0);
        if (i / 1000 % 3 == 2)
            random = (random & ~UINT64_C(15)) | 5;
        step(&tiers.provider, &list, random);
        assert_int_equal(tiers.small.free_count, list.small_free);
        assert_int_equal(tiers.large.free_count, list.large_free);
        full += list.small_free + list.large_free == 0;
        empty += list.small_free == MANY_SMALL && list.large_free == MANY_LARGE;
    }
    assert_true(full > 1000 && empty > 1000);
    free(list.memory);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_tiers, close_tiers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tiers_that_break_their_rules_are_refused),
        TEST(each_length_comes_from_its_tier),
        TEST(large_buffers_stand_in_for_small_ones),
        TEST(small_buffers_stand_in_where_less_will_do),
        TEST(a_small_buffer_is_no_answer_to_more_than_it_holds),
        TEST(a_pool_is_a_provider_too),
        TEST(what_is_lent_cannot_be_freed_or_lent_again),
        TEST(any_byte_of_a_buffer_finds_it_and_only_its_start_is_it),
        TEST(a_buffer_grows_in_place_while_it_has_the_room),
        TEST(a_buffer_moves_to_where_there_is_room),
        TEST(a_resize_that_fails_leaves_all_as_it_was),
        TEST(every_length_is_scattered_or_nothing_is_taken),
        TEST(no_more_pieces_are_made_than_there_is_room_for),
        TEST(a_short_rest_takes_a_small_buffer),
        TEST(a_length_above_4_gib_is_scattered_too),
        TEST(two_million_random_steps_agree_with_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
