/* Calls as a guest may send them, before the service of calls and a port alone. */
#ifndef CALL_BOX_H
#define CALL_BOX_H

#include "../../src/host/call/call.h"
#include "port_box.h"

#include <stdlib.h>
#include <string.h>

#define ROOM 4096u

struct call_box {
    struct halo_words words;
    struct halo_port port;
    struct halo_calls calls;
    struct halo_request request; /* the last one */
    unsigned char room[ROOM];    /* the answer: 0xee where nothing was written */
    uint32_t called;
    uint32_t text_max;         /* longest text that "t" returns */
    int64_t sum;               /* what "a" made last */
    struct halo_handle handle; /* the only one */
};

/* Whatever it was called with was of its type; text ends where it should. */
static inline void call_box_function(struct halo_call *call, const struct halo_value *args,
                                     void *context)
{
    struct call_box *c = context;
    uint64_t total = 0;

    c->called++;
    if (args[0].type != HALO_I32 || args[1].type != HALO_STR || args[2].type != HALO_BYTES ||
        strlen(args[1].str) != args[1].len)
        abort();
    for (size_t i = 0; i < args[2].len; i++)
        total += ((const unsigned char *)args[2].bytes)[i];
    (void)halo_return(call, halo_u64(total + args[1].len + (uint64_t)args[0].i32));
}

static inline void call_box_void(struct halo_call *call, const struct halo_value *args,
                                 void *context)
{
    struct call_box *c = context;

    (void)call;
    (void)args;
    c->called++;
}

static const struct halo_signature call_box_signature =
    HALO_FN(HALO_U64, HALO_I32, HALO_STR, HALO_BYTES);
static const struct halo_signature call_box_text_signature = HALO_FN(HALO_STR, HALO_U32);
static const struct halo_signature call_box_void_signature = HALO_FN(HALO_VOID);
static const struct halo_signature call_box_numbers_signature =
    HALO_FN(HALO_I32, HALO_BOOL, HALO_I32, HALO_F32);
static const struct halo_signature call_box_sum_signature =
    HALO_FN(HALO_U64, HALO_BYTES, HALO_BYTES, HALO_STR, HALO_BYTES);

static const struct halo_signature call_box_maybe_signature =
    HALO_FN(HALO_I64 | HALO_MAYBE, HALO_BOOL | HALO_MAYBE, HALO_I32, HALO_STR | HALO_MAYBE);
static const struct halo_signature call_box_absent_signature =
    HALO_FN(HALO_I64 | HALO_MAYBE, HALO_I32 | HALO_MAYBE, HALO_I32 | HALO_MAYBE);

/* Each is of its type, or absent where it may be; the result is absent where the first is. */
static inline void call_box_maybe(struct halo_call *call, const struct halo_value *args,
                                  void *context)
{
    struct call_box *c = context;

    c->called++;
    if ((args[0].type != HALO_BOOL && !halo_is_null(&args[0])) || args[1].type != HALO_I32 ||
        (args[2].type != HALO_STR && !halo_is_null(&args[2])) ||
        (args[2].type == HALO_STR && strlen(args[2].str) != args[2].len))
        abort();
    (void)halo_return(call, halo_is_null(&args[0]) ? halo_null() : halo_i64(args[1].i32));
}

/* The sum of those that are there. */
static inline void call_box_absent(struct halo_call *call, const struct halo_value *args,
                                   void *context)
{
    struct call_box *c = context;
    int64_t sum = 0;

    c->called++;
    for (int i = 0; i < 2; i++) {
        if (args[i].type != HALO_I32 && !halo_is_null(&args[i]))
            abort();
        sum += halo_is_null(&args[i]) ? 0 : args[i].i32;
    }
    c->sum = sum;
    (void)halo_return(call, halo_is_null(&args[0]) ? halo_null() : halo_i64(sum));
}

