/* Sizes of what host and guest share: chosen, checked together, and told. */
#include "functions.h"

#include <dirent.h>
#include <sys/stat.h>

static struct halo_options sized(void **state, struct halo_sizes sizes)
{
    struct halo_options options = way_options(state);

    options.sizes = sizes;
    return options;
}

static void open_sized(void **state, struct halo_sizes sizes)
{
    open_file(functions, sized(state, sizes));
    if (halo_serve_begin(box, 10 * SECONDS))
        fail_msg("%s", halo_errmsg(box));
}

/* Opening `file` is this error, and its words hold `text`. */
static void refused(void **state, const char *file, struct halo_sizes sizes, int error,
                    const char *text)
{
    const struct halo_options options = sized(state, sizes);

    assert_int_equal(halo_open(&box, file, &options), error);
    if (!strstr(halo_errmsg(box), text))
        fail_msg("%s", halo_errmsg(box));
    halo_close(box);
}

static uint64_t room(uint32_t field)
{
    assert_int_equal(halo_call(box, &future, function("room", FN(HALO_U64, HALO_U32)), HALO_FOREVER,
                               halo_u32(field)),
                     0);
    return future.result.u64;
}

static void sizes_are_chosen_where_nobody_does(void **state)
{
    struct halo_sizes sizes;

    open_sized(state, (struct halo_sizes){0});
    halo_sandbox_sizes(box, &sizes);
    assert_int_equal(sizes.queue_size, HALO_QUEUE_SIZE_MAX);
    assert_int_equal(sizes.call_queue_size, 256);
    assert_int_equal(sizes.pool_len, 4 << 20);
    assert_int_equal(sizes.deferred_len, HALO_DEFERRED_MAX);
    assert_int_equal(sizes.deferred_max, 1024);
    halo_close(box);
}

static void sizes_that_were_asked_for_are_told_to_both(void **state)
{
    const struct halo_sizes asked = {100, 66, 3 << 20, 1 << 20, 7};
    struct halo_sizes sizes;

    open_sized(state, asked);
    halo_sandbox_sizes(box, &sizes);
    assert_int_equal(sizes.queue_size, asked.queue_size);
    assert_int_equal(sizes.call_queue_size, asked.call_queue_size);
    assert_int_equal(sizes.pool_len, asked.pool_len);
    assert_int_equal(sizes.deferred_len, asked.deferred_len);
    assert_int_equal(sizes.deferred_max, asked.deferred_max);
    assert_int_equal(room(0), 50);
    assert_int_equal(room(2), 33);
    assert_int_equal(room(3), 7);
    assert_int_equal(room(4), 1 << 20);
    halo_close(box);
}

static void sizes_out_of_bounds_are_refused(void **state)
{
    const struct {
        struct halo_sizes sizes;
        const char *words;
    } bad[] = {
        {{.queue_size = 63}, "not 63"},
        {{.queue_size = 2049}, "not 2049"},
        {{.call_queue_size = 63}, "not 63"},
        {{.call_queue_size = 2049}, "not 2049"},
        {{.pool_len = HALO_POOL_LEN_MAX + HALO_PAGE}, "not 262148 KiB"},
        {{.pool_len = (1088 << 10) - HALO_PAGE}, "not 1084 KiB"},
        {{.pool_len = (2 << 20) + 1}, "whole pages"},
        {{.deferred_len = 4095}, "4 KiB to 1024 MiB"},
        {{.deferred_len = HALO_DEFERRED_LEN_MAX + 1}, "4 KiB to 1024 MiB"},
        {{.deferred_max = HALO_DEFERRED_COUNT_MAX + 1}, "at most 65536 of them"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused(state, functions, bad[i].sizes, HALO_EINVAL, bad[i].words);
}

static void sizes_that_do_not_go_together_are_refused(void **state)
{
    refused(state, functions, (struct halo_sizes){.call_queue_size = 512, .pool_len = 1 << 20},
            HALO_EINVAL, "512 descriptors for calls has 1728 KiB");
    refused(state, functions, (struct halo_sizes){.pool_len = 14 << 20}, HALO_EINVAL,
            "14336 KiB does not fit into guest memory of 16 MiB");
}

static void a_guest_that_was_built_for_other_sizes_is_refused_in_words(void **state)
{
    refused(state, OLD, (struct halo_sizes){.queue_size = 512}, HALO_EGUEST,
            "at most 256 descriptors as its queue to the host, and queue_size is 512");
    refused(state, OLD, (struct halo_sizes){.call_queue_size = 128}, HALO_EGUEST,
            "256 to 256 descriptors as its queue of calls, and call_queue_size is 128");
    refused(state, functions, (struct halo_sizes){.call_queue_size = 1024}, HALO_EGUEST,
            "64 to 512 descriptors as its queue of calls, and call_queue_size is 1024");
}

static void a_guest_of_before_runs_with_less(void **state)
{
    const struct halo_options options = sized(state, (struct halo_sizes){.queue_size = 64});

    assert_int_equal(halo_open(&box, OLD, &options), 0);
    if (halo_serve_begin(box, 10 * SECONDS))
        fail_msg("%s", halo_errmsg(box));
    halo_close(box);
}

static void the_least_of_everything_carries_all_calls(void **state)
{
    static struct halo_future many[1000];
    const size_t len = 300000;
    char *bytes = calloc(1, len);
    int echo_of;

    open_sized(state, (struct halo_sizes){64, 64, 608 << 10, 4096, 1});
    echo_of = function("echo.i64", FN(HALO_I64, HALO_I64));
    for (int i = 0; i < 1000; i++)
        halo_call_start(box, &many[i], echo_of, (struct halo_value[]){halo_i64(i)}, 1);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(halo_wait(&many[i], HALO_FOREVER), 0);
        assert_int_equal(many[i].result.i64, i);
    }
    assert_int_equal(halo_call(box, &future, function("down", FN(HALO_I64, HALO_I64)), HALO_FOREVER,
                               halo_i64(3)),
                     0);
    assert_int_equal(future.result.i64, 3);
    echo("echo.bytes", halo_bytes(bytes, len));
    free(bytes);
    halo_close(box);
}

static void as_many_calls_of_the_guests_share_an_exit_as_it_was_told(void **state)
{
    const struct {
        uint32_t size, calls;
    } queues[] = {{64, 32}, {200, 100}, {1024, 152}, {0, 152}};

    for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        uint64_t exits;

        open_sized(state, (struct halo_sizes){.queue_size = queues[i].size});
        exits = stats().exits;
        halo_call_start(box, &future, function("fill_exit", FN(HALO_I64)), NULL, 0);
        assert_int_equal(halo_wait(&future, HALO_FOREVER), 0);
        assert_int_equal(future.result.i64, queues[i].calls);
        assert_int_equal(stats().exits - exits, 2); /* the calls, and the end of it */
        halo_close(box);
    }
}

