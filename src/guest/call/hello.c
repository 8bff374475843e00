/*
 * What a guest says before its main program: the host's functions that it imports, and its own that
 * it exports.
 */
#include "../port.h"
#include "../stack.h"
#include "call.h"

_Static_assert(sizeof(((struct halo_signature *)0)->types) == HALO_HELLO_TYPES + HALO_HELLO_MORE,
               "all types of a signature are on the wire");

static bool has_more(const struct halo_signature *signature)
{
    return signature->arg_count >= HALO_HELLO_TYPES;
}

/* Hosts that do not say so know no absent values, and 8 arguments; no lists; and no handles. */
static void check_signature(const struct halo_signature *signature)
{
    bool is_new = has_more(signature);
    uint32_t more = 0;

    for (uint32_t i = 0; i <= signature->arg_count; i++) {
        is_new |= halo_is_maybe(signature->types[i]);
        if (halo_is_list(halo_type_of(signature->types[i])))
            more |= HALO_MORE_LISTS;
        else if (halo_type_of(signature->types[i]) == HALO_HANDLE)
            more |= HALO_MORE_HANDLES;
    }
    if (more & ~halo_boot_page()->more_types)
        halo_panic("this program has a function with a list or a handle, and its host is older "
                   "than these");
    if (is_new && halo_boot_page()->arguments_max < HALO_ARGUMENTS_MAX)
        halo_panic(
            "this program has a function of more than 8 arguments, or of a value that may be "
            "absent, and its host is older than these");
}

/* Bytes of a function in the greeting. */
static uint32_t wire_len(const char *name, const struct halo_signature *signature)
{
    const size_t len = strlen(name);

    if (len == 0 || len > HALO_FUNCTION_NAME_MAX)
        halo_panic("this program has a function whose name has not 1 to 63 bytes");
    check_signature(signature);
    return (uint32_t)(sizeof(struct halo_hello_function) +
                      (has_more(signature) ? HALO_HELLO_MORE : 0) + len);
}

/* Put it there; returns where the next one goes. */
static unsigned char *put_function(unsigned char *at, const char *name,
                                   const struct halo_signature *signature, unsigned flags)
{
    struct halo_hello_function wire = {.name_len = (uint8_t)strlen(name),
                                       .arg_count = signature->arg_count,
                                       .flags = (uint8_t)flags};

    memcpy(wire.types, signature->types, sizeof(wire.types));
    memcpy(at, &wire, sizeof(wire));
    at += sizeof(wire);
    if (has_more(signature)) {
        memcpy(at, signature->types + HALO_HELLO_TYPES, HALO_HELLO_MORE);
        at += HALO_HELLO_MORE;
    }
    memcpy(at, name, wire.name_len);
    return at + wire.name_len;
}

/* What the host can call it for. One that knows of no aggregates can call them one row at a time.
 */
static unsigned flags_of(const struct halo_export *export)
{
    const struct halo_boot *boot = halo_boot_page();

    if (!halo__has_columns(&export->signature)) {
        if (export->rows)
            halo_panic("this program has a function for rows with a list or a handle, which no "
                       "column is of");
        return 0;
    }
    if (boot->rows_max == 0 || (export->end && boot->aggregates_max == 0))
        return 0;
    return HALO_FUNCTION_ROWS | (export->end ? HALO_FUNCTION_AGGREGATE : 0) |
           (boot->rows_share ? HALO_FUNCTION_SHARES : 0);
}

/* --- The answer ------------------------------------------------------------------------------- */

static void check_answer(bool whole, const struct halo_message *message)
{
    if (!whole || message->kind != HALO_KIND_ANSWER ||
        message->length != halo__import_count() * sizeof(int32_t))
        halo_panic("the host sent a malformed answer"); /* DRV-08 */
}

struct greeting {
    struct halo_op op;
    bool done;
};

static bool greeted(struct halo_op *op, struct halo_answer *answer)
{
    struct halo_message message;

    check_answer(halo_answer_read(&halo__port, answer, &message, sizeof(message)) ==
                     sizeof(message),
                 &message);
    for (uint32_t i = 0; i < halo__import_count(); i++) {
        int32_t index;

        (void)halo_answer_read(&halo__port, answer, &index, sizeof(index));
        halo__import_resolve(&__start_halo_imports[i], index);
    }
    ((struct greeting *)op)->done = true;
    return false;
}

/* --- Both ways to send it --------------------------------------------------------------------- */

static void send_in_ring(const void *bytes, size_t len)
{
    struct greeting greeting = {.op = {greeted}};
    struct halo_send send;
    int error;

    halo_send_begin(&send, &halo__port);
    error = halo_send_write(&send, bytes, len);
    if (!error)
        error = halo_send_writable(&send, sizeof(struct halo_message) +
                                              halo__import_count() * sizeof(int32_t) +
                                              sizeof(struct halo_stream_error));
    halo__check(error, "the functions of this program do not fit the pool");
    halo__port_submit(&send, &greeting.op);
    while (!greeting.done)
        halo__port_wait();
}

static void push(const void *bytes, size_t len)
{
    struct halo__popped answer;

    halo__check(halo__stack_push(bytes, len, NULL, 0),
                "the functions of this program do not fit the stack");
    halo__port_exchange(&answer);
    check_answer(answer.payload != NULL, &answer.message);
    for (uint32_t i = 0; i < halo__import_count(); i++) {
        int32_t index;

        memcpy(&index, answer.payload + i * sizeof(index), sizeof(index));
        halo__import_resolve(&__start_halo_imports[i], index);
    }
    free(answer.payload);
}

void halo__hello(void)
{
    struct {
        struct halo_message message;
        struct halo_hello hello;
    } head = {{.kind = HALO_KIND_HELLO, .length = sizeof(head.hello)},
              {halo__import_count(), halo__export_count()}};
    unsigned char *bytes, *at;

    if (head.hello.import_count == 0 && head.hello.export_count == 0)
        return;
    if (head.hello.import_count > HALO_FUNCTIONS_MAX ||
        head.hello.export_count > HALO_FUNCTIONS_MAX)
        halo_panic("this program imports or exports more than 256 functions");
    for (uint32_t i = 0; i < head.hello.import_count; i++)
        head.message.length +=
            wire_len(__start_halo_imports[i].name, &__start_halo_imports[i].signature);
    for (uint32_t i = 0; i < head.hello.export_count; i++)
        head.message.length +=
            wire_len(__start_halo_exports[i].name, &__start_halo_exports[i].signature);
    bytes = malloc(sizeof(head.message) + head.message.length);
    if (!bytes)
        halo_panic("no memory for the names of this program's functions");
    memcpy(bytes, &head, sizeof(head));
    at = bytes + sizeof(head);
    for (uint32_t i = 0; i < head.hello.import_count; i++)
        at = put_function(at, __start_halo_imports[i].name, &__start_halo_imports[i].signature, 0);
    for (uint32_t i = 0; i < head.hello.export_count; i++)
        at = put_function(at, __start_halo_exports[i].name, &__start_halo_exports[i].signature,
                          flags_of(&__start_halo_exports[i]));
    if (halo__on_stacks())
        push(bytes, (size_t)(at - bytes));
    else
        send_in_ring(bytes, (size_t)(at - bytes));
    free(bytes);
}
