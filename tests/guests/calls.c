/* calls: a guest that tries out calls of its host, as its first argument says. For tests/calls. */
#include <halo/guest.h>

HALO_IMPORT(echo_i32, "echo.i32", HALO_I32, HALO_I32);
HALO_IMPORT(echo_u32, "echo.u32", HALO_U32, HALO_U32);
HALO_IMPORT(echo_i64, "echo.i64", HALO_I64, HALO_I64);
HALO_IMPORT(echo_u64, "echo.u64", HALO_U64, HALO_U64);
HALO_IMPORT(echo_f32, "echo.f32", HALO_F32, HALO_F32);
HALO_IMPORT(echo_f64, "echo.f64", HALO_F64, HALO_F64);
HALO_IMPORT(echo_bool, "echo.bool", HALO_BOOL, HALO_BOOL);
HALO_IMPORT(echo_str, "echo.str", HALO_STR, HALO_STR);
HALO_IMPORT(echo_bytes, "echo.bytes", HALO_BYTES, HALO_BYTES);
HALO_IMPORT(nothing, "nothing", HALO_VOID);
HALO_IMPORT(sum, "sum", HALO_U64, HALO_BYTES, HALO_STR, HALO_BYTES);
HALO_IMPORT(many, "many", HALO_I64, HALO_I32, HALO_U32, HALO_I64, HALO_U64, HALO_F64, HALO_BOOL,
            HALO_STR, HALO_BYTES);
HALO_IMPORT(failing, "failing", HALO_I32, HALO_I32);
HALO_IMPORT(mute, "mute", HALO_I32);
HALO_IMPORT(confused, "confused", HALO_I32);
HALO_IMPORT(absent, "absent", HALO_I32);
HALO_IMPORT(other, "nothing", HALO_I32);
HALO_IMPORT(letters, "letters", HALO_STR, HALO_U32);

static struct halo_future future;

static void require(bool good, const char *what)
{
    if (!good)
        halo_panic(what);
}

static bool same(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && memcmp(a, b, strlen(a)) == 0;
}

static uint64_t number(const char *text)
{
    uint64_t value = 0;

    for (; *text; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    return value;
}

/* --- Values ----------------------------------------------------------------------------------- */

static void echo(struct halo_import *import, struct halo_value value)
{
    require(halo_call_start(&future, import, &value, 1) == 0, "an echo cannot start");
    require(halo_wait(&future) == 0, "an echo failed");
    require(future.result.type == value.type && future.result.len == value.len, "another type");
    if (value.type >= HALO_STR)
        require(memcmp(future.result.bytes, value.bytes, value.len) == 0, "other bytes");
    else
        require(future.result.u64 == value.u64, "another number");
    if (value.type == HALO_STR)
        require(future.result.str[value.len] == '\0', "text without its end");
}

static void values(uint64_t count)
{
    static const int64_t edges[] = {0,   1,         -1,        127,       128,       -64,
                                    -65, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 12345};
    static char text[257];

    (void)count;
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        echo(&echo_i32, halo_i32((int32_t)edges[i]));
        echo(&echo_u32, halo_u32((uint32_t)edges[i]));
        echo(&echo_i64, halo_i64(edges[i]));
        echo(&echo_u64, halo_u64((uint64_t)edges[i]));
        echo(&echo_f32, halo_f32((float)edges[i] / 3));
        echo(&echo_f64, halo_f64((double)edges[i] / 3));
        echo(&echo_bool, halo_bool(edges[i] & 1));
    }
    for (uint32_t len = 0; len <= 256; len++) {
        text[len] = '\0';
        echo(&echo_str, halo_str(text));
        echo(&echo_bytes, halo_bytes(text, len));
        text[len] = (char)('a' + len % 26);
    }
    require(halo_call_start(&future, &nothing, NULL, 0) == 0 && halo_wait(&future) == 0 &&
                future.result.type == HALO_VOID,
            "nothing");
    require(halo_call(&future, &many, halo_i32(-1), halo_u32(2), halo_i64(-3), halo_u64(4),
                      halo_f64(5.5), halo_bool(true), halo_str("six"),
                      halo_bytes("seven", 5)) == 0 &&
                future.result.i64 == 42,
            "many arguments");
}

