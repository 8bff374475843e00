/*
 * Values and signatures: what calls between host and guest carry.
 *
 *     static const struct halo_signature score = HALO_FN(HALO_I64, HALO_STR, HALO_I64);
 *     struct halo_value args[] = {halo_str("some text"), halo_i64(3)};
 *
 * is a function int64_t score(string, int64_t) and the arguments of a call. Both sides know each
 * function's signature and check every call and every answer against it. All functions here may be
 * called by any thread; nothing is allocated.
 */
#ifndef HALO_VALUE_H
#define HALO_VALUE_H

#include <halo/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

enum halo_type {
    HALO_VOID = 0, /* no result; never an argument */
    HALO_I32,
    HALO_U32,
    HALO_I64,
    HALO_U64,
    HALO_F32,
    HALO_F64,
    HALO_BOOL,
    HALO_STR,         /* text without zero bytes inside */
    HALO_BYTES,       /* any bytes */
    HALO_TYPE_COUNT,  /* of those so far, which columns of rows have, too */
    HALO_HANDLE = 11, /* an object of the host's, which it gave to this guest: halo/handle.h */
    /*
     * With the type of a number or HALO_BOOL: HALO_LIST | HALO_F64, "f64[]" as text. Such a value
     * is a list of any number of them, one behind the other as C has them in an array.
     */
    HALO_LIST = 0x40,
};

/*
 * In a signature, with a type: HALO_STR | HALO_MAYBE. Such an argument or result, "str?" as text,
 * may be absent, which is halo_null(). A list that may be is "f64[]?".
 */
#define HALO_MAYBE 0x80u

/*
 * An object of the host's, as a guest knows it. The number says nothing of it: a guest can keep it,
 * compare it and hand it back. 0 is none.
 */
struct halo_handle {
    uint64_t number;
};

/* A value. Strings, bytes and lists are borrowed: who made the value keeps them. */
struct halo_value {
    enum halo_type type;
    /* Bytes of a string, without the zero byte behind it, of bytes, or of a list: halo_count. */
    size_t len;
    union {
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        float f32;
        double f64;
        bool boolean;
        struct halo_handle handle;
        const char *str;   /* ends with a zero byte */
        const void *bytes; /* may be NULL where len is 0 */
        /* Lists, likewise. Those of a call or an answer are aligned as their elements are. */
        const int32_t *i32s;
        const uint32_t *u32s;
        const int64_t *i64s;
        const uint64_t *u64s;
        const float *f32s;
        const double *f64s;
        const bool *bools;
    };
};

/* Private: one that is zero. */
static inline struct halo_value halo__value(enum halo_type type)
{
    struct halo_value made;

    made.type = type;
    made.len = 0;
    made.u64 = 0;
    return made;
}

static inline struct halo_value halo_void(void)
{
    return halo__value(HALO_VOID);
}

/* An absent value, where the signature has HALO_MAYBE: its type is HALO_VOID. */
static inline struct halo_value halo_null(void)
{
    return halo__value(HALO_VOID);
}

static inline bool halo_is_null(const struct halo_value *value)
{
    return value->type == HALO_VOID;
}

static inline struct halo_value halo_i32(int32_t value)
{
    struct halo_value made = halo__value(HALO_I32);

    made.i32 = value;
    return made;
}

static inline struct halo_value halo_u32(uint32_t value)
{
    struct halo_value made = halo__value(HALO_U32);

    made.u32 = value;
    return made;
}

static inline struct halo_value halo_i64(int64_t value)
{
    struct halo_value made = halo__value(HALO_I64);

    made.i64 = value;
    return made;
}

static inline struct halo_value halo_u64(uint64_t value)
{
    struct halo_value made = halo__value(HALO_U64);

    made.u64 = value;
    return made;
}

static inline struct halo_value halo_f32(float value)
{
    struct halo_value made = halo__value(HALO_F32);

    made.f32 = value;
    return made;
}

static inline struct halo_value halo_f64(double value)
{
    struct halo_value made = halo__value(HALO_F64);

    made.f64 = value;
    return made;
}

static inline struct halo_value halo_bool(bool value)
{
    struct halo_value made = halo__value(HALO_BOOL);

    made.boolean = value;
    return made;
}

static inline struct halo_value halo_handle_value(struct halo_handle handle)
{
    struct halo_value made = halo__value(HALO_HANDLE);

    made.handle = handle;
    return made;
}

static inline struct halo_value halo_str(const char *text)
{
    struct halo_value made = halo__value(HALO_STR);

    made.len = __builtin_strlen(text);
    made.str = text;
    return made;
}

static inline struct halo_value halo_bytes(const void *bytes, size_t len)
{
    struct halo_value made = halo__value(HALO_BYTES);

    made.len = len;
    made.bytes = bytes;
    return made;
}

/* --- Lists ------------------------------------------------------------------------------------ */

static inline bool halo_is_list(enum halo_type type)
{
    return ((unsigned)type & HALO_LIST) != 0;
}

/* Bytes of one element of a list; 0 of a type that is no list, or one that there is not. */
static inline size_t halo_element_len(enum halo_type type)
{
    switch ((unsigned)type ^ HALO_LIST) {
    case HALO_BOOL:
        return 1;
    case HALO_I32:
    case HALO_U32:
    case HALO_F32:
        return 4;
    case HALO_I64:
    case HALO_U64:
    case HALO_F64:
        return 8;
    default:
        return 0;
    }
}

