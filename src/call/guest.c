/*
 * Calls of the host's functions: a future is a request in flight, then its answer. Nothing leaves
 * the guest before it waits, so that any number of calls share one exit.
 */
#include "../guest/port.h"
#include "../guest/runtime.h"
#include "compact.h"
#include "envelope.h"

#define HEAD_LEN (sizeof(struct halo_message) + sizeof(struct halo_call_head))
/* A short result, or an error with its text. */
#define ROOM_TEXT (HEAD_LEN + 16 + HALO_SHORT_MAX)

_Static_assert(ROOM_TEXT <= sizeof(((struct halo_future *)0)->bytes), "a future holds any answer");
_Static_assert(HALO_CALL_ROOM_MIN <= ROOM_TEXT, "a future holds any error");

extern struct halo_import __start_halo_imports[] __attribute__((weak));
extern struct halo_import __stop_halo_imports[] __attribute__((weak));

/* --- Before main ------------------------------------------------------------------------------ */

struct greeting {
    struct halo_op op;
    bool done;
};

static bool greeted(struct halo_op *op, struct halo_answer *answer)
{
    struct halo_message message;

    if (halo_answer_read(&halo__port, answer, &message, sizeof(message)) != sizeof(message) ||
        message.kind != HALO_KIND_ANSWER ||
        message.length != (size_t)((char *)__stop_halo_imports - (char *)__start_halo_imports) /
                              sizeof(struct halo_import) * sizeof(int32_t))
        halo_panic("the host sent a malformed answer"); /* DRV-08 */
    for (struct halo_import *import = __start_halo_imports; import < __stop_halo_imports; import++)
        (void)halo_answer_read(&halo__port, answer, &import->index, sizeof(import->index));
    ((struct greeting *)op)->done = true;
    return false;
}

static int add_import(struct halo_send *send, const struct halo_import *import)
{
    struct halo_hello_function wire = {.name_len = (uint8_t)strlen(import->name),
                                       .arg_count = import->signature.arg_count};
    int error;

    memcpy(wire.types, import->signature.types, sizeof(wire.types));
    error = halo_send_write(send, &wire, sizeof(wire));
    return error ? error : halo_send_write(send, import->name, wire.name_len);
}

