/*
 * The host's calls of the guest's functions. A future is a call: it waits to go out until the guest
 * has posted a buffer, and is in flight until its answer comes. Answers come in the chains that
 * post the next buffers, so that they need no room that the guest's own calls could have taken.
 */
#include <stdlib.h>
#include <string.h>
#include "../loop.h"
#include "../../message/envelope.h"
#include "call.h"

#define PAYLOAD sizeof(struct halo_message) /* where it begins */
#define ANSWER_MAX (sizeof(struct halo_call_head) + HALO_ENVELOPE_MAX + HALO_VALUE_MAX + 1)

/* --- Who can be called ------------------------------------------------------------------------ */

int halo_lookup(struct halo_sandbox *box, const char *name, const struct halo_signature *signature)
{
    char wanted[HALO_SIGNATURE_TEXT_MAX], found[HALO_SIGNATURE_TEXT_MAX];
    const struct halo_functions *functions = &box->functions;
    int index;

    if (box->state != HALO_STATE_RUNNING)
        return halo__fail(&box->words, HALO_ESTATE, "%s: the guest has not begun, or has ended",
                          name);
    if (!halo_signature_sound(signature))
        return halo__fail(&box->words, HALO_EINVAL, "%s: a signature that is none", name);
    index = halo__function_find(functions->exported, functions->export_count, name, strlen(name));
    if (index < 0)
        return halo__fail(&box->words, index, "%s: the guest exports no such function", name);
    if (!halo_signature_equal(signature, &functions->exported[index - 1].signature))
        return halo__fail(&box->words, HALO_ETYPE, "%s: the guest exports %s, not %s", name,
                          halo_signature_text(&functions->exported[index - 1].signature, found),
                          halo_signature_text(signature, wanted));
    return index;
}

bool halo_exported(const struct halo_sandbox *box, uint32_t index, const char **name,
                   struct halo_signature *signature)
{
    if (index >= box->functions.export_count)
        return false;
    *name = box->functions.exported[index].name;
    *signature = box->functions.exported[index].signature;
    return true;
}

/* --- Futures ---------------------------------------------------------------------------------- */

/* Its call is over, one way or the other. */
static void finish(struct halo_future *future, int error, const char *text)
{
    future->box = NULL;
    future->error = error;
    future->text = text;
    future->done = true;
}

static void append(struct halo_calls *calls, struct halo_future *future)
{
    future->prev = calls->last;
    future->next = NULL;
    if (calls->last)
        calls->last->next = future;
    else
        calls->first = future;
    calls->last = future;
}

static void unlink_future(struct halo_calls *calls, struct halo_future *future)
{
    if (future->prev)
        future->prev->next = future->next;
    else
        calls->first = future->next;
    if (future->next)
        future->next->prev = future->prev;
    else
        calls->last = future->prev;
}

/* Why this call cannot be made, or 0. */
static int judge(const struct halo_sandbox *box, int function, const struct halo_value *args,
                 size_t count)
{
    uint64_t len = 0;
    uint32_t which;
    int error;

    if (box->state != HALO_STATE_RUNNING)
        return HALO_ESTATE;
    if (function < 1 || (uint32_t)function > box->functions.export_count)
        return HALO_ENAME;
    if (box->calls.serving > HALO_DEPTH_MAX)
        return HALO_EDEPTH;
    if (box->on_stacks && (box->calls.first || box->calls.number_count > box->calls.waits))
        return HALO_ETRANSPORT;
    error =
        halo_values_check(&box->functions.exported[function - 1].signature, args, count, &which);
    for (size_t i = 0; i < count && !error; i++) {
        len += args[i].len;
        if (args[i].len > HALO_VALUE_MAX || len > HALO_VALUE_MAX)
            error = HALO_ESIZE;
    }
    return error;
}

