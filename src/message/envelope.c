/* Values to bytes and back, with nanopb's primitives: no message is ever built in between. */
#include "envelope.h"
#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>
#include "compact.h"

#define FUNCTION 1u /* Call */
#define ARGUMENT 2u /* Call */
#define RESULT 1u   /* Answer */
#define CODE 1u     /* Error */
#define TEXT 2u     /* Error */
#define RAW 10u     /* Value; its other fields have the numbers of their types */
#define KIND_COUNT 11u

/* How each field of a value is written: by the type that is its number. */
static const uint8_t wire_types[KIND_COUNT] = {
    [HALO_I32] = PB_WT_VARINT,  [HALO_U32] = PB_WT_VARINT, [HALO_I64] = PB_WT_VARINT,
    [HALO_U64] = PB_WT_VARINT,  [HALO_F32] = PB_WT_32BIT,  [HALO_F64] = PB_WT_64BIT,
    [HALO_BOOL] = PB_WT_VARINT, [HALO_STR] = PB_WT_STRING, [HALO_BYTES] = PB_WT_STRING,
    [RAW] = PB_WT_VARINT,
};

/* --- Writing ---------------------------------------------------------------------------------- */

static pb_ostream_t writer(unsigned char *to)
{
    return pb_ostream_from_buffer(to, HALO_ENVELOPE_MAX);
}

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

/* The number that a value of a varint's type is written as. */
static uint64_t number_of(const struct halo_value *value)
{
    switch (value->type) {
    case HALO_I32:
        return zigzag(value->i32);
    case HALO_I64:
        return zigzag(value->i64);
    case HALO_U32:
        return value->u32;
    case HALO_U64:
        return value->u64;
    case HALO_BOOL:
        return halo__truth(value);
    default: /* raw */
        return value->len;
    }
}

static uint32_t varint_len(uint64_t number)
{
    return (63u - (uint32_t)__builtin_clzll(number | 1)) / 7 + 1;
}

/* A value is a message of its own, with one field. There is room: every length is bounded. */
static void put_value(pb_ostream_t *out, uint32_t field, const struct halo_value *value)
{
    const uint32_t kind = halo__is_raw(value) ? RAW : value->type;
    const pb_wire_type_t wire = (pb_wire_type_t)wire_types[kind];
    const uint64_t number = number_of(value);

    (void)pb_encode_tag(out, PB_WT_STRING, field);
    switch (wire) {
    case PB_WT_32BIT:
        (void)pb_encode_varint(out, 1 + sizeof(value->f32));
        (void)pb_encode_tag(out, wire, kind);
        (void)pb_encode_fixed32(out, &value->f32);
        return;
    case PB_WT_64BIT:
        (void)pb_encode_varint(out, 1 + sizeof(value->f64));
        (void)pb_encode_tag(out, wire, kind);
        (void)pb_encode_fixed64(out, &value->f64);
        return;
    case PB_WT_STRING:
        (void)pb_encode_varint(out, 1 + varint_len(value->len) + value->len);
        (void)pb_encode_tag(out, wire, kind);
        (void)pb_encode_string(out, value->bytes, value->len);
        return;
    default:
        (void)pb_encode_varint(out, 1 + varint_len(number));
        (void)pb_encode_tag(out, wire, kind);
        (void)pb_encode_varint(out, number);
        return;
    }
}

size_t halo__encode_call(unsigned char *to, uint32_t function, const struct halo_value *args,
                         uint32_t count)
{
    pb_ostream_t out = writer(to);

    (void)pb_encode_tag(&out, PB_WT_VARINT, FUNCTION);
    (void)pb_encode_varint(&out, function);
    for (uint32_t i = 0; i < count; i++)
        put_value(&out, ARGUMENT, &args[i]);
    return out.bytes_written;
}

size_t halo__encode_result(unsigned char *to, const struct halo_value *result)
{
    pb_ostream_t out = writer(to);

    if (result->type != HALO_VOID)
        put_value(&out, RESULT, result);
    return out.bytes_written;
}