/* --- Batches ---------------------------------------------------------------------------------- */

static void batch(uint64_t count)
{
    static struct halo_future futures[1000];

    require(count <= 1000, "too many");
    for (uint64_t i = 0; i < count; i++)
        require(halo_call_start(&futures[i], &echo_u64,
                                &(struct halo_value){.type = HALO_U64, .u64 = i}, 1) == 0,
                "cannot start");
    for (uint64_t i = count; i-- > 0;) {
        require(halo_wait(&futures[i]) == 0 && futures[i].result.u64 == i, "another's answer");
        require(halo_ready(&futures[i]) && halo_wait(&futures[i]) == 0, "once more");
    }
}

/* --- What is long ----------------------------------------------------------------------------- */

static void long_arguments(uint64_t len)
{
    unsigned char *heap = malloc(len + 1);
    uint64_t expected = 0;

    require(heap != NULL, "the heap is too small");
    for (uint64_t i = 0; i < len; i++) {
        heap[i] = (unsigned char)(1 + i % 255);
        expected += heap[i];
    }
    heap[len] = '\0';
    require(halo_call(&future, &sum, halo_bytes(heap, len), halo_str("ab"), halo_bytes("\1", 1)) ==
                0,
            "a long argument");
    require(future.result.u64 == expected + 'a' + 'b' + 1, "the sum of bytes");
    require(halo_call(&future, &sum, halo_bytes(NULL, 0), halo_str((char *)heap),
                      halo_bytes("\2", 1)) == 0,
            "a long text");
    require(future.result.u64 == expected + 2, "the sum of letters");
    free(heap);
}

/* Of each length up to `count`, around the limit between short and announced. */
static void lengths(uint64_t count)
{
    static char text[2048];

    require(count < sizeof(text), "too many");
    for (uint64_t len = 0; len <= count; len++) {
        text[len] = '\0';
        require(halo_call(&future, &sum, halo_bytes(text, len), halo_str(text),
                          halo_bytes(text, len)) == 0 &&
                    future.result.u64 == 3 * 'x' * len,
                "a length");
        text[len] = 'x';
    }
}

/* --- Errors ----------------------------------------------------------------------------------- */

static void errors(uint64_t count)
{
    struct halo_value wrong = halo_u32(1);
    struct halo_value zero = {.type = HALO_STR, .len = 3, .str = "a\0b"};

    (void)count;
    require(absent.index == HALO_ENAME && other.index == HALO_ETYPE, "an index");
    require(halo_call_start(&future, &absent, NULL, 0) == HALO_ENAME, "an absent function");
    require(halo_wait(&future) == HALO_ENAME &&
                same(future.text, "absent: the host has no such function; it provides it before "
                                  "the guest starts"),
            "the wait for an absent function");
    require(halo_call_start(&future, &other, NULL, 0) == HALO_ETYPE &&
                same(future.text, "nothing: the host has it with another signature"),
            "another signature");
    require(halo_call_start(&future, &echo_i32, &wrong, 0) == HALO_ECOUNT &&
                same(future.text, "echo.i32: the arguments are not those of its signature"),
            "no argument");
    require(halo_call_start(&future, &echo_i32, &wrong, 1) == HALO_ETYPE, "another type");
    require(halo_call_start(&future, &echo_str, &zero, 1) == HALO_EINVAL, "a zero byte in text");

    require(halo_call(&future, &failing, halo_i32(7)) == HALO_ECALL, "a function that fails");
    require(future.code == 7 && same(future.text, "number 7"), "its code and text");
    require(halo_call(&future, &failing, halo_i32(INT32_MAX)) == HALO_ECALL &&
                future.code == INT32_MAX && strlen(future.text) == HALO_ERROR_TEXT_MAX,
            "a long text");
    require(halo_call(&future, &failing, halo_i32(0)) == 0 && future.result.i32 == 1,
            "after errors, a result");
    require(halo_call_start(&future, &mute, NULL, 0) == 0 && halo_wait(&future) == HALO_ETYPE,
            "a function that returns nothing");
    require(halo_call_start(&future, &confused, NULL, 0) == 0 && halo_wait(&future) == HALO_ETYPE,
            "a function that returns something else");

    require(halo_call(&future, &letters, halo_u32(256)) == 0 && future.result.len == 256,
            "the longest short text");
    require(halo_call(&future, &letters, halo_u32(1000)) == 0 && future.result.len == 1000 &&
                future.result.str[999] == 'x' && future.result.str[1000] == '\0',
            "a result that did not fit");
    halo_future_free(&future);
    require(halo_call(&future, &letters, halo_u32(1)) == 0 && same(future.result.str, "x"),
            "after it, a short one");
}

