/* Fleets: limits of number and of memory, and what is refused. Group RES. */
#include "fleets.h"
#include <halo/executor.h>
#include <poll.h>
#include <pthread.h>

/* --- Limits ----------------------------------------------------------------------------------- */

/* RES-15 */
static void there_are_no_more_than_the_limit(void **state)
{
    struct halo_sandbox *none = (struct halo_sandbox *)&stats;
    char words[1024];

    begin(state, 2);
    take(&box, snapshot);
    take(&second, snapshot);
    assert_int_equal(halo_fleet_take(fleet, snapshot, 0, NULL, &none), HALO_EFULL);
    assert_null(none);
    assert_int_equal(halo_fleet_take(fleet, snapshot, 1000000, NULL, &none), HALO_EFULL);
    halo_fleet_errmsg(fleet, words, sizeof(words));
    assert_non_null(strstr(words, "2 sandboxes are taken, with 32768 KiB of guest memory"));
    halo_fleet_errmsg(fleet, words, 5);
    assert_string_equal(words, "2 sa");
    give(&box);
    take(&box, snapshot);
    assert_int_equal(number(box, "add", 1), 6);
    assert_int_equal(halo_fleet_warm(fleet, snapshot, 1), HALO_EFULL);
    give(&box);
    give(&second);
    assert_int_equal(halo_fleet_warm(fleet, snapshot, 3), HALO_EFULL);
    count_up();
    assert_int_equal(stats.refused, 2);
    assert_int_equal(stats.waits, 1);
    assert_int_equal(stats.idle, 2);
    halo_fleet_trim(fleet, 1);
    count_up();
    assert_int_equal(stats.idle, 1);
    assert_int_equal(stats.memory, HALO_RAM_DEFAULT);
    assert_int_equal(stats.closed, 1);
}

/* RES-15 */
static void memory_is_counted_as_what_guests_could_touch(void **state)
{
    struct halo_sandbox *none;

    make(state, &snapshot, NULL, 0, 5);
    make(state, &other, NULL, 2 * HALO_RAM_DEFAULT, 7);
    open_fleet(state, 0, 3 * HALO_RAM_DEFAULT);
    assert_int_equal(halo_fleet_warm(fleet, snapshot, 3), 0);
    assert_int_equal(halo_fleet_warm(fleet, snapshot, 4), HALO_EFULL);
    take(&box, other); /* two are closed for it, since their memory has another size */
    assert_int_equal(number(box, "add", 1), 8);
    count_up();
    assert_int_equal(stats.closed, 2);
    assert_int_equal(stats.memory, 3 * HALO_RAM_DEFAULT);
    assert_int_equal(halo_fleet_take(fleet, other, 0, NULL, &none), HALO_EFULL);
    give(&box);
    take(&box, snapshot);
    take(&second, snapshot);
    count_up();
    assert_int_equal(stats.closed, 4); /* the last of the small ones went for the second try */
    assert_int_equal(number(second, "add", 1), 6);
    give(&box);
    give(&second);
}

static void one_of_another_snapshot_is_restored(void **state)
{
    make(state, &snapshot, NULL, 0, 5);
    make(state, &other, NULL, 0, 7);
    open_fleet(state, 1, 0);
    for (int i = 0; i < 3; i++) {
        take(&box, snapshot);
        assert_int_equal(number(box, "add", 1), 6);
        give(&box);
        take(&box, other);
        assert_int_equal(number(box, "add", 1), 8);
        give(&box);
    }
    count_up();
    assert_int_equal(stats.opened, 1);
    assert_int_equal(stats.moved, 5);
    halo_snapshot_free(other); /* of which the idle one was */
    other = NULL;
    take(&box, snapshot);
    assert_int_equal(number(box, "add", 1), 6);
    give(&box);
}

static void *take_later(void *result)
{
    struct halo_sandbox **taken = result;

    take(taken, snapshot);
    return NULL;
}

static void who_waits_gets_what_is_given(void **state)
{
    struct halo_sandbox *taken = NULL, *given;
    pthread_t thread;

    begin(state, 1);
    take(&box, snapshot);
    given = box;
    assert_int_equal(number(box, "add", 1), 6);
    assert_int_equal(pthread_create(&thread, NULL, take_later, &taken), 0);
    do
        count_up();
    while (stats.waits == 0);
    give(&box);
    pthread_join(thread, NULL);
    assert_ptr_equal(taken, given);
    assert_int_equal(number(taken, "add", 1), 6);
    give(&taken);
}

/* --- What is refused -------------------------------------------------------------------------- */

static int inside, busy;

static void *give_beside(void *nothing)
{
    busy = halo_fleet_give(fleet, box);
    return nothing;
}

static void give_inside(struct halo_call *call, const struct halo_value *args, void *context)
{
    pthread_t thread;

    (void)context;
    inside = halo_fleet_give(fleet, halo_call_sandbox(call));
    assert_int_equal(pthread_create(&thread, NULL, give_beside, NULL), 0);
    pthread_join(thread, NULL);
    (void)halo_return(call, args[0]);
}

