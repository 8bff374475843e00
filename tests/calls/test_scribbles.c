/*
 * Guests whose messages are wrong at random: tests/guests/scribble.c. Its host calls functions of
 * values and of rows, fetches, serves its calls and moves its streams, and looks at every byte of
 * every answer. Whatever it gets, that is an answer or an error with words; nothing takes longer
 * than its time limit allows, and what it keeps is given back.
 *
 *     test_scribbles [FIRST [COUNT]]      seeds; each is a guest, and the same every time
 */
#include "ways.h"
#include <halo/rows.h>

#define MAX 5000u
#define LIMIT_NS 300000000ll
#define STEPS 12

static unsigned first_seed = 1, seed_count = 100;
static struct halo_sandbox *box;
static struct halo_rows rows;
static double f64s[MAX];
static int64_t i64s[MAX];
static int32_t offsets[MAX + 1];
static char texts[5 * MAX + 1];
static unsigned char validity[MAX / 8 + 1];
static unsigned answers, endings;
static int depth;

static const struct halo_signature str_str = HALO_FN(HALO_STR, HALO_STR),
                                   i64_i64 = HALO_FN(HALO_I64, HALO_I64),
                                   i64_u32 = HALO_FN(HALO_I64, HALO_U32),
                                   i64_str_i64 = HALO_FN(HALO_I64, HALO_STR, HALO_I64),
                                   f64_f64_f64 = HALO_FN(HALO_F64, HALO_F64, HALO_F64),
                                   void_u32_u32 = HALO_FN(HALO_VOID, HALO_U32, HALO_U32);

/* --- The host's functions --------------------------------------------------------------------- */

static void text(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    halo_return(call, args[0]);
}

static void number(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    halo_return(call, halo_i64((int64_t)((uint64_t)args[0].i64 + 1)));
}

static void nested(struct halo_call *call, const struct halo_value *args, void *context)
{
    struct halo_future future;

    (void)context;
    if (depth++ < 3) {
        (void)halo_call(box, &future, halo_lookup(box, "ask", &i64_u32), LIMIT_NS / 3,
                        halo_u32(1000));
        halo_future_free(&future);
    }
    depth--;
    halo_return(call, args[0]);
}

/* --- Looking at answers ----------------------------------------------------------------------- */

static volatile unsigned long sum; /* so that all is read */

static void read_all(const void *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum += ((const unsigned char *)from)[i];
}

static void read_rows(int error)
{
    const struct halo_column *column = &rows.result;

    for (uint32_t i = 0; !error && i < rows.count; i++) {
        size_t len = 8;
        const void *at = column->type == HALO_STR ? halo_column_text(column, i, &len)
                                                  : (const char *)column->values + 8 * (size_t)i;

        sum += halo_column_has(column, i);
        read_all(at, len);
    }
    for (uint32_t i = 0; i < rows.error_count; i++)
        read_all(rows.errors[i].text, strlen(rows.errors[i].text));
}

/* --- One step --------------------------------------------------------------------------------- */

static int with_rows(const char *name, const struct halo_signature *type,
                     const struct halo_column *args, size_t count, uint32_t chance)
{
    static const uint32_t counts[] = {1, 7, 300, MAX};
    int error = halo_call_rows_start(box, &rows, halo_lookup(box, name, type), counts[chance % 4],
                                     args, count, chance & 4 ? HALO_ROWS_GO_ON : 0);

    if (!error)
        error = halo_wait(&rows.future, LIMIT_NS);
    read_rows(error);
    if (error == HALO_ETIMEDOUT) /* it is given up */
        halo_rows_free(&rows);
    return error;
}

static int with_text(uint32_t len)
{
    struct halo_future future;
    char *letters = malloc(len + 1);
    int error;

    memset(letters, 'y', len);
    letters[len] = '\0';
    error =
        halo_call(box, &future, halo_lookup(box, "text", &str_str), LIMIT_NS, halo_str(letters));
    if (!error)
        read_all(future.result.str, future.result.len + 1);
    halo_future_free(&future);
    free(letters);
    return error;
}

static int with_number(const char *name, uint32_t value)
{
    struct halo_future future;
    const int error =
        halo_call(box, &future, halo_lookup(box, name, &i64_u32), LIMIT_NS, halo_u32(value));

    halo_future_free(&future);
    return error;
}