/* Looks at every byte that it is given. */
static inline void call_box_sum(struct halo_call *call, const struct halo_value *args,
                                void *context)
{
    struct call_box *c = context;
    uint64_t total = 0;

    c->called++;
    for (uint32_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < args[i].len; k++)
            total += ((const unsigned char *)args[i].bytes)[k];
    }
    (void)halo_return(call, halo_u64(total));
}

static inline void call_box_numbers(struct halo_call *call, const struct halo_value *args,
                                    void *context)
{
    struct call_box *c = context;

    c->called++;
    if (args[0].type != HALO_BOOL || args[1].type != HALO_I32 || args[2].type != HALO_F32)
        abort();
    (void)halo_return(call, halo_i32(args[0].boolean ? args[1].i32 : 0));
}

/* Looks at every element, where a list has it. */
static inline void call_box_lists(struct halo_call *call, const struct halo_value *args,
                                  void *context)
{
    struct call_box *c = context;
    uint64_t total = 0;

    c->called++;
    for (size_t i = 0; i < halo_count(&args[0]); i++)
        total += args[0].bools[i];
    for (size_t i = 0; i < halo_count(&args[1]); i++)
        total += args[1].u64s[i];
    for (size_t i = 0; i < halo_count(&args[3]); i++)
        total += (uint64_t)args[3].i32s[i];
    for (size_t i = 0; i < args[0].len; i++) {
        if (((const unsigned char *)args[0].bytes)[i] > 1)
            abort();
    }
    if ((uintptr_t)args[1].bytes % 8 || (uintptr_t)args[3].bytes % 4 || args[1].len % 8 ||
        args[3].len % 4 || strlen(args[2].str) != args[2].len)
        abort();
    (void)halo_return(call, halo_u64(total));
}

/* What it is called with is a handle that there is, and perhaps another. */
static inline void call_box_handle(struct halo_call *call, const struct halo_value *args,
                                   void *context)
{
    struct call_box *c = context;

    c->called++;
    if (args[0].type != HALO_HANDLE || args[0].handle.number != c->handle.number ||
        (!halo_is_null(&args[1]) && args[1].handle.number != c->handle.number))
        abort();
    (void)halo_return(call, args[1]);
}

/* Returns so much text. */
static inline void call_box_text(struct halo_call *call, const struct halo_value *args,
                                 void *context)
{
    struct call_box *c = context;
    const size_t len = args[0].u32 % (c->text_max + 1);
    char *text = malloc(len + 1);

    c->called++;
    memset(text, 'x', len);
    text[len] = '\0';
    (void)halo_return(call, halo_str(text));
    free(text);
}

static const struct halo_signature call_box_lists_signature =
    HALO_FN(HALO_U64, HALO_BOOL | HALO_LIST, HALO_U64 | HALO_LIST | HALO_MAYBE, HALO_STR,
            HALO_I32 | HALO_LIST);
static const struct halo_signature call_box_handle_signature =
    HALO_FN(HALO_HANDLE | HALO_MAYBE, HALO_HANDLE, HALO_HANDLE | HALO_MAYBE);
static const struct halo_handle_kind call_box_kind_of_handle = {"thing", NULL};

static inline void call_box_open(struct call_box *c)
{
    memset(c, 0, sizeof(*c));
    c->text_max = HALO_VALUE_MAX + 1;
    port_box_open(&c->port, &c->words);
    c->port.work_max = UINT64_MAX;
    halo__calls_init(&c->calls, &c->port, &c->words, NULL);
    c->calls.budget = halo__budget_new(HALO_HELD_DEFAULT);
    if (!c->calls.budget)
        abort();
    if (halo__function_provide(&c->calls, "f", &call_box_signature, call_box_function, c) ||
        halo__function_provide(&c->calls, "v", &call_box_void_signature, call_box_void, c) ||
        halo__function_provide(&c->calls, "s", &call_box_sum_signature, call_box_sum, c) ||
        halo__function_provide(&c->calls, "n", &call_box_numbers_signature, call_box_numbers, c) ||
        halo__function_provide(&c->calls, "t", &call_box_text_signature, call_box_text, c) ||
        halo__function_provide(&c->calls, "m", &call_box_maybe_signature, call_box_maybe, c) ||
        halo__function_provide(&c->calls, "a", &call_box_absent_signature, call_box_absent, c) ||
        halo__function_provide(&c->calls, "l", &call_box_lists_signature, call_box_lists, c) ||
        halo__function_provide(&c->calls, "h", &call_box_handle_signature, call_box_handle, c) ||
        halo__handle_create(&c->calls.handles, &c->words, &call_box_kind_of_handle, NULL,
                            &c->handle))
        abort();
}