static int prepare_other(struct halo_sandbox *of, void *context)
{
    return context ? HALO_ENAME : halo_provide(of, "host.twice", &twice_type, give_inside, NULL);
}

static void what_cannot_be_is_refused_in_words(void **state)
{
    const struct halo_options sandbox = way_options(state);
    struct halo_fleet_options options = {.sandbox = &sandbox, .prepare = prepare_other};
    struct halo_sandbox *mine;
    char words[1024];

    make(state, &snapshot, NULL, 0, 5);
    options.max = HALO_FLEET_MAX + 1;
    assert_int_equal(halo_fleet_open(&fleet, &options), HALO_EINVAL);
    assert_null(fleet);
    options.max = 1;
    options.context = &options;
    assert_int_equal(halo_fleet_open(&fleet, &options), 0);
    assert_int_equal(halo_fleet_take(fleet, snapshot, 0, NULL, &box), HALO_ENAME);
    assert_null(box);
    halo_fleet_errmsg(fleet, words, sizeof(words));
    assert_string_equal(words, "the fleet's prepare returned -18");
    halo_fleet_close(fleet);
    options.context = NULL;
    options.memory_max = HALO_RAM_DEFAULT;
    assert_int_equal(halo_fleet_open(&fleet, &options), 0);
    assert_int_equal(halo_fleet_take(fleet, NULL, 0, NULL, &box), HALO_EINVAL);
    assert_int_equal(halo_fleet_take(fleet, snapshot, -1, NULL, &box), HALO_EINVAL);
    assert_int_equal(halo_fleet_warm(fleet, NULL, 1), HALO_EINVAL);
    assert_int_equal(halo_fleet_give(fleet, NULL), HALO_EINVAL);
    make(state, &other, NULL, 2 * HALO_RAM_DEFAULT, 7);
    assert_int_equal(halo_fleet_take(fleet, other, 0, NULL, &box), HALO_EINVAL);
    assert_int_equal(halo_open(&mine, TENANT, &sandbox), 0);
    assert_int_equal(halo_fleet_give(fleet, mine), HALO_EINVAL);
    halo_close(mine);
    take(&box, snapshot);
    assert_int_equal(number(box, "ask", 4), 4);
    assert_int_equal(inside, HALO_ESTATE);
    assert_int_equal(busy, HALO_EBUSY);
    assert_int_equal(number(box, "add", 1), 6); /* it is taken as before */
    mine = box;
    give(&box);
    assert_int_equal(halo_fleet_give(fleet, mine), HALO_ESTATE);
    assert_int_equal(halo_fleet_close(NULL), 0);
}

static void note_done(struct halo_task *task, void *context)
{
    *(bool *)context = task->error == 0;
}

/* RES-18: until it is detached it is neither given back nor closed, and serves as before. */
static void what_an_executor_has_is_kept(void **state)
{
    const struct halo_value one = halo_i64(1);
    struct halo_executor *executor;
    struct halo_task task = {.done = note_done};
    struct pollfd ready = {.events = POLLIN};
    bool is_done = false;
    char words[1024];
    int user = 7;

    begin(state, 2);
    take(&second, snapshot);
    assert_int_equal(halo_fleet_take(fleet, snapshot, 0, &user, &box), 0);
    assert_int_equal(halo_executor_open(&executor, 1), 0);
    assert_int_equal(halo_executor_attach(executor, box), 0);
    assert_int_equal(halo_fleet_close(fleet), HALO_EBUSY);
    halo_fleet_errmsg(fleet, words, sizeof(words));
    assert_string_equal(words, "an executor has 1 of this fleet's sandboxes, which are to be "
                               "detached before it is closed");
    assert_int_equal(halo_fleet_give(fleet, box), HALO_EBUSY);
    assert_ptr_equal(halo_fleet_user(box), &user);
    task.context = &is_done;
    assert_int_equal(halo_submit(box, &task, function(box, "add"), &one, 1, PATIENCE), 0);
    assert_int_equal(halo_fleet_close(fleet), HALO_EBUSY); /* a worker may be inside of it */
    ready.fd = halo_fd(executor);
    while (halo_turn(executor) == 0)
        (void)poll(&ready, 1, -1);
    assert_true(is_done);
    assert_int_equal(task.future.result.i64, 6);
    halo_future_free(&task.future);
    assert_int_equal(number(second, "add", 1), 6); /* nothing was closed */
    assert_int_equal(halo_executor_detach(box), 0);
    give(&box);
    take(&box, snapshot);
    assert_int_equal(number(box, "add", 1), 6);
    assert_int_equal(halo_executor_close(executor), 0);
    assert_int_equal(halo_fleet_close(fleet), 0); /* with two that are taken */
    fleet = NULL;
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(there_are_no_more_than_the_limit),
        TEST(memory_is_counted_as_what_guests_could_touch),
        TEST(one_of_another_snapshot_is_restored),
        TEST(who_waits_gets_what_is_given),
        TEST(what_cannot_be_is_refused_in_words),
        WAY_TEST(what_an_executor_has_is_kept, WAY_THREADED),
    };

    return run_every_way("fleet_limits", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