void halo__call_start(void)
{
    const uint32_t count = (uint32_t)(__stop_halo_imports - __start_halo_imports);
    struct {
        struct halo_message message;
        struct halo_hello hello;
    } head = {{.kind = HALO_KIND_CONTROL, .length = sizeof(head.hello)}, {.import_count = count}};
    struct greeting greeting = {.op = {greeted}};
    struct halo_send send;
    int error;

    if (count == 0)
        return;
    if (count > HALO_FUNCTIONS_MAX)
        halo_panic("this program imports too many functions");
    for (uint32_t i = 0; i < count; i++) {
        const size_t len = strlen(__start_halo_imports[i].name);

        if (len == 0 || len > HALO_FUNCTION_NAME_MAX)
            halo_panic("this program imports a function without a name, or with too long a one");
        head.message.length += (uint32_t)(sizeof(struct halo_hello_function) + len);
    }
    halo_send_begin(&send, &halo__port);
    error = halo_send_write(&send, &head, sizeof(head));
    for (uint32_t i = 0; i < count && !error; i++)
        error = add_import(&send, &__start_halo_imports[i]);
    if (!error)
        error = halo_send_writable(&send, sizeof(head.message) + count * sizeof(int32_t) +
                                              sizeof(struct halo_stream_error));
    halo__check(error, "the imports of this program do not fit the pool");
    halo__port_submit(&send, &greeting.op);
    while (!greeting.done)
        halo__port_wait();
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void fail(struct halo_future *future, int error, const char *text)
{
    future->error = error;
    future->text = text;
    future->done = true;
}

/* The payload of an answer, in the future's own bytes. Returns whether it can be understood. */
static bool take_result(struct halo_future *future, size_t len)
{
    const enum halo_type type = (enum halo_type)future->import->signature.types[0];
    unsigned char *envelope = future->bytes + sizeof(struct halo_call_head);
    struct halo_call_head head;
    uint64_t raw;

    if (len < sizeof(head))
        return false;
    memcpy(&head, future->bytes, sizeof(head));
    len -= sizeof(head);
    if (head.envelope_len > len ||
        halo__decode_result(envelope, head.envelope_len, type, &future->result, &raw) ||
        raw != len - head.envelope_len)
        return false;
    if (raw > 0) { /* just above what is short: it lies behind the envelope */
        future->result.bytes = envelope + head.envelope_len;
        envelope[len] = '\0';
    }
    future->done = true;
    return true;
}

static bool take_error(struct halo_future *future, size_t len)
{
    const char *text;
    int32_t code;

    if (halo__decode_error(future->bytes, len, &code, &text))
        return false;
    future->code = code;
    fail(future, code > 0 ? HALO_ECALL : code, text);
    return true;
}

/* An answer that came inside its used entry. */
static bool take_inline(struct halo_future *future, const struct halo_answer *answer, size_t len)
{
    const enum halo_type type = (enum halo_type)future->import->signature.types[0];

    future->done = true;
    return type < HALO_STR && len == halo__packed_len(type) && answer->len == len &&
           halo__unpack(future->bytes, type, &future->result);
}

static bool answered(struct halo_op *op, struct halo_answer *answer)
{
    struct halo_future *future = (struct halo_future *)op;
    struct halo_message message;
    bool good;
    size_t len;

    if (answer->is_inline) {
        len = halo_answer_read(&halo__port, answer, future->bytes, sizeof(future->bytes));
        if (!take_inline(future, answer, len))
            halo_panic("the host sent a malformed answer");
        return false;
    }
    len = halo_answer_read(&halo__port, answer, &message, sizeof(message)); /* DRV-08 */
    good = len == sizeof(message) && message.length == answer->left;
    len = halo_answer_read(&halo__port, answer, future->bytes, ROOM_TEXT);
    if (good && message.kind == HALO_KIND_ANSWER)
        good = take_result(future, len);
    else if (good && message.kind == HALO_KIND_ERROR)
        good = take_error(future, len);
    else
        good = false;
    if (!good)
        halo_panic("the host sent a malformed answer"); /* DRV-05 */
    return false;
}

/* --- Calls ------------------------------------------------------------------------------------ */

/* Does a call of it fit into a descriptor? */
static bool is_compact(const struct halo_import *import)
{
    return (halo__port.driver.features & HALO_FEATURE_INLINE_REQUEST) &&
           (uint32_t)import->index <= UINT16_MAX &&
           halo__packed_args_len(&import->signature) <= HALO_INLINE_REQUEST_MAX - HALO_COMPACT_HEAD;
}

static int add_compact(struct halo_send *send, const struct halo_import *import,
                       const struct halo_value *args)
{
    unsigned char bytes[HALO_INLINE_REQUEST_MAX] = {HALO_KIND_CALL | HALO_COMPACT,
                                                    (unsigned char)import->index,
                                                    (unsigned char)(import->index >> 8)};
    uint32_t len = HALO_COMPACT_HEAD;

    for (uint32_t i = 0; i < import->signature.arg_count; i++) {
        halo__pack(bytes + len, &args[i]);
        len += halo__packed_len(args[i].type);
    }
    return halo_send_inline(send, bytes, len);
}

/* Header and envelope, and the segments that it announces. */
static int add_message(struct halo_send *send, const struct halo_import *import,
                       const struct halo_value *args)
{
    const uint32_t count = import->signature.arg_count;
    struct {
        struct halo_message message;
        struct halo_call_head head;
        unsigned char envelope[HALO_ENVELOPE_MAX];
    } wire;
    uint64_t len = sizeof(wire.head);
    int error;

    wire.head.envelope_len =
        (uint32_t)halo__encode_call(wire.envelope, (uint32_t)import->index, args, count);
    wire.head.reserved = 0;
    len += wire.head.envelope_len;
    for (uint32_t i = 0; i < count; i++)
        len += halo__is_raw(&args[i]) ? args[i].len : 0;
    if (len > UINT32_MAX)
        return HALO_ESIZE;
    wire.message = (struct halo_message){.kind = HALO_KIND_CALL, .length = (uint32_t)len};
    error = halo_send_write(send, &wire, HEAD_LEN + wire.head.envelope_len);
    for (uint32_t i = 0; i < count && !error; i++) {
        if (halo__is_raw(&args[i]))
            error = halo_send_lend_readable(send, args[i].bytes, (uint32_t)args[i].len);
    }
    return error;
}

/* The request, and room for its answer: an error fits it always. */
static int build(struct halo_send *send, const struct halo_import *import,
                 const struct halo_value *args)
{
    int error;

    halo_send_begin(send, &halo__port);
    error = is_compact(import) ? add_compact(send, import, args) : add_message(send, import, args);
    if (!error)
        error = halo_send_writable(
            send, import->signature.types[0] >= HALO_STR ? ROOM_TEXT : HALO_CALL_ROOM_MIN);
    if (error)
        halo_send_drop(send);
    return error;
}

int halo_start(struct halo_future *future, const struct halo_import *import,
               const struct halo_value *args, size_t count)
{
    struct halo_send send;
    uint32_t which;
    int error = import->index < 0 ? import->index
                                  : halo_values_check(&import->signature, args, count, &which);

    future->op.answered = answered;
    future->import = import;
    future->done = false;
    future->error = 0;
    future->code = 0;
    future->text = "";
    while (!error && (error = build(&send, import, args)) == HALO_ENOMEM) {
        halo__port_wait(); /* other calls, or writes, have all buffers */
        error = 0;
    }
    if (error) {
        fail(future, error, halo_strerror(error));
        return error;
    }
    halo__port_submit(&send, &future->op);
    return 0;
}

bool halo_ready(struct halo_future *future)
{
    if (!future->done)
        (void)halo__port_take();
    return future->done;
}

int halo_wait(struct halo_future *future)
{
    if (!halo_ready(future)) {
        do
            halo__port_wait();
        while (!future->done);
    }
    return future->error;
}
