/* Both ends of a queue, used at random, against lists of what was asked and answered. */
#include "queue_user.h"
#include <stdio.h>

#define RUNS 4000u
#define STEPS 3000u

static uint64_t seed;

static uint32_t choose(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static const uint32_t feature_sets[] = {0, HALO_FEATURE_INLINE_REQUEST,
                                        HALO_FEATURE_INLINE_REQUEST | HALO_FEATURE_INLINE_ANSWER,
                                        HALO_FEATURE_TRUNCATED, HALO_FEATURES_ALL};

static void queues_used_at_random_lose_nothing(void **state)
{
    struct user *u = calloc(1, sizeof(*u));
    uint64_t answers = 0, fails = 0, full = 0, empty = 0, truncated = 0;

    for (uint32_t run = 0; run < RUNS; run++) {

        seed = run;
        ((struct queue *)*state)->part_count = run % 7 ? PARTS : 5;
        user_start(u, *state, feature_sets[run % 5], true);
        for (uint32_t i = 0; i < STEPS; i++) {
            /* Now and then one of them is slow. */
            const uint32_t slow = i / 100 % 2 ? run % 3 : 0;

            if (choose(2)) {
                if (slow != 1 || choose(4) == 0)
                    receiver_step(u);
            } else if (slow != 2 || choose(4) == 0) {
                sender_step(u);
            }
        }
        answers += u->answers;
        full += u->q->sender.stats.ring_full;
        empty += u->q->sender.stats.pool_empty;
        truncated += u->q->receiver.stats.truncated;
        user_end(u);
        fails += u->fails;
    }
    printf(
        "             %llu answers, %llu truncated; full %llu times, empty %llu; %llu given up\n",
        (unsigned long long)answers, (unsigned long long)truncated, (unsigned long long)full,
        (unsigned long long)empty, (unsigned long long)fails);
    assert_true(answers > 10000 && full > 10000 && empty > 10000 && truncated > 1000 &&
                fails > 100);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(queues_used_at_random_lose_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
