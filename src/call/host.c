/*
 * The host's functions: who may be called, and a call from its chain to its answer. Everything that
 * the guest wrote is copied to private memory first, and then looked at (TOC-04, TOC-08).
 */
#include "host.h"
#include "../host/sandbox.h"
#include "compact.h"
#include "envelope.h"
#include <stdlib.h>
#include <string.h>

#define HELLO_MAX                \
    (sizeof(struct halo_hello) + \
     HALO_FUNCTIONS_MAX * (sizeof(struct halo_hello_function) + HALO_FUNCTION_NAME_MAX))
#define PAYLOAD sizeof(struct halo_message) /* where it begins */

/* --- Providing -------------------------------------------------------------------------------- */

static int find(const struct halo_functions *functions, const char *name, size_t len)
{
    for (uint32_t i = 0; i < functions->count; i++) {
        if (strlen(functions->provided[i].name) == len &&
            memcmp(functions->provided[i].name, name, len) == 0)
            return (int)i + 1;
    }
    return HALO_ENAME;
}

int halo_provide(struct halo_sandbox *box, const char *name, const struct halo_signature *signature,
                 halo_function *function, void *context)
{
    struct halo_functions *functions = &box->functions;
    const size_t len = strlen(name);
    struct halo_provided *larger;

    if (box->state != HALO_STATE_READY)
        return halo__fail(box, HALO_ESTATE, "functions are provided before the guest runs");
    if (len == 0 || len > HALO_FUNCTION_NAME_MAX)
        return halo__fail(box, HALO_EINVAL, "the name of a function has 1 to %u bytes",
                          HALO_FUNCTION_NAME_MAX);
    if (!function || !halo_signature_sound(signature))
        return halo__fail(box, HALO_EINVAL, "%s: no function, or a signature that is none", name);
    if (find(functions, name, len) > 0)
        return halo__fail(box, HALO_EINVAL, "%s: provided already", name);
    if (functions->count == HALO_FUNCTIONS_MAX)
        return halo__fail(box, HALO_EFULL, "%s: there are %u functions already", name,
                          HALO_FUNCTIONS_MAX);
    larger = realloc(functions->provided, (functions->count + 1) * sizeof(*larger));
    if (!larger)
        return halo__fail(box, HALO_ENOMEM, "%s: no memory", name);
    functions->provided = larger;
    larger += functions->count++;
    *larger =
        (struct halo_provided){.signature = *signature, .function = function, .context = context};
    memcpy(larger->name, name, len);
    return 0;
}

/* --- The greeting ----------------------------------------------------------------------------- */

/* What one import gets: an index, or an error. `name` is not terminated. */
static int32_t resolve(const struct halo_functions *functions,
                       const struct halo_hello_function *import, const char *name)
{
    struct halo_signature signature = {.arg_count = import->arg_count};
    const int index = find(functions, name, import->name_len);

    if (index < 0)
        return index;
    memcpy(signature.types, import->types, sizeof(signature.types));
    return halo_signature_equal(&signature, &functions->provided[index - 1].signature) ? index
                                                                                       : HALO_ETYPE;
}

/* Every import of a greeting in private memory. NULL, or what cannot be understood. */
static const char *resolve_all(const struct halo_functions *functions, const unsigned char *bytes,
                               size_t len, uint32_t count, int32_t *indices)
{
    for (uint32_t i = 0; i < count; i++) {
        struct halo_hello_function import;

        if (len < sizeof(import))
            return "a greeting that ends within an import";
        memcpy(&import, bytes, sizeof(import));
        bytes += sizeof(import);
        len -= sizeof(import);
        if (import.name_len == 0 || import.name_len > HALO_FUNCTION_NAME_MAX ||
            import.arg_count > HALO_ARGUMENTS_MAX || import.reserved != 0 || import.name_len > len)
            return "a greeting with an import that is none";
        indices[i] = resolve(functions, &import, (const char *)bytes);
        bytes += import.name_len;
        len -= import.name_len;
    }
    return len == 0 ? NULL : "a greeting with something behind it";
}