static inline void call_box_close(struct call_box *c)
{
    halo__calls_free(&c->calls);
}

/*
 * Have a message served that lies in pieces of at most `piece` bytes, with so much room for its
 * answer. Returns what could not be understood, or NULL.
 */
static inline const char *call_box_serve(struct call_box *c, const void *bytes, size_t len,
                                         size_t piece, size_t room)
{
    memset(c->room, 0xee, sizeof(c->room));
    port_box_request(&c->request, 0, bytes, len, piece, c->room, room);
    if (len > 0 && *(const unsigned char *)bytes == HALO_KIND_HELLO) {
        free(c->calls.functions.exported); /* of an earlier greeting */
        c->calls.functions.exported = NULL;
        c->calls.functions.export_count = 0;
    }
    return port_box_take(&c->port, HALO_QUEUE_G2H, &c->request, HALO_ANSWER_MIN);
}

/* A compact call. Its inline answer goes to a ring that is not there. */
static inline const char *call_box_compact(struct call_box *c, const void *bytes, size_t len,
                                           size_t room)
{
    memset(c->room, 0xee, sizeof(c->room));
    port_box_request(&c->request, 0, NULL, 0, 1, c->room, room);
    c->request.parked.is_inline = true;
    c->request.parked.inline_len = (uint8_t)len;
    memcpy(c->request.parked.inline_bytes, bytes, len);
    return port_box_take(&c->port, HALO_QUEUE_G2H, &c->request, HALO_ANSWER_MIN);
}

/* A call message in private memory, to be changed: what a guest that follows the rules sends. */
static inline size_t call_box_message(unsigned char *to, uint32_t function,
                                      const struct halo_value *args, uint32_t count)
{
    struct halo_message message = {.kind = HALO_KIND_CALL, .request = 77};
    struct halo_call_head head = {0};
    size_t len = sizeof(message) + sizeof(head);

    head.envelope_len = (uint32_t)halo__encode_call(to + len, function, args, count);
    len += head.envelope_len;
    for (uint32_t i = 0; i < count; i++) {
        if (halo__is_raw(&args[i])) {
            len += halo__raw_pad(&args[i], len);
            if (args[i].len > 0)
                memcpy(to + len, args[i].bytes, args[i].len);
            if (args[i].type == HALO_STR)
                to[len + args[i].len] = '\0';
            len += halo__raw_len(&args[i]);
        }
    }
    message.length = (uint32_t)(len - sizeof(message));
    memcpy(to, &message, sizeof(message));
    memcpy(to + sizeof(message), &head, sizeof(head));
    return len;
}

/* The answer's kind, or 0 where there is none; it must be whole. */
static inline uint32_t call_box_kind(const struct call_box *c, size_t room)
{
    struct halo_message message;

    memcpy(&message, c->room, sizeof(message));
    if (message.kind == 0xee)
        return 0;
    if ((message.flags & ~(unsigned)HALO_MESSAGE_DEFERRED) ||
        message.request != c->request.message.request || message.length > room - sizeof(message))
        abort();
    for (size_t i = sizeof(message) + message.length; i < ROOM; i++) {
        if (c->room[i] != 0xee) /* nothing is written behind the answer */
            abort();
    }
    return message.kind;
}

#endif
