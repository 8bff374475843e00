/*
 * The wire above the ring, which both sides share: this folder has all of its layout that is not in
 * halo/abi.h. What is read here was copied to private memory before, and may be hostile.
 *
 *     value.c               types, values and signatures
 *     envelope.c, .h        values as bytes, as call.proto has them
 *     payload.h             head, envelope and segments: what follows a message's header
 *     rows.c, .h            columns: the payload of calls with rows
 *     compact.h             all of it in one descriptor, for a few numbers
 *     stack.h               messages on a stack, where that is the transport
 *     exported.c            the inline functions of halo/value.h, for other languages
 *
 * A call's way: halo__payload_put writes head and envelope, and says how long the segments are that
 * the caller puts behind them; the other side reads the head (halo__call_head_is_valid), then the
 * function (halo__decode_function), and by its signature the arguments (halo__decode_arguments),
 * whose long ones point to the segments from halo__place_raw on.
 *
 * The envelope of a call, an answer or an error: values as bytes (call.proto), the same code on
 * both sides. Every field is bounded, and what is read is as suspicious of a guest as of a host:
 * fields in order, each once, of the types that the signature says, and nothing behind them.
 *
 * Strings and bytes above HALO_SHORT_MAX, and all lists, are only announced here. Their bytes
 * follow the envelope, in the order of the arguments, text with its zero byte, a list from the next
 * multiple of its element's length on, as the payload counts: the caller puts them there, and finds
 * them by the values' lengths.
 */
#ifndef HALO_SRC_CALL_ENVELOPE_H
#define HALO_SRC_CALL_ENVELOPE_H

#include <halo/abi.h>
#include <halo/value.h>

/* Longest string or bytes inside an envelope. */
#define HALO_SHORT_MAX 256u

/* Longest envelope: each value has at most two tags and two lengths besides its bytes. */
#define HALO_ENVELOPE_MAX (8u + HALO_ARGUMENTS_MAX * (8u + HALO_SHORT_MAX))

/* It points to bytes: it is text, bytes, or a list. */
static inline bool halo__has_bytes(const struct halo_value *value)
{
    return value->type == HALO_STR || value->type == HALO_BYTES ||
           halo_element_len(value->type) > 0;
}

/* It is announced, and its bytes are not in the envelope. */
static inline bool halo__is_raw(const struct halo_value *value)
{
    return value->type >= HALO_STR && (value->len > HALO_SHORT_MAX || halo_is_list(value->type));
}

/* Bytes of a value behind the envelope: text is followed by its zero byte there. */
static inline uint64_t halo__raw_len(const struct halo_value *value)
{
    return halo__is_raw(value) ? (uint64_t)value->len + (value->type == HALO_STR) : 0;
}

/* Bytes between what ends at `at` of the payload and the value's segment: a list is aligned. */
static inline uint32_t halo__raw_pad(const struct halo_value *value, uint64_t at)
{
    if (!halo_is_list(value->type) || value->len == 0)
        return 0;
    return (uint32_t)(-at & (halo_element_len(value->type) - 1));
}

/* Bytes of all that stands behind an envelope that ends at `at` of the payload. */
static inline uint64_t halo__segments_len(const struct halo_value *values, uint32_t count,
                                          uint64_t at)
{
    uint64_t end = at;

    for (uint32_t i = 0; i < count; i++)
        end += halo__raw_pad(&values[i], end) + halo__raw_len(&values[i]);
    return end - at;
}

/*
 * Write an envelope to `to`, which has HALO_ENVELOPE_MAX bytes; returns its length. The values have
 * been checked against the signature (halo_values_check); `function` is not 0, nor is `code`. The
 * text of an error is cut at HALO_ERROR_TEXT_MAX.
 */
size_t halo__encode_call(unsigned char *to, uint32_t function, const struct halo_value *args,
                         uint32_t count);
size_t halo__encode_result(unsigned char *to, const struct halo_value *result);
size_t halo__encode_error(unsigned char *to, int32_t code, const char *text);

/*
 * Read an envelope in private memory, which is changed: strings get their zero byte in it, and the
 * values point into it. All return 0, or HALO_EMESSAGE for bytes that follow no rule.
 *
 * Of a call the function comes first, in the first *used bytes; then its arguments, by its
 * signature: HALO_ECOUNT for more or fewer, HALO_ETYPE for one of another type, or absent where the
 * signature does not allow it; then *raw is its number, from 0. A value that is raw has its length,
 * and NULL for its bytes; *raw is the sum of halo__raw_len.
 */
int halo__decode_function(unsigned char *bytes, size_t len, uint32_t *function, size_t *used);
int halo__decode_arguments(unsigned char *bytes, size_t len, const struct halo_signature *signature,
                           struct halo_value *args, uint64_t *raw);
/* Of a result `type` is that of a signature, perhaps with HALO_MAYBE. */
int halo__decode_result(unsigned char *bytes, size_t len, enum halo_type type,
                        struct halo_value *result, uint64_t *raw);
/*
 * Where the raw values lie: one behind the other from `bytes` + `at` on, where `bytes` is aligned
 * to 8 bytes, as the payload's begin is. HALO_EMESSAGE for text that does not end where it should,
 * or a bool in a list that is neither 0 nor 1.
 */
int halo__place_raw(const unsigned char *bytes, uint64_t at, struct halo_value *args,
                    uint32_t count);
/* Whether a value is one of this type that can be sent: 0, or HALO_ETYPE, HALO_EINVAL. */
int halo__value_check(uint8_t type, const struct halo_value *value);
/* Are its values all of types that columns can have? */
bool halo__has_columns(const struct halo_signature *signature);
/* Is each of these bytes 0 or 1? */
bool halo__bools_are_valid(const void *bytes, size_t len);

int halo__decode_error(unsigned char *bytes, size_t len, int32_t *code, const char **text);

#endif
