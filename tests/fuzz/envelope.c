/*
 * Any bytes as the envelope of a call: refused, or a call that comes back the same once it is
 * written; and read the same where the function is written as two bytes, and the length of the
 * first argument too, so that neither goes the short way of numbers.
 */
#include "../../src/message/envelope.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int decode(unsigned char *bytes, size_t len, const struct halo_signature *signature,
                  uint32_t *function, struct halo_value *args, uint64_t *raw)
{
    size_t used;
    int error = halo__decode_function(bytes, len, function, &used);

    return error ? error : halo__decode_arguments(bytes + used, len - used, signature, args, raw);
}

static void assert_same(const struct halo_value *a, const struct halo_value *b)
{
    assert(a->type == b->type && a->len == b->len);
    if (halo__is_raw(a))
        assert(!a->bytes && !b->bytes);
    else if (a->type >= HALO_STR && a->type != HALO_HANDLE)
        assert(memcmp(a->bytes, b->bytes, a->len) == 0);
    else
        assert(a->u64 == b->u64);
}

/* The second byte from `at` on, where it is a number below 128, as two. */
static size_t lengthen(unsigned char *bytes, size_t len, size_t at)
{
    if (len < at + 2 || bytes[at + 1] >= 0x80)
        return len;
    memmove(bytes + at + 3, bytes + at + 2, len - at - 2);
    bytes[at + 1] |= 0x80;
    bytes[at + 2] = 0;
    return len + 1;
}

/* The long way: the same error, or the same call. */
static void compare(const uint8_t *data, size_t len, const struct halo_signature *signature,
                    int error, uint32_t function, const struct halo_value *args)
{
    unsigned char *bytes = malloc(len + 2);
    struct halo_value again[HALO_ARGUMENTS_MAX];
    uint32_t function_again;
    uint64_t raw;

    memcpy(bytes, data, len);
    if (len >= 2 && data[1] < 0x80) {
        len = lengthen(bytes, len, 2);
        len = lengthen(bytes, len, 0);
    }
    assert(decode(bytes, len, signature, &function_again, again, &raw) == error);
    for (uint32_t i = 0; i < signature->arg_count && !error; i++)
        assert_same(&args[i], &again[i]);
    assert(error || function == function_again);
    free(bytes);
}

/* Some type for any byte. */
static uint8_t type_of(uint8_t byte)
{
    const unsigned kind = byte & 0x1f;
    const unsigned some = byte & 0x60  ? 1 + byte % (HALO_TYPE_COUNT - 1u)
                          : kind == 31 ? (unsigned)HALO_HANDLE
                                       : HALO_LIST | (1 + byte % (unsigned)HALO_BOOL);

    return (uint8_t)(some | (byte & HALO_MAYBE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct halo_signature signature = {.arg_count = 0};
    struct halo_value args[HALO_ARGUMENTS_MAX], again[HALO_ARGUMENTS_MAX];
    unsigned char written[HALO_ENVELOPE_MAX], *bytes;
    uint32_t function, function_again;
    uint64_t raw, raw_again;
    size_t written_len;
    int error;

    if (len == 0)
        return 0;
    signature.arg_count = data[0] % (HALO_ARGUMENTS_MAX + 1);
    if (len < 1u + signature.arg_count)
        return 0;
    for (uint32_t i = 1; i <= signature.arg_count; i++)
        signature.types[i] = type_of(data[i]);
    data += 1 + signature.arg_count;
    len -= 1 + signature.arg_count;
    bytes = malloc(len); /* exactly as long: ASan watches both ends */
    memcpy(bytes, data, len);
    error = decode(bytes, len, &signature, &function, args, &raw);
    compare(data, len, &signature, error, function, args);
    if (!error) {
        written_len = halo__encode_call(written, function, args, signature.arg_count);
        assert(written_len <= len); /* theirs may have had longer numbers */
        assert(decode(written, written_len, &signature, &function_again, again, &raw_again) == 0);
        assert(function == function_again && raw == raw_again);
        for (uint32_t i = 0; i < signature.arg_count; i++)
            assert_same(&args[i], &again[i]);
    }
    free(bytes);
    return 0;
}
