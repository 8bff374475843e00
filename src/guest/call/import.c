/*
 * Calls of the host's functions: a future is a request in flight, then its answer. Nothing leaves
 * the guest before it waits, so that any number of calls share one exit.
 */
#include "../../message/compact.h"
#include "../port.h"
#include "../stack.h"
#include "call.h"

#define HEAD_LEN (HALO_PAYLOAD + sizeof(struct halo_call_head))
/* A short result, or an error with its text: its message, and without the message's header. */
#define ROOM_TEXT (HEAD_LEN + 16 + HALO_SHORT_MAX)
#define ROOM_PAYLOAD (ROOM_TEXT - sizeof(struct halo_message))

_Static_assert(ROOM_TEXT <= sizeof(((struct halo_future *)0)->bytes), "a future holds any answer");
_Static_assert(HALO_CALL_ROOM_MIN <= ROOM_TEXT, "a future holds any error");

static struct halo_call_stats stats;

void halo_call_stats(struct halo_call_stats *result)
{
    *result = stats;
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void fail(struct halo_future *future, int error, const char *text)
{
    future->error = error;
    future->text = text;
    future->done = true;
}

/* The payload of an answer, private to this program. Returns whether it can be understood. */
static bool take_result(struct halo_future *future, unsigned char *bytes, size_t len)
{
    const enum halo_type type = (enum halo_type)future->import->signature.types[0];

    if (halo__payload_result(bytes, len, type, &future->result))
        return false;
    future->done = true;
    return true;
}

/* An answer that needs none of the room that was made for it. */
static void drop_room(struct halo_future *future)
{
    free(future->memory);
    future->memory = NULL;
}

static bool take_error(struct halo_future *future, size_t len)
{
    const char *text;
    int32_t code;

    drop_room(future);
    if (halo__decode_error(future->bytes, len, &code, &text))
        return false;
    future->code = code;
    fail(future, code > 0 ? HALO_ECALL : code, text);
    return true;
}

/* An answer that came inside its used entry. */
static bool take_inline(struct halo_future *future, struct halo_answer *answer)
{
    const uint8_t of = future->import->signature.types[0];
    const enum halo_type type = halo_type_of(of);
    const uint32_t len = halo__packed_len(type); /* of text, more than an entry holds */
    unsigned char bytes[HALO_INLINE_ANSWER_MAX];

    future->done = true;
    if (answer->len != len)
        return answer->len == 0 && halo_is_maybe(of); /* absent, as it was made */
    return halo_answer_read(&halo__port, answer, bytes, sizeof(bytes)) == len &&
           halo__unpack(bytes, type, &future->result);
}

/* What an import's answers need, so that their room is made with the call. */
static void learn(struct halo_import *import, uint32_t len)
{
    halo__learn(&import->room, &import->short_run, len, ROOM_PAYLOAD);
}

static bool took_held(struct halo_op *op, struct halo_answer *answer)
{
    struct halo_future *future = (struct halo_future *)op;
    const int error = halo__fetch_result(answer, future->length);

    stats.fetched += error ? 0 : future->length;
    if (error)
        fail(future, error, halo_strerror(error));
    else if (!take_result(future, future->memory, future->length))
        halo_panic("the host sent a malformed answer");
    return false;
}

/* Ask for the answer that did not fit. Where there is no room for that now, halo_wait asks again.
 */
static void fetch_deferred(struct halo_future *future)
{
    future->op.answered = took_held;
    if (halo__fetch_submit(&future->op, future->ticket, future->memory, future->length)) {
        future->op.answered = NULL;
        future->again = fetch_deferred;
    }
}

/* The answer did not fit; `deferred` tells of it. */
static void take_deferred(struct halo_future *future, const struct halo_deferred *deferred)
{
    stats.truncated++;
    drop_room(future);
    future->memory = malloc(deferred->length);
    if (!future->memory) {
        fail(future, HALO_ENOMEM, halo_strerror(HALO_ENOMEM));
        return;
    }
    learn(future->import, deferred->length);
    future->ticket = deferred->ticket;
    future->length = deferred->length;
    fetch_deferred(future);
}

/* An answer of a payload of `len` bytes. */
static bool take_answer(struct halo_future *future, struct halo_answer *answer, uint32_t len)
{
    if (future->import->signature.types[0] >= HALO_STR)
        learn(future->import, len);
    if (future->memory)
        stats.unused += future->room - len;
    if (len > sizeof(future->bytes)) /* so it lies in the room that was made for it */
        return future->memory && take_result(future, future->memory, len);
    if (halo_answer_read(&halo__port, answer, future->bytes, len) != len)
        return false;
    drop_room(future);
    return take_result(future, future->bytes, len);
}

/* A message and its payload: whether it can be understood. */
static bool take_message(struct halo_future *future, struct halo_answer *answer)
{
    struct halo_message message;
    struct halo_deferred deferred;

    if (halo_answer_read(&halo__port, answer, &message, sizeof(message)) != sizeof(message) ||
        message.length != answer->left) /* DRV-08 */
        return false;
    if (message.kind == HALO_KIND_ERROR)
        return take_error(future, halo_answer_read(&halo__port, answer, future->bytes, ROOM_TEXT));
    if (message.kind != HALO_KIND_ANSWER)
        return false;
    if (!(message.flags & HALO_MESSAGE_DEFERRED))
        return take_answer(future, answer, message.length);
    if (halo_answer_read(&halo__port, answer, &deferred, sizeof(deferred)) != sizeof(deferred) ||
        deferred.length <= message.length)
        return false;
    take_deferred(future, &deferred);
    return true;
}

static bool answered(struct halo_op *op, struct halo_answer *answer)
{
    struct halo_future *future = (struct halo_future *)op;

    if (!(answer->is_inline ? take_inline(future, answer) : take_message(future, answer)))
        halo_panic("the host sent a malformed answer"); /* DRV-05 */
    return false;
}

/* --- Calls ------------------------------------------------------------------------------------ */

void halo__import_resolve(struct halo_import *import, int32_t index)
{
    uint32_t len = HALO_COMPACT_HEAD;

    import->index = index;
    for (uint32_t i = 1; i <= import->signature.arg_count && len <= HALO_INLINE_REQUEST_MAX; i++)
        len += halo_is_maybe(import->signature.types[i]) +
               halo__packed_len(halo_type_of(import->signature.types[i]));
    import->is_compact = index > 0 && (uint32_t)index <= UINT16_MAX &&
                         len <= HALO_INLINE_REQUEST_MAX &&
                         halo__port.driver.features & HALO_FEATURE_INLINE_REQUEST;
}

/* The rest of put_compact, of values of which some may be absent: apart, so that the others are as
 * quick as they were. */
static __attribute__((noinline)) uint32_t
put_maybe(unsigned char *bytes, const struct halo_import *import, const struct halo_value *args)
{
    uint32_t len = HALO_COMPACT_HEAD;

    for (uint32_t i = 0; i < import->signature.arg_count; i++) {
        if (halo__value_check(import->signature.types[1 + i], &args[i]))
            return 0;
        if (halo_is_maybe(import->signature.types[1 + i])) {
            len += halo__pack_maybe(bytes + len, &args[i]);
        } else {
            halo__pack(bytes + len, &args[i]);
            len += halo__packed_len(args[i].type);
        }
    }
    return len;
}

/* A call with these values, which are judged on the way, as the bytes of a descriptor: how many, or
 * 0 where they are not those of the signature, or do not fit into one. */
static uint32_t put_compact(unsigned char *bytes, const struct halo_import *import,
                            const struct halo_value *args, size_t count)
{
    uint32_t len = HALO_COMPACT_HEAD;

    if (!import->is_compact || count != import->signature.arg_count)
        return 0;
    bytes[0] = (unsigned char)(HALO_KIND_CALL | HALO_COMPACT | halo__serving << HALO_DEPTH_SHIFT);
    bytes[1] = (unsigned char)import->index;
    bytes[2] = (unsigned char)(import->index >> 8);
    for (size_t i = 0; i < count; i++) {
        if ((uint32_t)args[i].type != import->signature.types[1 + i])
            return put_maybe(bytes, import, args);
        halo__pack(bytes + len, &args[i]);
        len += halo__packed_len(args[i].type);
    }
    return len;
}

/* Header and envelope of a call: returns their length, or HALO_ESIZE for what no message holds. */
static int put_head(struct halo__wire *wire, const struct halo_import *import,
                    const struct halo_value *args)
{
    uint64_t len;
    const uint32_t wire_len = halo__payload_put(wire->payload, (uint32_t)import->index, args,
                                                import->signature.arg_count, &len);

    if (len > UINT32_MAX)
        return HALO_ESIZE;
    wire->message = (struct halo_message){.kind = HALO_KIND_CALL,
                                          .flags = (uint8_t)(halo__serving << HALO_DEPTH_SHIFT),
                                          .length = (uint32_t)len};
    return (int)(HALO_PAYLOAD + wire_len);
}

/* Header and envelope, and the segments that it announces. */
static int add_message(struct halo_send *send, const struct halo_import *import,
                       const struct halo_value *args)
{
    static const unsigned char zeros[8];
    struct halo__wire wire;
    const int len = put_head(&wire, import, args);
    uint64_t at = (uint64_t)len - HALO_PAYLOAD;
    int error = len < 0 ? len : halo_send_write(send, &wire, (size_t)len);

    for (uint32_t i = 0; i < import->signature.arg_count && !error; i++) {
        const uint32_t pad = halo__raw_pad(&args[i], at), raw = (uint32_t)halo__raw_len(&args[i]);

        if (pad > 0)
            error = halo_send_write(send, zeros, pad);
        if (raw > 0 && !error)
            error = halo_send_lend_readable(send, args[i].bytes, raw);
        at += pad + (uint64_t)raw;
    }
    return error;
}

/* Room for the answer: what its like needed before, and an error in any case. */
static int add_room(struct halo_send *send, struct halo_future *future)
{
    const struct halo_import *import = future->import;
    int error;

    if (import->signature.types[0] < HALO_STR)
        return halo_send_writable(send, HALO_CALL_ROOM_MIN);
    if (import->room > ROOM_PAYLOAD && !future->memory) { /* not again where this is tried again */
        future->room = import->room;
        future->memory = malloc(future->room);
    }
    if (!future->memory)
        return halo_send_writable(send, ROOM_TEXT);
    error = halo_send_writable(send, sizeof(struct halo_message));
    return error ? error : halo_send_lend_writable(send, future->memory, future->room);
}

/* The request, and room for its answer. */
static int build(struct halo_send *send, struct halo_future *future, const struct halo_value *args)
{
    const struct halo_import *import = future->import;
    unsigned char compact[HALO_INLINE_REQUEST_MAX];
    const uint32_t len = put_compact(compact, import, args, import->signature.arg_count);
    int error;

    halo_send_begin(send, &halo__port);
    error = len > 0 ? halo_send_inline(send, compact, len) : add_message(send, import, args);
    if (!error)
        error = add_room(send, future);
    if (error)
        halo_send_drop(send);
    return error;
}

/* Has it no long segment, and need its answer none? Then it is one copy. */
static bool is_short(const struct halo_import *import, const struct halo_value *args)
{
    if (import->signature.types[0] >= HALO_STR && import->room > ROOM_PAYLOAD)
        return false;
    for (uint32_t i = 0; i < import->signature.arg_count; i++) {
        if (halo__is_raw(&args[i]) && args[i].len > HALO_SHORT_MAX)
            return false;
    }
    return true;
}

/* Short lists behind the envelope, in the same memory: the length of all. */
static uint32_t put_lists(struct halo__wire *wire, uint32_t len, const struct halo_import *import,
                          const struct halo_value *args)
{
    unsigned char *const message = (unsigned char *)wire;

    for (uint32_t i = 0; i < import->signature.arg_count; i++) {
        const uint32_t pad = halo__raw_pad(&args[i], len);

        if (!halo_is_list(args[i].type) || args[i].len == 0)
            continue;
        memset(message + len, 0, pad);
        memcpy(message + len + pad, args[i].bytes, args[i].len);
        len += pad + (uint32_t)args[i].len;
    }
    return len;
}

/* Room for its answer in one buffer. */
static uint32_t short_room(const struct halo_import *import)
{
    return import->signature.types[0] < HALO_STR ? HALO_CALL_ROOM_MIN : ROOM_TEXT;
}

static int request_short(struct halo_future *future, const struct halo_value *args)
{
    struct halo__wire wire;
    const int len = put_head(&wire, future->import, args);

    if (len < 0)
        return len;
    halo__port_request(&wire, put_lists(&wire, (uint32_t)len, future->import, args),
                       short_room(future->import), &future->op);
    return 0;
}

/* The whole of a call that is a few numbers: false where it is not, and nothing was done. */
static inline bool start_compact(struct halo_future *future, const struct halo_value *args,
                                 size_t count)
{
    const struct halo_import *import = future->import;
    unsigned char bytes[HALO_INLINE_REQUEST_MAX];
    const uint32_t len = put_compact(bytes, import, args, count);

    if (len == 0 || halo__serving > HALO_DEPTH_MAX || import->room > ROOM_PAYLOAD)
        return false;
    halo__port_request(bytes, len, short_room(import), &future->op);
    return true;
}

/* With stacks the call is made at once. Returns why it was not made. */
static int call_on_stack(struct halo_future *future, const struct halo_value *args)
{
    const struct halo_import *import = future->import;
    struct halo__popped answer;
    struct halo__wire wire;
    int error = put_head(&wire, import, args);
    size_t len;
    bool good;

    if (error > 0)
        error = halo__stack_push(&wire, (size_t)error, args, import->signature.arg_count);
    if (error)
        return error;
    stats.calls++;
    halo__port_exchange(&answer);
    len = answer.message.length;
    future->memory = answer.payload;
    if (!answer.payload) {
        fail(future, HALO_ENOMEM, halo_strerror(HALO_ENOMEM));
        return 0;
    }
    if (len <= sizeof(future->bytes)) {
        memcpy(future->bytes, answer.payload, len);
        drop_room(future);
    }
    if (answer.message.kind == HALO_KIND_ERROR)
        good = len <= sizeof(future->bytes) && take_error(future, len);
    else
        good = answer.message.kind == HALO_KIND_ANSWER &&
               take_result(future, future->memory ? future->memory : future->bytes, len);
    if (!good)
        halo_panic("the host sent a malformed answer"); /* DRV-05 */
    return 0;
}

static char *append(char *at, const char *text)
{
    const size_t len = strlen(text);

    memcpy(at, text, len);
    return at + len;
}

/* Words for an argument that is not of its type, in the future's own memory: all parts are short.
 */
static const char *words_for_argument(struct halo_future *future, const struct halo_value *args,
                                      uint32_t which)
{
    const struct halo_import *import = future->import;
    char *const words = (char *)future->bytes;
    char *at = append(words, import->name);

    at = append(at, ": argument ");
    if (which + 1 >= 10)
        *at++ = '1';
    *at++ = (char)('0' + (which + 1) % 10);
    at = append(at, " is ");
    at = append(at, halo_is_null(&args[which]) ? "absent" : halo_type_name(args[which].type));
    at = append(at, ", and its signature says ");
    at = append(at, halo_type_name((enum halo_type)import->signature.types[1 + which]));
    *at = '\0';
    return words;
}

/* Words for a call that could not be made, which name the function where it is about that. */
static const char *words_for(const struct halo_import *import, int error)
{
    if (error == HALO_ENAME)
        return import->none;
    if (error == HALO_ETYPE && import->index < 0)
        return import->another;
    if (error == HALO_ETYPE || error == HALO_ECOUNT || error == HALO_EINVAL)
        return import->wrong;
    return halo_strerror(error);
}

/* Every other call. */
static __attribute__((noinline)) int start(struct halo_future *future,
                                           const struct halo_value *args, size_t count)
{
    struct halo_import *import = future->import;
    struct halo_send send;
    uint32_t which = 0;
    int error = import->index < 0 ? import->index
                                  : halo_values_check(&import->signature, args, count, &which);

    if (!error && halo__serving > HALO_DEPTH_MAX)
        error = HALO_EDEPTH;
    if (!error && halo__on_stacks()) {
        error = call_on_stack(future, args);
        if (!error)
            return 0;
    }
    if (!error && is_short(import, args)) {
        error = request_short(future, args);
        if (!error) {
            stats.calls++;
            return 0;
        }
    }
    while (!error && (error = build(&send, future, args)) == HALO_ENOMEM) {
        halo__port_wait(); /* other calls, or writes, have all buffers */
        error = 0;
    }
    if (error) {
        halo_future_free(future);
        fail(future, error,
             error == HALO_ETYPE && import->index > 0 ? words_for_argument(future, args, which)
                                                      : words_for(import, error));
        return error;
    }
    stats.calls++;
    halo__port_submit(&send, &future->op);
    return 0;
}

int halo_call_start(struct halo_future *future, struct halo_import *import,
                    const struct halo_value *args, size_t count)
{
    future->op.answered = answered;
    future->import = import;
    future->done = false;
    future->error = 0;
    future->code = 0;
    future->text = "";
    future->result = halo_void();
    future->memory = NULL;
    future->room = 0;
    if (!start_compact(future, args, count))
        return start(future, args, count);
    stats.calls++;
    return 0;
}
