/*
 * The compact form of a call: all of it inside one descriptor, for functions of a few numbers,
 * where the ring has inline requests. The answer, where it is a number or nothing, lies inside the
 * used entry; anything else goes into the chain's writable buffers as the answer of any call.
 *
 *     byte 0      HALO_KIND_CALL | HALO_COMPACT, and the nesting depth (HALO_DEPTH_SHIFT)
 *     bytes 1, 2  the function's index
 *     bytes 3…    the arguments, without a gap: bool 1 byte, 32-bit 4, 64-bit 8; before one that
 *                 may be absent a byte, 0 where it is, and then nothing follows, or 1
 */
#ifndef HALO_SRC_CALL_COMPACT_H
#define HALO_SRC_CALL_COMPACT_H

#include <halo/abi.h>
#include <halo/value.h>

#define HALO_COMPACT 0x80u
#define HALO_COMPACT_HEAD 3u

#define HALO__LONG 255u

/* Bytes of a value of this type; HALO__LONG for what is no number, or one that may be absent. */
static inline uint32_t halo__packed_len(enum halo_type type)
{
    static const uint8_t lens[HALO_MAYBE + HALO_LIST + HALO_STR] = {
        [HALO_I32] = 4,
        [HALO_U32] = 4,
        [HALO_I64] = 8,
        [HALO_U64] = 8,
        [HALO_F32] = 4,
        [HALO_F64] = 8,
        [HALO_BOOL] = 1,
        [HALO_STR] = HALO__LONG,
        [HALO_BYTES] = HALO__LONG,
        [HALO_HANDLE] = 8,
        [HALO_MAYBE + HALO_I32] = HALO__LONG,
        [HALO_MAYBE + HALO_U32] = HALO__LONG,
        [HALO_MAYBE + HALO_I64] = HALO__LONG,
        [HALO_MAYBE + HALO_U64] = HALO__LONG,
        [HALO_MAYBE + HALO_F32] = HALO__LONG,
        [HALO_MAYBE + HALO_F64] = HALO__LONG,
        [HALO_MAYBE + HALO_BOOL] = HALO__LONG,
        [HALO_MAYBE + HALO_STR] = HALO__LONG,
        [HALO_MAYBE + HALO_BYTES] = HALO__LONG,
        [HALO_MAYBE + HALO_HANDLE] = HALO__LONG,
        [HALO_LIST + HALO_I32] = HALO__LONG,
        [HALO_LIST + HALO_U32] = HALO__LONG,
        [HALO_LIST + HALO_I64] = HALO__LONG,
        [HALO_LIST + HALO_U64] = HALO__LONG,
        [HALO_LIST + HALO_F32] = HALO__LONG,
        [HALO_LIST + HALO_F64] = HALO__LONG,
        [HALO_LIST + HALO_BOOL] = HALO__LONG,
        [HALO_MAYBE + HALO_LIST + HALO_I32] = HALO__LONG,
        [HALO_MAYBE + HALO_LIST + HALO_U32] = HALO__LONG,
        [HALO_MAYBE + HALO_LIST + HALO_I64] = HALO__LONG,
        [HALO_MAYBE + HALO_LIST + HALO_U64] = HALO__LONG,
        [HALO_MAYBE + HALO_LIST + HALO_F32] = HALO__LONG,
        [HALO_MAYBE + HALO_LIST + HALO_F64] = HALO__LONG,
        [HALO_MAYBE + HALO_LIST + HALO_BOOL] = HALO__LONG,
    };

    return lens[type];
}

/* A program that fills the union itself may leave a bool of 2: it is true, and travels as 1. */
static inline bool halo__truth(const struct halo_value *value)
{
    return *(const unsigned char *)&value->boolean != 0;
}

/* Write a number, or read one: false where it is a bool of neither 0 nor 1. */
static inline void halo__pack(unsigned char *to, const struct halo_value *value)
{
    const uint32_t len = halo__packed_len(value->type);

    if (len == 1)
        *to = halo__truth(value);
    else if (len == 4)
        __builtin_memcpy(to, &value->u64, 4);
    else if (len == 8)
        __builtin_memcpy(to, &value->u64, 8);
}

static inline bool halo__unpack(const unsigned char *from, enum halo_type type,
                                struct halo_value *value)
{
    *value = (struct halo_value){.type = type};
    if (type == HALO_BOOL) {
        value->boolean = *from == 1;
        return *from <= 1;
    }
    if (halo__packed_len(type) == 4)
        __builtin_memcpy(&value->u64, from, 4);
    else if (halo__packed_len(type) == 8)
        __builtin_memcpy(&value->u64, from, 8);
    return true;
}

/*
 * The same of one that may be absent, which is of that type or absent: bytes that were written; or
 * read, of `left`, 0 where they are not enough, or below that where they are none of that type.
 */
static inline uint32_t halo__pack_maybe(unsigned char *to, const struct halo_value *value)
{
    *to = !halo_is_null(value);
    halo__pack(to + 1, value); /* of an absent one nothing */
    return 1 + halo__packed_len(value->type);
}

static inline int halo__unpack_maybe(const unsigned char *from, uint32_t left, enum halo_type type,
                                     struct halo_value *value)
{
    const uint32_t len = halo__packed_len(type);

    if (left == 0)
        return 0;
    if (*from == 0) {
        *value = halo_null();
        return 1;
    }
    if (len > left - 1)
        return 0;
    return *from == 1 && halo__unpack(from + 1, type, value) ? (int)(1 + len) : -1;
}

#endif