const char *halo__hello(struct halo_sandbox *box, struct halo_request *request)
{
    const uint64_t len = request->message.length;
    int32_t indices[HALO_FUNCTIONS_MAX];
    struct halo_hello hello;
    unsigned char *bytes;
    const char *why;

    if (box->functions.greeted)
        return "a second greeting";
    if (len < sizeof(hello) || len > HELLO_MAX)
        return "a greeting that is too short or too long";
    halo__request_read(request, PAYLOAD, &hello, sizeof(hello));
    if (hello.import_count > HALO_FUNCTIONS_MAX || hello.reserved != 0)
        return "a greeting with too many imports";
    if (request->writable_len < PAYLOAD + hello.import_count * sizeof(indices[0]))
        return "a greeting without room for its answer";
    bytes = malloc(HELLO_MAX);
    if (!bytes)
        return "a greeting for which there is no memory";
    halo__request_read(request, PAYLOAD + sizeof(hello), bytes, (size_t)len - sizeof(hello));
    why = resolve_all(&box->functions, bytes, (size_t)len - sizeof(hello), hello.import_count,
                      indices);
    free(bytes);
    if (why)
        return why;
    box->functions.greeted = true;
    halo__request_write(request, PAYLOAD, indices, hello.import_count * sizeof(indices[0]));
    halo__request_answer(&box->g2h, request, HALO_KIND_ANSWER, 0,
                         (uint32_t)(hello.import_count * sizeof(indices[0])));
    return NULL;
}

/* --- A call ----------------------------------------------------------------------------------- */

struct halo_call {
    struct halo_sandbox *box;
    const struct halo_request *request;
    const struct halo_provided *provided;
    bool answered;
    bool is_compact; /* and so may its answer be */
};

static void answer_error(struct halo_call *call, int32_t code, const char *text)
{
    unsigned char envelope[HALO_ENVELOPE_MAX];
    const size_t len = halo__encode_error(envelope, code, text);

    halo__request_write(call->request, PAYLOAD, envelope, len);
    halo__request_answer(&call->box->g2h, call->request, HALO_KIND_ERROR, 0, (uint32_t)len);
    call->answered = true;
}

/* An error of Halo's own: the guest gets its code, and the words for it. */
static int refuse(struct halo_call *call, int error)
{
    answer_error(call, error, halo_strerror(error));
    return error;
}

/* A number, or nothing, as the answer to a compact call: it lies in the used entry. */
static void answer_compact(struct halo_call *call, const struct halo_value *value)
{
    unsigned char bytes[HALO_INLINE_ANSWER_MAX];

    halo__pack(bytes, value);
    (void)halo_device_complete_inline(&call->box->g2h, call->request->token, bytes,
                                      halo__packed_len(value->type));
    call->answered = true;
}

int halo_return(struct halo_call *call, struct halo_value value)
{
    struct halo_signature result = {.arg_count = 1,
                                    .types = {0, call->provided->signature.types[0]}};
    unsigned char envelope[HALO_ENVELOPE_MAX];
    struct halo_call_head head = {0};
    const size_t at = PAYLOAD + sizeof(head);
    uint64_t raw;
    uint32_t which;
    int error;

    if (call->answered)
        return HALO_ESTATE;
    error = halo_values_check(&result, &value, 1, &which);
    if (error)
        return refuse(call, error);
    if (call->is_compact && value.type < HALO_STR) {
        answer_compact(call, &value);
        return 0;
    }
    head.envelope_len = (uint32_t)halo__encode_result(envelope, &value);
    raw = halo__is_raw(&value) ? value.len : 0;
    if (raw > UINT32_MAX || at + head.envelope_len + raw > call->request->writable_len)
        return refuse(call, HALO_ESIZE); /* RPC-05: nothing of it goes out */
    halo__request_write(call->request, PAYLOAD, &head, sizeof(head));
    halo__request_write(call->request, at, envelope, head.envelope_len);
    halo__request_write(call->request, at + head.envelope_len, value.bytes, (size_t)raw);
    halo__request_answer(&call->box->g2h, call->request, HALO_KIND_ANSWER, 0,
                         (uint32_t)(sizeof(head) + head.envelope_len + raw));
    call->answered = true;
    return 0;
}

int halo_fail(struct halo_call *call, int32_t code, const char *text)
{
    if (call->answered)
        return HALO_ESTATE;
    if (code <= 0)
        return HALO_EINVAL;
    answer_error(call, code, text);
    return 0;
}

struct halo_sandbox *halo_call_sandbox(struct halo_call *call)
{
    return call->box;
}

/*
 * Copy in what was announced, each value behind the last and text with a zero byte. `memory` has
 * room for all of it. Returns 0, or HALO_EMESSAGE for a zero byte in text.
 */
static int read_raw(const struct halo_request *request, uint64_t offset, struct halo_value *args,
                    uint32_t count, unsigned char *memory)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!halo__is_raw(&args[i]))
            continue;
        halo__request_read(request, offset, memory, args[i].len);
        memory[args[i].len] = '\0';
        args[i].bytes = memory;
        if (args[i].type == HALO_STR && memchr(memory, '\0', args[i].len))
            return HALO_EMESSAGE;
        offset += args[i].len;
        memory += args[i].len + 1;
    }
    return 0;
}