int halo_start(struct halo_sandbox *box, struct halo_future *future, int function,
               const struct halo_value *args, size_t count)
{
    const int error = judge(box, function, args, count);

    future->box = NULL;
    future->memory = NULL;
    future->code = 0;
    future->result = halo_void();
    if (error) {
        finish(future, error, halo_strerror(error));
        return error;
    }
    future->done = false;
    future->error = 0;
    future->text = "";
    future->box = box;
    future->function = (uint32_t)function;
    future->request = 0;
    future->depth = (uint8_t)box->calls.serving;
    future->arg_count = (uint8_t)count;
    if (count > 0)
        memcpy(future->args, args, count * sizeof(*args));
    append(&box->calls, future);
    return 0;
}

struct halo_future *halo__invoke_find(struct halo_sandbox *box, uint32_t request)
{
    const struct halo_calls *calls = &box->calls;
    const uint32_t place = request % HALO_NUMBERS;

    return request > 0 && calls->numbers[place] == request ? calls->in_flight[place] : NULL;
}

/* Its number may be used again, for another call. */
static void free_number(struct halo_calls *calls, uint32_t request)
{
    calls->in_flight[request % HALO_NUMBERS] = NULL;
    calls->numbers[request % HALO_NUMBERS] = 0;
    calls->number_count--;
}

void halo_done(struct halo_future *future)
{
    if (future->box && future->request)
        future->box->calls.in_flight[future->request % HALO_NUMBERS] = NULL;
    else if (future->box)
        unlink_future(&future->box->calls, future);
    future->box = NULL;
    free(future->memory);
    future->memory = NULL;
    future->result = halo_void();
}

void halo__invoke_end(struct halo_sandbox *box, int error)
{
    struct halo_calls *calls = &box->calls;
    struct halo_future *future;

    for (uint32_t i = 0; i < HALO_NUMBERS; i++) {
        future = calls->in_flight[i];
        calls->in_flight[i] = NULL;
        if (future)
            finish(future, error, halo_strerror(error));
    }
    while ((future = calls->first)) {
        unlink_future(calls, future);
        finish(future, error, halo_strerror(error));
    }
    memset(calls->numbers, 0, sizeof(calls->numbers));
    calls->number_count = 0;
    calls->first_put_off = calls->last_put_off = NULL;
}

/* --- Out -------------------------------------------------------------------------------------- */

void halo__invoke_payload(struct halo_payload *payload, unsigned char *wire,
                          const struct halo_future *future)
{
    halo__payload(payload, wire, future->function, future->args, future->arg_count);
}

/* A buffer that the guest has posted, or NULL. */
static struct halo_request *take_post(struct halo_calls *calls)
{
    struct halo_request *post = calls->post;

    if (post)
        calls->post = post->next;
    return post;
}

/* Give a buffer back with a message in it. */
static void send(struct halo_sandbox *box, const struct halo_request *post,
                 struct halo_message message)
{
    halo__request_write(post, 0, &message, sizeof(message));
    if (post->stack) {
        halo__stack_push(post, sizeof(message) + message.length);
        return;
    }
    (void)halo_device_complete(&box->h2g, post->token, (uint32_t)sizeof(message) + message.length);
}

/* Give it a number that is not in use, never 0: its high byte counts the uses of its low one. */
static void number(struct halo_calls *calls, struct halo_future *future)
{
    uint32_t i = calls->next_number;

    while (calls->numbers[i])
        i = (i + 1) % HALO_NUMBERS;
    calls->next_number = (i + 1) % HALO_NUMBERS;
    calls->generations[i] = (uint8_t)(calls->generations[i] == 255 ? 1 : calls->generations[i] + 1);
    future->request = (uint16_t)((uint32_t)calls->generations[i] << 8 | i);
    calls->numbers[i] = future->request;
    calls->in_flight[i] = future;
    calls->number_count++;
}

