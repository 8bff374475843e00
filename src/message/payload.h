/*
 * The payload of a call or of the answer to one, behind the message header:
 *
 *     struct halo_call_head     how long the envelope is
 *     envelope                  envelope.h
 *     raw segments              what the envelope announces, in the order of the values; before a
 *                               list as many bytes, of any value, as its alignment takes
 *
 * Head and envelope are written to memory of HALO_WIRE_MAX bytes; the segments are taken from where
 * the values lie.
 */
#ifndef HALO_SRC_MESSAGE_PAYLOAD_H
#define HALO_SRC_MESSAGE_PAYLOAD_H

#include <halo/abi.h>
#include <halo/error.h>
#include <stdbool.h>
#include "envelope.h"

/* Where a payload begins in its message. */
#define HALO_PAYLOAD sizeof(struct halo_message)

#define HALO_WIRE_MAX (sizeof(struct halo_call_head) + HALO_ENVELOPE_MAX)

/*
 * Write head and envelope of a call, or where `function` is 0 of a result, which is one value.
 * Returns their length; *len is that of the whole payload.
 */
static inline uint32_t halo__payload_put(unsigned char *wire, uint32_t function,
                                         const struct halo_value *values, uint32_t count,
                                         uint64_t *len)
{
    struct halo_call_head head = {0};
    unsigned char *envelope = wire + sizeof(head);
    uint32_t wire_len;

    head.envelope_len = (uint32_t)(function ? halo__encode_call(envelope, function, values, count)
                                            : halo__encode_result(envelope, values));
    __builtin_memcpy(wire, &head, sizeof(head));
    wire_len = (uint32_t)sizeof(head) + head.envelope_len;
    *len = wire_len + halo__segments_len(values, count, wire_len);
    return wire_len;
}

/* A private copy of a head: may it stand before the rest of a payload of `len` bytes? */
static inline bool halo__call_head_is_valid(const struct halo_call_head *head, uint64_t len)
{
    return len >= sizeof(*head) && head->reserved == 0 && head->envelope_len <= len - sizeof(*head);
}

/*
 * Read the head of a payload that lies in private memory whole. Returns 0, or HALO_EMESSAGE; then
 * *head is not to be used.
 */
static inline int halo__payload_head(const unsigned char *bytes, size_t len,
                                     struct halo_call_head *head)
{
    if (len < sizeof(*head))
        return HALO_EMESSAGE;
    __builtin_memcpy(head, bytes, sizeof(*head));
    return halo__call_head_is_valid(head, len) ? 0 : HALO_EMESSAGE;
}

/*
 * The segments of `values`, whose lengths together are `raw`, are what a payload of `len` bytes in
 * private memory has behind its envelope: let the values point to them. The payload is aligned to 8
 * bytes. 0, or HALO_EMESSAGE.
 */
static inline int halo__payload_place(const unsigned char *bytes, size_t len,
                                      const struct halo_call_head *head, uint64_t raw,
                                      struct halo_value *values, uint32_t count)
{
    const size_t at = sizeof(*head) + head->envelope_len;

    if (raw == 0)
        return len == at ? 0 : HALO_EMESSAGE;
    return halo__segments_len(values, count, at) == len - at
               ? halo__place_raw(bytes, at, values, count)
               : HALO_EMESSAGE;
}

/* Read the payload of an answer, whole in private memory, which is changed. 0, or HALO_EMESSAGE. */
static inline int halo__payload_result(unsigned char *bytes, size_t len, enum halo_type type,
                                       struct halo_value *result)
{
    struct halo_call_head head;
    uint64_t raw;
    int error = halo__payload_head(bytes, len, &head);

    if (!error)
        error = halo__decode_result(bytes + sizeof(head), head.envelope_len, type, result, &raw);
    return error ? error : halo__payload_place(bytes, len, &head, raw, result, 1);
}

#endif
