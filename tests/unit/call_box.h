/* Calls as a guest may send them, before the host's half of calls alone: no guest, no ring. */
#ifndef CALL_BOX_H
#define CALL_BOX_H

#include "../../src/message/envelope.h"
#include "../../src/host/sandbox.h"

#include <stdlib.h>
#include <string.h>

#define ROOM 4096u

struct call_box {
    struct halo_sandbox *box;
    struct halo_request request;
    unsigned char room[ROOM]; /* the answer: 0xee where nothing was written */
    uint32_t called;
    uint32_t text_max; /* longest text that "t" returns */
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

static inline void call_box_open(struct call_box *c)
{
    memset(c, 0, sizeof(*c));
    c->box = calloc(1, sizeof(*c->box));
    c->text_max = HALO_VALUE_MAX + 1;
    c->box->state = HALO_STATE_READY;
    c->box->g2h.violation.reason = HALO_BROKEN_STOPPED; /* there is no ring to complete on */
    c->box->g2h.features = HALO_FEATURES_ALL;
    if (halo_provide(c->box, "f", &call_box_signature, call_box_function, c) ||
        halo_provide(c->box, "v", &call_box_void_signature, call_box_void, c) ||
        halo_provide(c->box, "s", &call_box_sum_signature, call_box_sum, c) ||
        halo_provide(c->box, "n", &call_box_numbers_signature, call_box_numbers, c) ||
        halo_provide(c->box, "t", &call_box_text_signature, call_box_text, c))
        abort();
}

static inline void call_box_close(struct call_box *c)
{
    halo__kept_free(c->box);
    free(c->box->functions.provided);
    free(c->box->functions.exported);
    free(c->box);
}

/*
 * Have a message served that lies in pieces of at most `piece` bytes, with so much room for its
 * answer. Returns what could not be understood, or NULL.
 */
static inline const char *call_box_serve(struct call_box *c, const void *bytes, size_t len,
                                         size_t piece, size_t room)
{
    struct halo_request *request = &c->request;
    const char *why;

    memset(c->room, 0xee, sizeof(c->room));
    *request = (struct halo_request){.readable_len = len, .writable_len = room};
    if ((len + piece - 1) / piece + 2 > HALO_REQUEST_SPANS)
        piece = len / (HALO_REQUEST_SPANS - 3) + 1;
    for (size_t at = 0; at < len; at += piece)
        request->spans[request->readable_count++] = (struct halo_span){
            (HALO_SHARED unsigned char *)halo_shm_share((void *)(uintptr_t)bytes) + at,
            len - at < piece ? len - at : piece};
    request->spans[request->readable_count] = (struct halo_span){halo_shm_share(c->room), room / 2};
    request->spans[request->readable_count + 1] =
        (struct halo_span){halo_shm_share(c->room + room / 2), room - room / 2};
    request->writable_count = 2;
    why = halo__request_parse(request, HALO_ANSWER_MIN);
    if (why)
        return why;
    switch (request->message.kind) {
    case HALO_KIND_CALL:
        return halo__call_serve(c->box, request);
    case HALO_KIND_CONTROL:
        free(c->box->functions.exported); /* of an earlier one */
        c->box->functions.exported = NULL;
        c->box->functions.export_count = 0;
        return halo__hello(c->box, request);
    case HALO_KIND_FETCH:
        return halo__fetch(c->box, request);
    default:
        return "another kind";
    }
}

/* A compact call. Its inline answer goes to a ring that is not there. */
static inline const char *call_box_compact(struct call_box *c, const void *bytes, size_t len,
                                           size_t room)
{
    memset(c->room, 0xee, sizeof(c->room));
    c->request = (struct halo_request){
        .writable_len = room, .writable_count = 1, .is_inline = true, .inline_len = (uint8_t)len};
    memcpy(c->request.inline_bytes, bytes, len);
    c->request.spans[0] = (struct halo_span){halo_shm_share(c->room), room};
    return halo__call_compact(c->box, &c->request);
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
    if ((message.flags & ~(unsigned)HALO_MESSAGE_HELD) ||
        message.request != c->request.message.request || message.length > room - sizeof(message))
        abort();
    for (size_t i = sizeof(message) + message.length; i < ROOM; i++) {
        if (c->room[i] != 0xee) /* nothing is written behind the answer */
            abort();
    }
    return message.kind;
}

#endif
