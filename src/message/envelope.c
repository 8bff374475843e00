/*
 * Values to bytes and back; no message is ever built in between. Writing is a few stores. Reading
 * is nanopb's: it takes every form that the rules of protobuf allow. Numbers in the form in which
 * they are written here have a short way before it (get_plain), which leaves all else to that.
 */
#include "envelope.h"
#include <pb_decode.h>
#include <string.h>
#include "compact.h"

#define FUNCTION 1u /* Call */
#define ARGUMENT 2u /* Call */
#define RESULT 1u   /* Answer */
#define CODE 1u     /* Error */
#define TEXT 2u     /* Error */
#define RAW 10u     /* Value; its other fields have the numbers of their types, and lists none */
#define KIND_COUNT 12u

#define TAG(field, wire) ((field) << 3 | (uint32_t)(wire))

/* How each field of a value is written: by the type that is its number. */
static const uint8_t wire_types[KIND_COUNT] = {
    [HALO_I32] = PB_WT_VARINT,  [HALO_U32] = PB_WT_VARINT,    [HALO_I64] = PB_WT_VARINT,
    [HALO_U64] = PB_WT_VARINT,  [HALO_F32] = PB_WT_32BIT,     [HALO_F64] = PB_WT_64BIT,
    [HALO_BOOL] = PB_WT_VARINT, [HALO_STR] = PB_WT_STRING,    [HALO_BYTES] = PB_WT_STRING,
    [RAW] = PB_WT_VARINT,       [HALO_HANDLE] = PB_WT_VARINT,
};

/* --- Writing ---------------------------------------------------------------------------------- */

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
    case HALO_HANDLE:
        return value->handle.number;
    default: /* raw */
        return value->len;
    }
}

static uint32_t varint_len(uint64_t number)
{
    return (63u - (uint32_t)__builtin_clzll(number | 1)) / 7 + 1;
}

/* These return where the next byte goes. There is room: every length is bounded. */
static unsigned char *put_varint(unsigned char *to, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        *to++ = (unsigned char)(number | 0x80);
    *to++ = (unsigned char)number;
    return to;
}

static unsigned char *put_bytes(unsigned char *to, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(to, bytes, len);
    return to + len;
}

/* A value is a message of its own, with one field. All tags here are of one byte. */
static unsigned char *put_value(unsigned char *to, uint32_t field, const struct halo_value *value)
{
    const uint32_t kind = halo__is_raw(value) ? RAW : value->type;
    const uint8_t wire = wire_types[kind];
    unsigned char *const inside = to + 2; /* of a number, whose length takes one byte */
    unsigned char *end;

    *to++ = (unsigned char)TAG(field, PB_WT_STRING);
    if (wire == PB_WT_STRING) {
        to = put_varint(to, 1 + varint_len(value->len) + value->len);
        *to++ = (unsigned char)TAG(kind, wire);
        return put_bytes(put_varint(to, value->len), value->bytes, value->len);
    }
    *inside = (unsigned char)TAG(kind, wire);
    if (wire == PB_WT_32BIT)
        end = put_bytes(inside + 1, &value->f32, sizeof(value->f32));
    else if (wire == PB_WT_64BIT)
        end = put_bytes(inside + 1, &value->f64, sizeof(value->f64));
    else if (__builtin_expect(kind != HALO_VOID, 1))
        end = put_varint(inside + 1, number_of(value));
    else /* of no kind: absent */
        end = inside;
    *to = (unsigned char)(end - inside);
    return end;
}

size_t halo__encode_call(unsigned char *to, uint32_t function, const struct halo_value *args,
                         uint32_t count)
{
    unsigned char *at = to;

    *at++ = TAG(FUNCTION, PB_WT_VARINT);
    at = put_varint(at, function);
    for (uint32_t i = 0; i < count; i++)
        at = put_value(at, ARGUMENT, &args[i]);
    return (size_t)(at - to);
}

size_t halo__encode_result(unsigned char *to, const struct halo_value *result)
{
    return result->type == HALO_VOID ? 0 : (size_t)(put_value(to, RESULT, result) - to);
}

size_t halo__encode_error(unsigned char *to, int32_t code, const char *text)
{
    unsigned char *at = to;
    size_t len = strlen(text);

    if (len > HALO_ERROR_TEXT_MAX)
        len = HALO_ERROR_TEXT_MAX;
    *at++ = TAG(CODE, PB_WT_VARINT);
    at = put_varint(at, zigzag(code));
    if (len > 0) {
        *at++ = TAG(TEXT, PB_WT_STRING);
        at = put_bytes(put_varint(at, len), text, len);
    }
    return (size_t)(at - to);
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

/* What a varint means as a value of its type; false where it is none of that type. */
static bool take_number(struct halo_value *value, uint64_t number)
{
    const int64_t whole = (int64_t)(number >> 1) ^ -(int64_t)(number & 1);

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
    case HALO_HANDLE:
        value->handle.number = number;
        return true;
    default: /* the length of what is raw: a message is shorter, and no sum of these can wrap */
        value->len = (size_t)number;
        value->bytes = NULL;
        if (halo_is_list(value->type)) /* RPC-12 */
            return number <= UINT32_MAX && number % halo_element_len(value->type) == 0;
        return number > HALO_SHORT_MAX && number <= UINT32_MAX;
    }
}

static bool get_number(struct reader *reader, struct halo_value *value)
{
    uint64_t number;

    return pb_decode_varint(&reader->in, &number) && take_number(value, number);
}