/* --- Calls and streams together --------------------------------------------------------------- */

static void mixed(uint64_t count)
{
    static struct halo_future futures[100];
    struct halo_reader in;
    const void *bytes;
    uint64_t total = 0;
    int64_t len;

    require(halo_reader_open(&in, HALO_STDIN) == 0, "cannot read");
    while ((len = halo_reader_next(&in, &bytes)) > 0) {
        total += (uint64_t)len;
        for (uint64_t i = 0; i < count; i++)
            require(halo_call_start(&futures[i], &echo_u64,
                                    &(struct halo_value){.type = HALO_U64, .u64 = total + i},
                                    1) == 0,
                    "cannot start");
        require(halo_write(HALO_STDOUT, bytes, (size_t)len) == 0, "cannot write");
        for (uint64_t i = 0; i < count; i++)
            require(halo_wait(&futures[i]) == 0 && futures[i].result.u64 == total + i,
                    "another's answer");
    }
    halo_reader_close(&in);
    require(len == 0, "a read failed");
}

/* What is like a call of a function: one exit for each, and done when it is started. */
static void stacks(uint64_t count)
{
    static char text[1 << 20];
    struct halo_reader in;

    for (uint64_t i = 0; i < count; i++) {
        const struct halo_value value = halo_u64(i);

        require(halo_call_start(&future, &echo_u64, &value, 1) == 0 && future.done &&
                    future.result.u64 == i,
                "a call that is made at once");
    }
    memset(text, 'x', sizeof(text) - 1);
    require(halo_call(&future, &sum, halo_bytes("", 0), halo_str(text), halo_bytes("", 0)) ==
                HALO_ESIZE,
            "more than a stack holds");
    require(halo_call(&future, &letters, halo_u32(1999)) == 0 && future.result.len == 1999,
            "a long result");
    halo_future_free(&future);
    require(halo_reader_open(&in, HALO_STDIN) == HALO_ETRANSPORT, "a reader");
    require(halo_write(HALO_STDOUT, "x", 1) == HALO_ETRANSPORT, "a write");
    require(halo_flush() == 0, "a flush");
}

/* Started, and never waited for. */
static void forget(uint64_t count)
{
    static struct halo_future futures[100];

    for (uint64_t i = 0; i < count; i++)
        require(halo_call_start(&futures[i], &nothing, NULL, 0) == 0, "cannot start");
    halo_exit(3);
}

static const struct {
    const char *name;
    void (*run)(uint64_t count);
} modes[] = {
    {"values", values}, {"batch", batch}, {"long", long_arguments}, {"lengths", lengths},
    {"errors", errors}, {"mixed", mixed}, {"stacks", stacks},       {"forget", forget},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (same(argv[1], modes[i].name)) {
            modes[i].run(argc > 2 ? number(argv[2]) : 0);
            return 0;
        }
    }
    halo_panic("no such mode");
}