size_t halo__encode_error(unsigned char *to, int32_t code, const char *text)
{
    pb_ostream_t out = writer(to);
    size_t len = strlen(text);

    if (len > HALO_ERROR_TEXT_MAX)
        len = HALO_ERROR_TEXT_MAX;
    (void)pb_encode_tag(&out, PB_WT_VARINT, CODE);
    (void)pb_encode_varint(&out, zigzag(code));
    if (len > 0) {
        (void)pb_encode_tag(&out, PB_WT_STRING, TEXT);
        (void)pb_encode_string(&out, (const pb_byte_t *)text, len);
    }
    return out.bytes_written;
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* What is left of an envelope. */
struct reader {
    pb_istream_t in;
    unsigned char *end;
};

static struct reader reader_of(unsigned char *bytes, size_t len)
{
    return (struct reader){pb_istream_from_buffer(bytes, len), bytes + len};
}

static unsigned char *position(const struct reader *reader)
{
    return reader->end - reader->in.bytes_left;
}

/* The tag of the next field; false at the end, or where it is no tag. */
static bool get_tag(struct reader *reader, pb_wire_type_t *wire, uint32_t *field)
{
    bool eof;

    return pb_decode_tag(&reader->in, wire, field, &eof);
}

/* The next field has this number and is written like this. */
static bool expect(struct reader *reader, pb_wire_type_t wire, uint32_t field)
{
    pb_wire_type_t found_wire;
    uint32_t found;

    return get_tag(reader, &found_wire, &found) && found_wire == wire && found == field;
}

static bool get_length(struct reader *reader, size_t *len)
{
    uint64_t number;

    if (!pb_decode_varint(&reader->in, &number) || number > reader->in.bytes_left)
        return false;
    *len = (size_t)number;
    return true;
}

/*
 * Short text or bytes. Text moves one byte to the front, over the last byte of its own length,
 * which has been read, and so has room for its zero byte.
 */
static bool get_short(struct reader *reader, struct halo_value *value)
{
    unsigned char *at;

    if (!get_length(reader, &value->len) || value->len > HALO_SHORT_MAX)
        return false;
    at = position(reader);
    value->bytes = at;
    if (value->type == HALO_STR) {
        if (memchr(at, '\0', value->len))
            return false;
        memmove(at - 1, at, value->len);
        at[-1 + (ptrdiff_t)value->len] = '\0';
        value->str = (const char *)at - 1;
    }
    reader->in = pb_istream_from_buffer(at + value->len, reader->in.bytes_left - value->len);
    return true;
}

static bool get_number(struct reader *reader, struct halo_value *value)
{
    uint64_t number;
    int64_t whole;

    if (!pb_decode_varint(&reader->in, &number))
        return false;
    whole = (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
    switch (value->type) {
    case HALO_I32:
        value->i32 = (int32_t)whole;
        return whole == value->i32;
    case HALO_U32:
        value->u32 = (uint32_t)number;
        return number == value->u32;
    case HALO_I64:
        value->i64 = whole;
        return true;
    case HALO_U64:
        value->u64 = number;
        return true;
    case HALO_BOOL:
        value->boolean = number == 1;
        return number <= 1;
    default: /* the length of what is raw: a message is shorter, and no sum of these can wrap */
        value->len = (size_t)number;
        value->bytes = NULL;
        return number > HALO_SHORT_MAX && number <= UINT32_MAX;
    }
}

/* The value behind its field's tag. */
static int get_value(struct reader *reader, enum halo_type type, struct halo_value *value)
{
    pb_wire_type_t wire;
    uint32_t kind;
    size_t len;
    unsigned char *end;
    bool good;

    *value = (struct halo_value){.type = type};
    if (!get_length(reader, &len))
        return HALO_EMESSAGE;
    end = position(reader) + len;
    if (!get_tag(reader, &wire, &kind) || kind == HALO_VOID || kind >= KIND_COUNT ||
        wire != wire_types[kind])
        return HALO_EMESSAGE;
    if (kind != (uint32_t)type && !(kind == RAW && type >= HALO_STR))
        return HALO_ETYPE;
    switch (wire) {
    case PB_WT_32BIT:
        good = pb_decode_fixed32(&reader->in, &value->f32);
        break;
    case PB_WT_64BIT:
        good = pb_decode_fixed64(&reader->in, &value->f64);
        break;
    case PB_WT_STRING:
        good = get_short(reader, value);
        break;
    default:
        good = get_number(reader, value);
        break;
    }
    return good && position(reader) == end ? 0 : HALO_EMESSAGE;
}

int halo__decode_function(unsigned char *bytes, size_t len, uint32_t *function, size_t *used)
{
    struct reader reader = reader_of(bytes, len);

    if (!expect(&reader, PB_WT_VARINT, FUNCTION) || !pb_decode_varint32(&reader.in, function) ||
        *function == 0)
        return HALO_EMESSAGE;
    *used = len - reader.in.bytes_left;
    return 0;
}

int halo__decode_arguments(unsigned char *bytes, size_t len, const struct halo_signature *signature,
                           struct halo_value *args, uint64_t *raw)
{
    struct reader reader = reader_of(bytes, len);

    *raw = 0;
    for (uint32_t i = 0; i < signature->arg_count; i++) {
        int error;

        if (reader.in.bytes_left == 0)
            return HALO_ECOUNT;
        if (!expect(&reader, PB_WT_STRING, ARGUMENT))
            return HALO_EMESSAGE;
        error = get_value(&reader, (enum halo_type)signature->types[1 + i], &args[i]);
        if (error)
            return error;
        *raw += halo__raw_len(&args[i]);
    }
    if (reader.in.bytes_left == 0)
        return 0;
    return expect(&reader, PB_WT_STRING, ARGUMENT) ? HALO_ECOUNT : HALO_EMESSAGE;
}

int halo__place_raw(const unsigned char *bytes, struct halo_value *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!halo__is_raw(&args[i]))
            continue;
        args[i].bytes = bytes;
        if (args[i].type == HALO_STR && memchr(bytes, '\0', args[i].len + 1) != bytes + args[i].len)
            return HALO_EMESSAGE;
        bytes += halo__raw_len(&args[i]);
    }
    return 0;
}