static void send_call(struct halo_sandbox *box, struct halo_request *post,
                      const struct halo_future *future)
{
    unsigned char wire[sizeof(struct halo_call_head) + HALO_ENVELOPE_MAX];
    struct halo_message message = {.kind = HALO_KIND_CALL,
                                   .flags = (uint8_t)(future->depth << HALO_DEPTH_SHIFT),
                                   .request = future->request};
    struct halo_payload payload;

    halo__invoke_payload(&payload, wire, future);
    if (payload.len <= post->writable_len - PAYLOAD) {
        halo__payload_write(&payload, post);
        message.length = (uint32_t)payload.len;
    } else { /* the guest fetches it into memory of its own */
        const struct halo_held held = {HALO_TICKET_CALL | future->request, (uint32_t)payload.len};

        halo__request_write(post, PAYLOAD, &held, sizeof(held));
        message.flags |= HALO_MESSAGE_HELD;
        message.length = sizeof(held);
    }
    send(box, post, message);
    box->stats.calls_out++;
}

/* With stacks: the one call that there is, where the guest waits for one. */
static const char *push_call(struct halo_sandbox *box)
{
    unsigned char wire[sizeof(struct halo_call_head) + HALO_ENVELOPE_MAX];
    struct halo_future *future = box->calls.first;
    struct halo_payload payload;
    struct halo_request post;
    const char *why;

    if (!future || box->doing == HALO_DOING_WORK)
        return NULL;
    why = halo__stack_post(&box->stacks[HALO_STACK_H2G], &post);
    if (why)
        return why;
    unlink_future(&box->calls, future);
    halo__invoke_payload(&payload, wire, future);
    if (PAYLOAD + payload.len > post.writable_len) {
        finish(future, HALO_ESIZE, halo_strerror(HALO_ESIZE));
        return NULL;
    }
    number(&box->calls, future);
    send_call(box, &post, future);
    return NULL;
}

const char *halo__invoke_send(struct halo_sandbox *box)
{
    struct halo_calls *calls = &box->calls;

    if (box->on_stacks)
        return push_call(box);
    while (calls->first && calls->post && calls->number_count < HALO_NUMBERS) {
        struct halo_future *future = calls->first;

        unlink_future(calls, future);
        number(calls, future);
        send_call(box, take_post(calls), future);
    }
    return NULL;
}

bool halo__invoke_stop(struct halo_sandbox *box)
{
    struct halo_calls *calls = &box->calls;
    struct halo_request *post;

    if (calls->first || calls->number_count > 0) /* those come first */
        return false;
    if (box->on_stacks) {
        struct halo_request pushed;

        if (halo__stack_post(&box->stacks[HALO_STACK_H2G], &pushed))
            return false;
        send(box, &pushed, (struct halo_message){.kind = HALO_KIND_CONTROL});
        return true;
    }
    post = take_post(calls);
    if (!post)
        return false;
    send(box, post, (struct halo_message){.kind = HALO_KIND_CONTROL});
    return true;
}

/* --- Answers ---------------------------------------------------------------------------------- */

/* Refusals that are the guest's to make; with another code its answer is malformed. */
static bool may_refuse(int32_t code)
{
    return code == HALO_ENAME || code == HALO_ETYPE || code == HALO_ECOUNT || code == HALO_ESIZE ||
           code == HALO_EDEPTH || code == HALO_ENOMEM || code == HALO_EINVAL;
}

static const char *take_error(struct halo_future *future, const struct halo_request *post)
{
    const size_t len = post->message.length;
    const char *text;
    int32_t code;

    if (len > sizeof(future->bytes))
        return "an error that is malformed";
    halo__request_read(post, PAYLOAD, future->bytes, len);
    if (halo__decode_error(future->bytes, len, &code, &text) || (code < 0 && !may_refuse(code)))
        return "an error that is malformed";
    future->code = code > 0 ? code : 0;
    finish(future, code > 0 ? HALO_ECALL : code, text);
    return NULL;
}