static int step(uint32_t chance)
{
    const unsigned char *some = chance & 8 ? validity : NULL;
    const struct halo_column numbers[] = {halo_numbers(HALO_F64, f64s, some),
                                          halo_numbers(HALO_F64, f64s, NULL)};
    const struct halo_column mixed[] = {halo_texts(HALO_STR, offsets, texts, some),
                                        halo_numbers(HALO_I64, i64s, NULL)};

    switch (chance / 16 % 6) {
    case 0:
        return with_rows("mul", &f64_f64_f64, numbers, 2, chance);
    case 1:
        return with_rows("len", &i64_str_i64, mixed, 2, chance);
    case 2:
        return with_rows("text", &str_str, mixed, 1, chance);
    case 3:
        return with_text(chance % 200000);
    case 4:
        return with_number("ask", chance);
    default:
        return with_number("move", chance);
    }
}

/* --- One guest -------------------------------------------------------------------------------- */

static void open_guest(void **state, unsigned seed)
{
    const struct halo_options options = way_options(state);
    struct halo_future future;

    if (halo_open(&box, SCRIBBLE, &options) ||
        halo_provide(box, "host.text", &str_str, text, NULL) ||
        halo_provide(box, "host.number", &i64_i64, number, NULL) ||
        halo_provide(box, "host.nested", &i64_i64, nested, NULL) ||
        halo_attach(box, HALO_STDIN, halo_end_memory(texts, sizeof(texts), NULL, 0)) ||
        halo_attach(box, HALO_STDOUT, halo_end_memory(NULL, 0, texts, sizeof(texts))) ||
        halo_serve_begin(box, HALO_FOREVER))
        fail_msg("%s", halo_errmsg(box));
    /* The answer to this may be wrong already. */
    (void)halo_call(box, &future, halo_lookup(box, "seed", &void_u32_u32), LIMIT_NS, halo_u32(seed),
                    halo_u32(1 + seed % 20));
}

/* What a guest that breaks rules may come to; the host's own troubles are none of these. */
static bool is_ending(int error)
{
    return error == HALO_EFAULT || error == HALO_EPANIC || error == HALO_EPOISONED ||
           error == HALO_ESTATE;
}

static void one_guest(void **state, unsigned seed)
{
    uint32_t chance = seed;
    int error = 0, code;

    open_guest(state, seed);
    for (int i = 0; i < STEPS && !is_ending(error); i++) {
        chance = chance * 1664525u + 1013904223u;
        error = step(chance >> 4);
        answers += error == 0;
        if (error == HALO_EHOST || error == HALO_EIO || (error && !halo_errmsg(box)[0]))
            fail_msg("seed %u: %s: %s", seed, halo_errname(error), halo_errmsg(box));
    }
    endings += is_ending(error);
    (void)halo_run(box, LIMIT_NS, &code);
    if (seed % 3)
        halo_rows_free(&rows); /* else they outlive their sandbox */
    halo_close(box);
    box = NULL;
}

static void random_messages_are_answers_or_errors(void **state)
{
    memset(texts, 't', sizeof(texts));
    memset(validity, 0x5b, sizeof(validity));
    for (uint32_t i = 0; i < MAX; i++) {
        f64s[i] = i;
        i64s[i] = i;
        offsets[i + 1] = (int32_t)(5 * i + 5);
    }
    answers = endings = 0;
    for (unsigned seed = first_seed; seed < first_seed + seed_count; seed++)
        one_guest(state, seed);
    print_message("%u answers, %u guests ended\n", answers, endings);
    assert_true(answers > seed_count); /* they are not all wrong, and not all right */
    assert_true(endings > seed_count / 10);
}

static int free_rows(void **state)
{
    (void)state;
    halo_rows_free(&rows);
    halo_close(box);
    box = NULL;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct way_test tests[] = {
        RINGS(random_messages_are_answers_or_errors),
    };

    if (argc > 1)
        first_seed = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        seed_count = (unsigned)strtoul(argv[2], NULL, 10);
    return run_every_way("scribbles", tests, 1, NULL, free_rows);
}