int halo__decode_result(unsigned char *bytes, size_t len, enum halo_type type,
                        struct halo_value *result, uint64_t *raw)
{
    struct reader reader = reader_of(bytes, len);
    int error;

    *raw = 0;
    *result = halo_void();
    if (len == 0)
        return type == HALO_VOID ? 0 : HALO_ETYPE;
    if (!expect(&reader, PB_WT_STRING, RESULT))
        return HALO_EMESSAGE;
    if (type == HALO_VOID)
        return HALO_ETYPE;
    error = get_value(&reader, type, result);
    if (error)
        return error;
    *raw = halo__raw_len(result);
    return reader.in.bytes_left == 0 ? 0 : HALO_EMESSAGE;
}

int halo__decode_error(unsigned char *bytes, size_t len, int32_t *code, const char **text)
{
    struct reader reader = reader_of(bytes, len);
    struct halo_value number = {.type = HALO_I32}, words = {.type = HALO_STR};

    *text = "";
    if (!expect(&reader, PB_WT_VARINT, CODE) || !get_number(&reader, &number) || number.i32 == 0)
        return HALO_EMESSAGE;
    *code = number.i32;
    if (reader.in.bytes_left == 0)
        return 0;
    if (!expect(&reader, PB_WT_STRING, TEXT) || !get_short(&reader, &words) ||
        reader.in.bytes_left > 0)
        return HALO_EMESSAGE;
    *text = words.str;
    return 0;
}