/* The payload of an answer, in the future's own bytes or memory of its own. */
static const char *take_result(struct halo_sandbox *box, struct halo_future *future,
                               const struct halo_request *post)
{
    const struct halo_provided *exported = &box->functions.exported[future->function - 1];
    const size_t len = post->message.length;
    unsigned char *bytes = future->bytes;
    struct halo_call_head head;
    uint64_t raw;

    if (len < sizeof(head))
        return "an answer shorter than its header";
    if (len > ANSWER_MAX) { /* RES-04: before anything is allocated */
        finish(future, HALO_ESIZE, halo_strerror(HALO_ESIZE));
        return NULL;
    }
    if (len > sizeof(future->bytes)) {
        bytes = future->memory = malloc(len);
        if (!bytes) {
            finish(future, HALO_ENOMEM, halo_strerror(HALO_ENOMEM));
            return NULL;
        }
    }
    halo__request_read(post, PAYLOAD, bytes, len);
    memcpy(&head, bytes, sizeof(head));
    bytes += sizeof(head);
    if (head.reserved != 0 || head.envelope_len > len - sizeof(head) ||
        halo__decode_result(bytes, head.envelope_len, (enum halo_type)exported->signature.types[0],
                            &future->result, &raw) ||
        raw != len - sizeof(head) - head.envelope_len ||
        halo__place_raw(bytes + head.envelope_len, &future->result, 1)) {
        future->result = halo_void();
        return "an answer that is malformed";
    }
    finish(future, 0, "");
    return NULL;
}

const char *halo__answer_take(struct halo_sandbox *box, const struct halo_request *post)
{
    struct halo_calls *calls = &box->calls;
    const uint32_t request = post->message.request;
    struct halo_future *future = halo__invoke_find(box, request);
    const char *why = NULL;

    if (post->message.kind != HALO_KIND_ANSWER && post->message.kind != HALO_KIND_ERROR)
        return "a message of unknown kind"; /* RPC-06 */
    if (request == 0 || calls->numbers[request % HALO_NUMBERS] != request)
        return "an answer to no call"; /* RPC-07 */
    if (future)                        /* else it was given up */
        why = post->message.kind == HALO_KIND_ANSWER ? take_result(box, future, post)
                                                     : take_error(future, post);
    if (!why) {
        free_number(calls, request);
        calls->answered++;
    }
    return why;
}

const char *halo__post_take(struct halo_sandbox *box, struct halo_request *post)
{
    struct halo_calls *calls = &box->calls;
    const char *why = NULL;

    if (post->is_inline)
        return "a compact message of unknown kind"; /* RPC-06 */
    if (post->readable_len > 0) {
        why = halo__request_parse(post, 0);
        if (!why)
            why = halo__answer_take(box, post);
    }
    if (why)
        return why;
    if (post->writable_len == 0) { /* an answer alone, whose sender waits until it was read */
        (void)halo_device_complete(&box->h2g, post->token, 0);
        return NULL;
    }
    if (post->writable_len < HALO_POST_MIN)
        return "a buffer for calls that is too short";
    post->next = calls->post;
    calls->post = post;
    return NULL;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

static bool is_done(const struct halo_sandbox *box, const void *future)
{
    (void)box;
    return ((const struct halo_future *)future)->done;
}

/* More have come than this. */
static bool more_came(const struct halo_sandbox *box, const void *answered)
{
    return box->calls.answered != *(const uint64_t *)answered;
}

int halo_wait(struct halo_future *future, int64_t timeout_ns)
{
    int error = 0;

    if (!future->done)
        error = halo__run_until(future->box, is_done, future, timeout_ns);
    return future->done ? future->error : error;
}

int halo_poll(struct halo_sandbox *box, int64_t timeout_ns)
{
    const uint64_t answered = box->calls.answered;
    int error;

    if (!box->calls.first && box->calls.number_count == 0)
        return 0;
    error = halo__run_until(box, more_came, &answered, timeout_ns);
    if (box->calls.answered > answered)
        return (int)(box->calls.answered - answered);
    return error || box->state == HALO_STATE_RUNNING ? error : HALO_ESTATE;
}
