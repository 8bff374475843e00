/*
 * A sandbox whose guest's functions are called, for the tests of such calls:
 * tests/guests/functions.c and both.c, and what they call of their host's.
 */
#ifndef HALO_TESTS_CALLS_FUNCTIONS_H
#define HALO_TESTS_CALLS_FUNCTIONS_H

#include "ways.h"

#define SECONDS (1000000000ll)

static const char *functions = FUNCTIONS, *both = BOTH, *trouble = TROUBLE; /* their files */
static struct halo_sandbox *box;
static struct halo_future future;
static int64_t noted[8];
static int note_count;
static int text_result; /* what answering with a text is */

/* --- The host's functions --------------------------------------------------------------------- */

static inline void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    halo_return(call, halo_i64(2 * args[0].i64));
}

static inline void down(struct halo_call *call, const struct halo_value *args, void *context)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    struct halo_future inner;
    const int function = halo_lookup(halo_call_sandbox(call), "down", &type);
    int error;

    (void)context;
    if (args[0].i64 == 0) {
        halo_return(call, halo_i64(0));
        return;
    }
    error = halo_call(halo_call_sandbox(call), &inner, function, HALO_FOREVER,
                      halo_i64(args[0].i64 - 1));
    halo_return(call, halo_i64(error                  ? error
                               : inner.result.i64 < 0 ? inner.result.i64
                                                      : inner.result.i64 + 1));
    halo_future_free(&inner);
}

static inline void text(struct halo_call *call, const struct halo_value *args, void *context)
{
    char *letters = malloc(args[0].u32 + 1u);

    (void)context;
    memset(letters, 'x', args[0].u32);
    letters[args[0].u32] = '\0';
    assert_int_equal(halo_return(call, halo_str(letters)), text_result);
    free(letters);
}

static inline void note(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call;
    (void)context;
    noted[note_count++ % 8] = args[0].i64;
}

/* --- Setting up ------------------------------------------------------------------------------- */

static inline int function(const char *name, struct halo_signature signature)
{
    const int found = halo_lookup(box, name, &signature);

    if (found < 0)
        fail_msg("%s", halo_errmsg(box));
    return found;
}

#define FN(...) ((struct halo_signature)HALO_FN(__VA_ARGS__))

/* `twice_by` and `down_by` are what its guest calls as host.twice and host.down. */
static inline void open_providing(const char *file, struct halo_options options,
                                  halo_function *twice_by, halo_function *down_by)
{
    static const struct halo_signature i64_i64 = HALO_FN(HALO_I64, HALO_I64);
    static const struct halo_signature str_u32 = HALO_FN(HALO_STR, HALO_U32);
    static const struct halo_signature void_i64 = HALO_FN(HALO_VOID, HALO_I64);

    if (options.ram_len == 0)
        options.ram_len = 64ull << 20;
    note_count = 0;
    if (halo_open(&box, file, &options))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(halo_provide(box, "host.twice", &i64_i64, twice_by, NULL), 0);
    assert_int_equal(halo_provide(box, "host.down", &i64_i64, down_by, NULL), 0);
    assert_int_equal(halo_provide(box, "host.text", &str_u32, text, NULL), 0);
    assert_int_equal(halo_provide(box, "host.note", &void_i64, note, NULL), 0);
}

static inline void open_file(const char *file, struct halo_options options)
{
    open_providing(file, options, twice, down);
}

static inline int open_functions(void **state)
{
    open_file(functions, way_options(state));
    assert_int_equal(halo_serve_begin(box, 10 * SECONDS), 0);
    return 0;
}

static inline int close_box(void **state)
{
    (void)state;
    halo_close(box);
    return 0;
}

static inline struct halo_stats stats(void)
{
    struct halo_stats now;

    halo_stats(box, &now);
    return now;
}

/* --- Values ----------------------------------------------------------------------------------- */

/* Bytes of a number. */
static inline size_t width(enum halo_type type)
{
    return type == HALO_BOOL ? 1 : type == HALO_I32 || type == HALO_U32 || type == HALO_F32 ? 4 : 8;
}

static inline void echo(const char *name, struct halo_value value)
{
    assert_int_equal(halo_call(box, &future,
                               function(name, FN((uint8_t)value.type, (uint8_t)value.type)),
                               HALO_FOREVER, value),
                     0);
    assert_int_equal(future.result.type, value.type);
    assert_int_equal(future.result.len, value.len);
    if (value.type >= HALO_STR)
        assert_memory_equal(future.result.bytes, value.bytes, value.len);
    else
        assert_memory_equal(&future.result.u64, &value.u64, width(value.type));
    if (value.type == HALO_STR)
        assert_int_equal(future.result.str[value.len], 0);
    halo_future_free(&future);
}

/* --- Their files ------------------------------------------------------------------------------ */

/* Other files than those of this build: FUNCTIONS BOTH TROUBLE. */
static inline void take_files(int argc, char **argv)
{
    if (argc > 3) {
        functions = argv[1];
        both = argv[2];
        trouble = argv[3];
    }
}

#endif
