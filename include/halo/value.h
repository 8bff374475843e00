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

enum halo_type {
    HALO_VOID = 0, /* no result; never an argument */
    HALO_I32,
    HALO_U32,
    HALO_I64,
    HALO_U64,
    HALO_F32,
    HALO_F64,
    HALO_BOOL,
    HALO_STR,   /* text without zero bytes inside */
    HALO_BYTES, /* any bytes */
    HALO_TYPE_COUNT,
};

/* A value. Strings and bytes are borrowed: who made the value keeps them. */
struct halo_value {
    enum halo_type type;
    size_t len; /* bytes of a string, without the zero byte behind it, or of bytes */
    union {
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        float f32;
        double f64;
        bool boolean;
        const char *str;   /* ends with a zero byte */
        const void *bytes; /* may be NULL where len is 0 */
    };
};

static inline struct halo_value halo_void(void)
{
    return (struct halo_value){.type = HALO_VOID};
}

static inline struct halo_value halo_i32(int32_t value)
{
    return (struct halo_value){.type = HALO_I32, .i32 = value};
}

static inline struct halo_value halo_u32(uint32_t value)
{
    return (struct halo_value){.type = HALO_U32, .u32 = value};
}

static inline struct halo_value halo_i64(int64_t value)
{
    return (struct halo_value){.type = HALO_I64, .i64 = value};
}

static inline struct halo_value halo_u64(uint64_t value)
{
    return (struct halo_value){.type = HALO_U64, .u64 = value};
}

static inline struct halo_value halo_f32(float value)
{
    return (struct halo_value){.type = HALO_F32, .f32 = value};
}

static inline struct halo_value halo_f64(double value)
{
    return (struct halo_value){.type = HALO_F64, .f64 = value};
}

static inline struct halo_value halo_bool(bool value)
{
    return (struct halo_value){.type = HALO_BOOL, .boolean = value};
}

static inline struct halo_value halo_str(const char *text)
{
    return (struct halo_value){.type = HALO_STR, .len = __builtin_strlen(text), .str = text};
}

static inline struct halo_value halo_bytes(const void *bytes, size_t len)
{
    return (struct halo_value){.type = HALO_BYTES, .len = len, .bytes = bytes};
}

/* --- Signatures ------------------------------------------------------------------------------- */

/* Most arguments of a function. */
#define HALO_ARGUMENTS_MAX 8u

struct halo_signature {
    uint8_t arg_count;
    uint8_t types[1 + HALO_ARGUMENTS_MAX]; /* the result's, then the arguments' */
};

/* A signature, the result's type first: HALO_FN(HALO_VOID), HALO_FN(HALO_I64, HALO_STR). */
#define HALO_FN(...)                                                                      \
    {                                                                                     \
        .arg_count = sizeof((const uint8_t[]){__VA_ARGS__}) - 1, .types = { __VA_ARGS__ } \
    }

/* It has a result or none, and arguments that are some. */
bool halo_signature_valid(const struct halo_signature *signature);

bool halo_signature_equal(const struct halo_signature *a, const struct halo_signature *b);

/* Longest text of a signature, with its zero byte. */
#define HALO_SIGNATURE_TEXT_MAX 72u

/*
 * A sound signature as "i64(str, i64)". `text` has HALO_SIGNATURE_TEXT_MAX bytes and is returned.
 */
const char *halo_signature_text(const struct halo_signature *signature, char *text);

/* "i64", "str", "void"; "unknown" for what is no type. Never NULL; static storage. */
const char *halo_type_name(enum halo_type type);

/*
 * Do these values go with the signature? Returns 0, HALO_ECOUNT for more or fewer of them,
 * HALO_ETYPE for one of another type; *which is its number, from 0. HALO_EINVAL for a string with a
 * zero byte inside, or a pointer that is NULL.
 */
int halo_values_check(const struct halo_signature *signature, const struct halo_value *args,
                      size_t count, uint32_t *which);

#ifdef __cplusplus
}
#endif

#endif