static void as_many_calls_of_the_hosts_share_an_exit_as_its_queue_has_pairs(void **state)
{
    static struct halo_future many[256];
    const struct {
        uint32_t size, exits;
    } queues[] = {{64, 8}, {256, 2}, {512, 1}};

    for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        uint64_t exits;
        int echo_of;

        open_sized(state, (struct halo_sizes){.call_queue_size = queues[i].size});
        echo_of = function("echo.i64", FN(HALO_I64, HALO_I64));
        exits = stats().exits;
        for (int k = 0; k < 256; k++)
            halo_call_start(box, &many[k], echo_of, (struct halo_value[]){halo_i64(k)}, 1);
        for (int k = 0; k < 256; k++) {
            assert_int_equal(halo_wait(&many[k], HALO_FOREVER), 0);
            assert_int_equal(many[k].result.i64, k);
        }
        assert_int_equal(stats().exits - exits, queues[i].exits);
        halo_close(box);
    }
}

static void an_answer_that_is_longer_than_what_is_kept_is_an_error_of_its_call(void **state)
{
    open_sized(state, (struct halo_sizes){.deferred_len = 64 << 10});
    assert_int_equal(halo_call(box, &future, function("text_len", FN(HALO_I64, HALO_U32)),
                               HALO_FOREVER, halo_u32(60000)),
                     0);
    assert_int_equal(future.result.i64, 60000);
    text_result = HALO_ESIZE;
    assert_int_equal(halo_call(box, &future, function("text_len", FN(HALO_I64, HALO_U32)),
                               HALO_FOREVER, halo_u32(170000)),
                     0);
    text_result = 0;
    assert_int_equal(future.result.i64, HALO_ESIZE);
    halo_close(box);
}

/* Bytes of the memory file that is the guest's: this process holds one. */
static uint64_t memory_that_is_there(void)
{
    DIR *const all = opendir("/proc/self/fd");
    const struct dirent *entry;
    uint64_t bytes = 0;
    int count = 0;

    assert_non_null(all);
    while ((entry = readdir(all))) {
        char path[300], name[64] = "";
        struct stat st;

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, name, sizeof(name) - 1) < 0 || !strstr(name, "halo-ram"))
            continue;
        assert_int_equal(fstat(atoi(entry->d_name), &st), 0);
        bytes = (uint64_t)st.st_blocks * 512;
        count++;
    }
    (void)closedir(all);
    assert_int_equal(count, 1);
    return bytes;
}

/* 256 of them are 1.25 MiB. */
static void buffers_for_calls_take_memory_when_they_are_used(void **state)
{
    static struct halo_future futures[256];
    const struct halo_value args[] = {halo_i64(1)};
    uint64_t idle;

    open_sized(state, (struct halo_sizes){.call_queue_size = 512});
    assert_int_equal(halo_call(box, &future, function("echo.i64", FN(HALO_I64, HALO_I64)),
                               HALO_FOREVER, halo_i64(1)),
                     0);
    idle = memory_that_is_there();
    assert_in_range(idle, 1, 1 << 20);
    for (int i = 0; i < 256; i++)
        assert_int_equal(halo_call_start(box, &futures[i],
                                         function("echo.i64", FN(HALO_I64, HALO_I64)), args, 1),
                         0);
    for (int i = 0; i < 256; i++)
        assert_int_equal(halo_wait(&futures[i], 10 * SECONDS), 0);
    assert_in_range(memory_that_is_there(), idle + (1 << 20), idle + (2 << 20));
    halo_close(box);
}

int main(int argc, char **argv)
{
    static const struct way_test tests[] = {
        TEST(sizes_are_chosen_where_nobody_does),
        RINGS(sizes_that_were_asked_for_are_told_to_both),
        RINGS(buffers_for_calls_take_memory_when_they_are_used),
        TEST(sizes_out_of_bounds_are_refused),
        TEST(sizes_that_do_not_go_together_are_refused),
        TEST(a_guest_that_was_built_for_other_sizes_is_refused_in_words),
        TEST(a_guest_of_before_runs_with_less),
        RINGS(the_least_of_everything_carries_all_calls),
        IN_TURNS(as_many_calls_of_the_guests_share_an_exit_as_it_was_told),
        IN_TURNS(as_many_calls_of_the_hosts_share_an_exit_as_its_queue_has_pairs),
        RINGS(an_answer_that_is_longer_than_what_is_kept_is_an_error_of_its_call),
    };

    take_files(argc, argv);
    return run_every_way("sizes", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