/* With its values in private memory: call. */
static void call_function(struct halo_call *call, const struct halo_value *args)
{
    const struct halo_provided *provided = call->provided;

    call->box->stats.calls++;
    provided->function(call, args, provided->context);
    if (!call->answered)
        (void)halo_return(call, halo_void()); /* HALO_ETYPE where there has to be a result */
}

/* The function and its signature are known: read the arguments and call. */
static const char *call_with(struct halo_call *call, unsigned char *envelope, size_t len,
                             uint64_t raw_at)
{
    const struct halo_request *request = call->request;
    const struct halo_signature *signature = &call->provided->signature;
    struct halo_value args[HALO_ARGUMENTS_MAX];
    unsigned char *memory = NULL;
    uint64_t raw;
    int error = halo__decode_arguments(envelope, len, signature, args, &raw);

    if (error == HALO_EMESSAGE)
        return "a call that is malformed";
    if (error) { /* RPC-02 */
        refuse(call, error);
        return NULL;
    }
    if (raw != request->readable_len - raw_at)
        return "a call whose segments are not what it announces";
    if (raw > HALO_RAW_MAX) { /* RES-04, RPC-05: before anything is allocated */
        refuse(call, HALO_ESIZE);
        return NULL;
    }
    if (raw > 0) {
        memory = malloc((size_t)raw + HALO_ARGUMENTS_MAX);
        if (!memory) {
            refuse(call, HALO_ENOMEM);
            return NULL;
        }
        error = read_raw(request, raw_at, args, signature->arg_count, memory);
    }
    if (!error)
        call_function(call, args);
    free(memory);
    return error ? "a call with a zero byte in a string" : NULL;
}

const char *halo__call_serve(struct halo_sandbox *box, struct halo_request *request)
{
    const struct halo_functions *functions = &box->functions;
    struct halo_call call = {.box = box, .request = request};
    unsigned char envelope[HALO_ENVELOPE_MAX];
    struct halo_call_head head;
    uint32_t function;
    uint64_t at = PAYLOAD + sizeof(head);
    size_t used;

    if (request->message.length < sizeof(head))
        return "a call shorter than its header";
    if (request->writable_len < HALO_CALL_ROOM_MIN)
        return "a call without room for its answer";
    halo__request_read(request, PAYLOAD, &head, sizeof(head));
    if (head.reserved != 0 || head.envelope_len > HALO_ENVELOPE_MAX ||
        head.envelope_len > request->message.length - sizeof(head))
        return "a call with an envelope that is none";
    halo__request_read(request, at, envelope, head.envelope_len);
    at += head.envelope_len;
    if (halo__decode_function(envelope, head.envelope_len, &function, &used))
        return "a call that is malformed";
    if (function > functions->count) { /* RPC-01 */
        refuse(&call, HALO_ENAME);
        return NULL;
    }
    call.provided = &functions->provided[function - 1];
    return call_with(&call, envelope + used, head.envelope_len - used, at);
}

const char *halo__call_compact(struct halo_sandbox *box, struct halo_request *request,
                               const unsigned char *bytes, size_t len)
{
    const struct halo_functions *functions = &box->functions;
    struct halo_call call = {.box = box, .request = request, .is_compact = true};
    const struct halo_signature *signature;
    struct halo_value args[HALO_ARGUMENTS_MAX];
    uint32_t function;

    request->message = (struct halo_message){.kind = HALO_KIND_CALL};
    if (len < HALO_COMPACT_HEAD || bytes[0] != (HALO_KIND_CALL | HALO_COMPACT)) /* RPC-06 */
        return "a compact message of unknown kind";
    if (request->writable_len < HALO_CALL_ROOM_MIN)
        return "a call without room for its answer";
    function = bytes[1] | (uint32_t)bytes[2] << 8;
    if (function == 0)
        return "a call that is malformed";
    if (function > functions->count) { /* RPC-01 */
        refuse(&call, HALO_ENAME);
        return NULL;
    }
    call.provided = &functions->provided[function - 1];
    signature = &call.provided->signature;
    if (halo__packed_args_len(signature) != len - HALO_COMPACT_HEAD)
        return "a call whose arguments are not its function's";
    bytes += HALO_COMPACT_HEAD;
    for (uint32_t i = 0; i < signature->arg_count; i++) {
        const enum halo_type type = (enum halo_type)signature->types[1 + i];

        if (!halo__unpack(bytes, type, &args[i]))
            return "a call that is malformed";
        bytes += halo__packed_len(type);
    }
    call_function(&call, args);
    return NULL;
}
