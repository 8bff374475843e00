/*
 * The compact form of a call: all of it inside one descriptor, for functions of a few numbers,
 * where the ring has inline requests. The answer, where it is a number or nothing, lies inside the
 * used entry; anything else goes into the chain's writable buffers as the answer of any call.
 *
 *     byte 0      HALO_KIND_CALL | HALO_COMPACT
 *     bytes 1, 2  the function's index
 *     bytes 3…    the arguments, without a gap: bool 1 byte, 32-bit 4, 64-bit 8
 */
#ifndef HALO_SRC_CALL_COMPACT_H
#define HALO_SRC_CALL_COMPACT_H

#include <halo/abi.h>
#include <halo/value.h>

#define HALO_COMPACT 0x80u
#define HALO_COMPACT_HEAD 3u

/* Bytes of a value of this type; above 8 for what is no number. */
static inline uint32_t halo__packed_len(enum halo_type type)
{
    static const uint8_t lens[HALO_TYPE_COUNT] = {0, 4, 4, 8, 8, 4, 8, 1, 255, 255};

    return lens[type];
}

/* Bytes of all arguments; above what fits where one is no number. */
static inline uint32_t halo__packed_args_len(const struct halo_signature *signature)
{
    uint32_t len = 0;

    for (uint32_t i = 1; i <= signature->arg_count; i++)
        len += halo__packed_len((enum halo_type)signature->types[i]);
    return len;
}

/* Write a number, or read one: false where it is a bool of neither 0 nor 1. */
static inline void halo__pack(unsigned char *to, const struct halo_value *value)
{
    if (value->type == HALO_BOOL)
        *to = value->boolean;
    else
        __builtin_memcpy(to, &value->u64, halo__packed_len(value->type));
}

static inline bool halo__unpack(const unsigned char *from, enum halo_type type,
                                struct halo_value *value)
{
    *value = (struct halo_value){.type = type};
    if (type == HALO_BOOL) {
        value->boolean = *from == 1;
        return *from <= 1;
    }
    __builtin_memcpy(&value->u64, from, halo__packed_len(type));
    return true;
}

#endif