/* How many elements a list has; 0 of a value that is none, or absent. */
static inline size_t halo_count(const struct halo_value *list)
{
    const size_t len = halo_element_len(list->type);

    return len > 0 ? list->len / len : 0;
}

/*
 * A list of `count` elements, which stay the caller's: of another type than its functions below, by
 * its type. So many that their length is more than size_t holds are refused wherever it goes.
 */
static inline struct halo_value halo_list(enum halo_type type, const void *values, size_t count)
{
    struct halo_value made = halo__value(type);

    if (__builtin_mul_overflow(count, halo_element_len(type), &made.len))
        made.len = SIZE_MAX;
    made.bytes = values;
    return made;
}

/* Private: the type of a list. */
static inline enum halo_type halo__list_of(enum halo_type type)
{
    return (enum halo_type)((unsigned)type | HALO_LIST);
}

static inline struct halo_value halo_i32s(const int32_t *values, size_t count)
{
    return halo_list(halo__list_of(HALO_I32), values, count);
}

static inline struct halo_value halo_u32s(const uint32_t *values, size_t count)
{
    return halo_list(halo__list_of(HALO_U32), values, count);
}

static inline struct halo_value halo_i64s(const int64_t *values, size_t count)
{
    return halo_list(halo__list_of(HALO_I64), values, count);
}

static inline struct halo_value halo_u64s(const uint64_t *values, size_t count)
{
    return halo_list(halo__list_of(HALO_U64), values, count);
}

static inline struct halo_value halo_f32s(const float *values, size_t count)
{
    return halo_list(halo__list_of(HALO_F32), values, count);
}

static inline struct halo_value halo_f64s(const double *values, size_t count)
{
    return halo_list(halo__list_of(HALO_F64), values, count);
}

static inline struct halo_value halo_bools(const bool *values, size_t count)
{
    return halo_list(halo__list_of(HALO_BOOL), values, count);
}

/* --- Signatures ------------------------------------------------------------------------------- */

/* Most arguments of a function. */
#define HALO_ARGUMENTS_MAX 16u

struct halo_signature {
    uint8_t arg_count;
    uint8_t types[1 + HALO_ARGUMENTS_MAX]; /* the result's, then the arguments'; HALO_MAYBE */
};

/* A type of a signature without HALO_MAYBE, and whether it has that. */
static inline enum halo_type halo_type_of(uint8_t type)
{
    return (enum halo_type)(type & ~HALO_MAYBE);
}

static inline bool halo_is_maybe(uint8_t type)
{
    return type & HALO_MAYBE;
}

/* A signature, the result's type first: HALO_FN(HALO_VOID), HALO_FN(HALO_I64, HALO_STR). */
#ifdef __cplusplus
#define HALO_FN(...) ::halo_signature_of(__VA_ARGS__)
#else
#define HALO_FN(...)                                                                      \
    {                                                                                     \
        .arg_count = sizeof((const uint8_t[]){__VA_ARGS__}) - 1, .types = { __VA_ARGS__ } \
    }
#endif

/* It has a result or none, and arguments that are some. */
bool halo_signature_valid(const struct halo_signature *signature);

bool halo_signature_equal(const struct halo_signature *a, const struct halo_signature *b);

/* Longest text of a signature, with its zero byte. */
#define HALO_SIGNATURE_TEXT_MAX 152u

/*
 * A sound signature as "i64(str, i64?)". `text` has HALO_SIGNATURE_TEXT_MAX bytes and is returned.
 */
const char *halo_signature_text(const struct halo_signature *signature, char *text);

/*
 * The signature that a text is, as halo_signature_text writes it; spaces and tabs may be between
 * its words, or not. Returns 0; HALO_ETYPE for a word that is no type, or void as an argument;
 * HALO_ECOUNT for more than HALO_ARGUMENTS_MAX arguments; HALO_EINVAL for what is no signature, or
 * NULL. *signature changes only where it is 0, and is sound then. Any thread.
 */
int halo_signature_parse(struct halo_signature *signature, const char *text);

/*
 * "i64", "str", "void", of a list "i64[]", and of a signature's type with HALO_MAYBE "i64?";
 * "unknown" for what is no type. Never NULL; static storage.
 */
const char *halo_type_name(enum halo_type type);

/*
 * Do these values go with the signature? Returns 0, HALO_ECOUNT for more or fewer of them,
 * HALO_ETYPE for one of another type, or absent without HALO_MAYBE; *which is its number, from 0.
 * HALO_EINVAL for a string with a zero byte inside, a list whose length is no multiple of its
 * element's or with a bool that is neither 0 nor 1, or a pointer that is NULL.
 */
int halo_values_check(const struct halo_signature *signature, const struct halo_value *args,
                      size_t count, uint32_t *which);

#pragma GCC visibility pop

#ifdef __cplusplus
}

template <class Result, class... Types>
constexpr halo_signature halo_signature_of(Result result, Types... args)
{
    static_assert(sizeof...(args) <= HALO_ARGUMENTS_MAX, "a function has at most 16 arguments");
    return {static_cast<uint8_t>(sizeof...(args)),
            {static_cast<uint8_t>(result), static_cast<uint8_t>(args)...}};
}
#endif

#endif
