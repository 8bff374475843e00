/*
 * What a guest logs comes to its host, line by line, however the guest ends; it costs no exits of
 * its own, and no more lines than were asked for. On every backend.
 */
#include "ways.h"
#include <halo/inside.h>

#define SECONDS (1000000000ll)
#define LINES_MAX 1100

static struct halo_sandbox *box;

static struct {
    enum halo_log_level level;
    uint64_t dropped;
    char text[HALO_LOG_MAX + 1];
    size_t len;
} lines[LINES_MAX];
static unsigned count;

static void keep(void *context, const struct halo_log_line *line)
{
    assert_ptr_equal(context, &count);
    assert_true(count < LINES_MAX && line->len <= HALO_LOG_MAX);
    assert_int_equal(line->text[line->len], 0);
    lines[count].level = line->level;
    lines[count].dropped = line->dropped;
    lines[count].len = line->len;
    memcpy(lines[count].text, line->text, line->len + 1);
    count++;
}

static int no_box(void **state)
{
    (void)state;
    box = NULL;
    count = 0;
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    halo_close(box);
    return 0;
}

static int run(void **state, const char *mode, enum halo_log_level level, uint32_t lines_per_second)
{
    const char *const args[] = {"log", mode};
    struct halo_options options = way_options(state);
    int code = -1, error;

    options.args = args;
    options.arg_count = 2;
    if (halo_open(&box, LOG, &options) || halo_log(box, level, lines_per_second, keep, &count))
        fail_msg("%s", halo_errmsg(box));
    error = halo_run(box, 30 * SECONDS, &code);
    assert_true(error || code == 7);
    return error;
}

static void lines_come_up_to_their_level(void **state)
{
    assert_int_equal(run(state, "levels", HALO_LOG_INFO, 0), 0);
    assert_int_equal(count, 3);
    assert_string_equal(lines[0].text, "first");
    assert_int_equal(lines[0].level, HALO_LOG_ERROR);
    assert_string_equal(lines[1].text, "second");
    assert_int_equal(lines[1].level, HALO_LOG_WARN);
    assert_string_equal(lines[2].text, "third");
    assert_int_equal(lines[2].level, HALO_LOG_INFO);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(lines[i].dropped, 0);
}

static void a_format_is_printf_s(void **state)
{
    char expected[256];

    assert_int_equal(run(state, "formats", HALO_LOG_DEBUG, 0), 0);
    assert_int_equal(count, 4);
    assert_string_equal(lines[0].text, "-1|2147483647|4294967295|beef|BEEF|10|c|text|%|0x1234");
    (void)snprintf(expected, sizeof(expected), "[%5d|%-5d|%05d|%+d|% d|%.3d|%5.2s|%-6s|%*d|%.*s]",
                   42, 42, 42, 42, 42, 7, "abc", "ab", 4, 1, 2, "xyz");
    assert_string_equal(lines[1].text, expected);
    assert_string_equal(
        lines[2].text,
        "-3 -4 -9223372036854775807 9223372036854775807 18446744073709551615 0xff 010 "
        "123456789abcdef 18446744073709551615 -5");
    assert_int_equal(lines[3].len, 9); /* any bytes: it is the host who shows them */
    assert_memory_equal(lines[3].text, "a\0b\033[31m\n", 9);
}

static void lines_take_no_exits_of_their_own(void **state)
{
    struct halo_stats stats;

    assert_int_equal(run(state, "many", HALO_LOG_WARN, 1000000), 0);
    assert_int_equal(count, 1000);
    for (unsigned i = 0; i < count; i++) {
        char expected[32];

        (void)snprintf(expected, sizeof(expected), "line %u", i);
        assert_string_equal(lines[i].text, expected);
        assert_int_equal(lines[i].dropped, 0);
    }
    halo_stats(box, &stats);
    assert_in_range(stats.exits, 1, 1000 / 32 + 8);
}

/* A guest that logs faster than its host looks has its lines in order, and their gaps counted. */
static void beside_its_host_no_line_is_lost_without_a_word(void **state)
{
    unsigned next = 0;

    assert_int_equal(run(state, "many", HALO_LOG_WARN, 1000000), 0);
    assert_in_range(count, 1, 1000);
    for (unsigned i = 0; i < count; i++) {
        char expected[32];

        next += (unsigned)lines[i].dropped;
        (void)snprintf(expected, sizeof(expected), "line %u", next++);
        assert_string_equal(lines[i].text, expected);
    }
}

static void log_01_no_more_lines_than_asked_for(void **state)
{
    uint64_t dropped = 0;

    assert_int_equal(run(state, "many", HALO_LOG_WARN, 10), 0);
    /* A burst of 10, and what a second or so has; the last ones may have been dropped. */
    assert_in_range(count, 10, 500);
    for (unsigned i = 0; i < count; i++)
        dropped += lines[i].dropped;
    assert_true(dropped + count <= 1000);
    assert_string_equal(lines[9].text, "line 9");
}

static void a_line_that_is_too_long_is_cut(void **state)
{
    assert_int_equal(run(state, "long", HALO_LOG_WARN, 0), 0);
    assert_int_equal(count, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(lines[i].len, HALO_LOG_MAX);
        assert_int_equal(lines[i].text[HALO_LOG_MAX - 1], 'a' + (HALO_LOG_MAX - 1) % 26);
    }
}

static void the_last_words_come_before_a_fault(void **state)
{
    assert_int_equal(run(state, "fault", HALO_LOG_WARN, 0), HALO_EFAULT);
    assert_int_equal(count, 1);
    assert_string_equal(lines[0].text, "the last words");
}

static void log_02_what_is_no_line_ends_the_guest(void **state)
{
    static const char *const modes[] = {"no-level", "high-level", "empty",
                                        "no-head",  "too-long",   "room"};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(run(state, modes[i], HALO_LOG_DEBUG, 0), HALO_EPOISONED);
        assert_non_null(strstr(halo_errmsg(box), "a line of a log"));
        assert_int_equal(count, 0);
        halo_close(box);
        box = NULL;
    }
    (void)run(state, "most", HALO_LOG_DEBUG, 0); /* whose ring is spoiled behind it */
    assert_int_equal(count, 1);
    assert_int_equal(lines[0].len, HALO_LOG_MAX);
}

static void over_stacks_there_is_no_log(void **state)
{
    assert_int_equal(run(state, "many", HALO_LOG_DEBUG, 0), 0);
    assert_int_equal(count, 0);
}

static void nobody_has_to_listen(void **state)
{
    assert_int_equal(run(state, "levels", HALO_LOG_ERROR, 0), 0);
    assert_int_equal(count, 1);
    assert_int_equal(halo_log(box, (enum halo_log_level)0, 0, keep, NULL), HALO_EINVAL);
    assert_int_equal(halo_log(box, (enum halo_log_level)5, 0, keep, NULL), HALO_EINVAL);
    assert_int_equal(halo_log(box, HALO_LOG_WARN, 0, NULL, NULL), 0);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(lines_come_up_to_their_level),
        RINGS(a_format_is_printf_s),
        IN_TURNS(lines_take_no_exits_of_their_own),
        THREADED(beside_its_host_no_line_is_lost_without_a_word),
        RINGS(log_01_no_more_lines_than_asked_for),
        RINGS(a_line_that_is_too_long_is_cut),
        RINGS(the_last_words_come_before_a_fault),
        RINGS(log_02_what_is_no_line_ends_the_guest),
        RINGS(nobody_has_to_listen),
        STACKS(over_stacks_there_is_no_log),
    };

    return run_every_way("log", tests, sizeof(tests) / sizeof(tests[0]), no_box, close_box);
}