/* The value behind its field's tag, of a signature's type. */
static int get_value(struct reader *reader, uint8_t expected, struct halo_value *value)
{
    const enum halo_type type = halo_type_of(expected);
    pb_wire_type_t wire;
    uint32_t kind;
    size_t len;
    unsigned char *end;
    bool good;

    *value = (struct halo_value){.type = type};
    if (!get_length(reader, &len))
        return HALO_EMESSAGE;
    if (len == 0) {
        *value = halo_null();
        return halo_is_maybe(expected) ? 0 : HALO_ETYPE;
    }
    end = position(reader) + len;
    if (!get_tag(reader, &wire, &kind) || kind == HALO_VOID || kind >= KIND_COUNT ||
        wire != wire_types[kind])
        return HALO_EMESSAGE;
    if (kind != (uint32_t)type && !(kind == RAW && type >= HALO_STR && type != HALO_HANDLE))
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

/*
 * The short way: numbers in the form in which put_value writes them. Returns what lies behind the
 * value; NULL for any other form, or where it is none of that type, and then it has to go the way
 * above. What is taken here is taken there with the same result: tags and length are compared with
 * the one byte that each has, and a varint of up to 9 bytes has no bits to lose.
 */
static const unsigned char *get_plain(const unsigned char *at, const unsigned char *end,
                                      uint32_t field, enum halo_type type, struct halo_value *value)
{
    const unsigned char *inside;
    uint64_t number = 0;
    uint32_t len;
    uint8_t wire;

    if (end - at < 3 || type >= HALO_STR || type == HALO_VOID)
        return NULL;
    wire = wire_types[type];
    len = at[1];
    inside = at + 3;
    if (at[0] != TAG(field, PB_WT_STRING) || at[2] != TAG(type, wire) || len < 2 || len > 10 ||
        len > (size_t)(end - at) - 2)
        return NULL;
    len--;
    *value = (struct halo_value){.type = type};
    if (wire != PB_WT_VARINT) {
        if (len != (wire == PB_WT_32BIT ? sizeof(value->f32) : sizeof(value->f64)))
            return NULL;
        memcpy(&value->u64, inside, len);
        return inside + len;
    }
    for (uint32_t i = 0; i < len; i++) {
        if (inside[i] >> 7 != (i < len - 1)) /* each byte but the last one says that more follow */
            return NULL;
        number |= (uint64_t)(inside[i] & 0x7f) << 7 * i;
    }
    return take_number(value, number) ? inside + len : NULL;
}

int halo__decode_function(unsigned char *bytes, size_t len, uint32_t *function, size_t *used)
{
    struct reader reader;

    if (len >= 2 && bytes[0] == TAG(FUNCTION, PB_WT_VARINT) && bytes[1] - 1u < 0x7f) {
        *function = bytes[1];
        *used = 2;
        return 0;
    }
    reader = reader_of(bytes, len);
    if (!expect(&reader, PB_WT_VARINT, FUNCTION) || !pb_decode_varint32(&reader.in, function) ||
        *function == 0)
        return HALO_EMESSAGE;
    *used = len - reader.in.bytes_left;
    return 0;
}

int halo__decode_arguments(unsigned char *bytes, size_t len, const struct halo_signature *signature,
                           struct halo_value *args, uint64_t *raw)
{
    unsigned char *const end = bytes + len;
    const unsigned char *next;
    struct reader reader;
    uint32_t i;

    *raw = 0;
    for (i = 0; i < signature->arg_count; i++) {
        next = get_plain(bytes, end, ARGUMENT, halo_type_of(signature->types[1 + i]), &args[i]);
        if (!next)
            break;
        bytes += next - bytes;
    }
    if (i == signature->arg_count && bytes == end)
        return 0;
    reader = reader_of(bytes, (size_t)(end - bytes));
    for (; i < signature->arg_count; i++) {
        int error;

        if (reader.in.bytes_left == 0)
            return HALO_ECOUNT;
        if (!expect(&reader, PB_WT_STRING, ARGUMENT))
            return HALO_EMESSAGE;
        error = get_value(&reader, signature->types[1 + i], &args[i]);
        if (error) {
            *raw = i;
            return error;
        }
        *raw += halo__raw_len(&args[i]);
    }
    if (reader.in.bytes_left == 0)
        return 0;
    return expect(&reader, PB_WT_STRING, ARGUMENT) ? HALO_ECOUNT : HALO_EMESSAGE;
}

int halo__place_raw(const unsigned char *bytes, uint64_t at, struct halo_value *args,
                    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *segment;

        if (halo__raw_len(&args[i]) == 0) /* or a list of no elements */
            continue;
        at += halo__raw_pad(&args[i], at);
        segment = bytes + at;
        args[i].bytes = segment;
        if (args[i].type == HALO_STR &&
            memchr(segment, '\0', args[i].len + 1) != segment + args[i].len)
            return HALO_EMESSAGE;
        if (halo_element_len(args[i].type) == 1 && !halo__bools_are_valid(segment, args[i].len))
            return HALO_EMESSAGE; /* RPC-12 */
        at += halo__raw_len(&args[i]);
    }
    return 0;
}

int halo__decode_result(unsigned char *bytes, size_t len, enum halo_type type,
                        struct halo_value *result, uint64_t *raw)
{
    struct reader reader;
    int error;

    *raw = 0;
    if (get_plain(bytes, bytes + len, RESULT, halo_type_of((uint8_t)type), result) == bytes + len)
        return 0;
    reader = reader_of(bytes, len);
    *result = halo_void();
    if (len == 0)
        return type == HALO_VOID || halo_is_maybe((uint8_t)type) ? 0 : HALO_ETYPE;
    if (!expect(&reader, PB_WT_STRING, RESULT))
        return HALO_EMESSAGE;
    if (type == HALO_VOID)
        return HALO_ETYPE;
    error = get_value(&reader, (uint8_t)type, result);
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
