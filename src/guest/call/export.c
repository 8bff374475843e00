/*
 * Calls of this program's functions. There are so many posts; each is a buffer for a call and one
 * for its answer, and goes round: posted, holding a call, and posted again together with the
 * answer. So nothing here competes with what the program itself asks of the host: an answer can
 * always be given.
 *
 * A call that is longer than its buffer is announced there and fetched, which is another exit. From
 * then on its post brings memory of that length for the call instead, which is the program's heap's
 * and is given back when the call is over. The host fills the buffer that was posted last first, or
 * the last of those that are long enough, so that as many posts learn as there are long calls at a
 * time.
 */
#include <halo/driver.h>
#include "../port.h"
#include "../stack.h"
#include "../trace.h"
#include "rows.h"

/* Most calls that the host can have going: each takes two descriptors at most. */
#define POSTS_MAX HALO_CALLS_MAX
#define RING_MAX (2 * POSTS_MAX)
_Static_assert(RING_MAX == 512, "the words below say so");
#define CALL_LEN 3968u
#define ANSWER_LEN 1152u /* longer results are not copied, but taken from where they lie */
_Static_assert(CALL_LEN + ANSWER_LEN == 5120, "as HALO_POOL_MIN has it");

/* Two buffers of the pool. */
struct post {
    unsigned char call[CALL_LEN];
    unsigned char answer[ANSWER_LEN];
};

/*
 * What a post may learn to bring, how many of them, and all of these together: a part of the heap.
 * Where answers are long, half of the posts that have learned wait for their host to read them.
 */
#define LONG_MAX (1u << 20)
#define LONG_COUNT 32u
#define LONG_PART 4u

/* A message that has come, its header in a private copy. */
struct incoming {
    struct halo_message message;
    uint32_t post;
};

static struct {
    struct halo_driver driver;
    struct halo_driver_chain chains[RING_MAX];
    struct post *posts;
    struct {
        unsigned char *memory; /* for the next call; NULL: its buffer is */
        uint32_t room, run;    /* halo__learn */
    } longs[POSTS_MAX];
    uint32_t long_count;
    uint64_t long_all;
    uint8_t post_of[RING_MAX]; /* by chain id */
    bool *taken[POSTS_MAX];    /* where a result is lent: to be set when the host has read it */
    struct {
        unsigned char *memory; /* where it has rows: what is given back then */
        size_t len;
    } lent[POSTS_MAX];
    struct incoming put_off[POSTS_MAX]; /* they have time until a wait is over; in order */
    uint32_t put_off_count;
    bool stopped; /* the host has said that there will be no more calls */
} serve;

int main(int argc, char **argv);

/* A program of functions alone. */
__attribute__((weak)) int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return halo_serve();
}

/* --- Posting ---------------------------------------------------------------------------------- */

static struct halo_buf buf(const void *at, uint64_t len)
{
    return (struct halo_buf){(uintptr_t)at, (uint32_t)len};
}

static void add(uint32_t post, const struct halo_buf *bufs, uint32_t readable, uint32_t writable)
{
    const int id = halo_driver_add(&serve.driver, bufs, readable, writable);

    halo__check(id, "the ring for calls is full");
    serve.post_of[id] = (uint8_t)post;
    halo__port_unseen = true;
}

/* Where its next call goes, and is. */
static unsigned char *call_at(uint32_t post)
{
    return serve.longs[post].memory ? serve.longs[post].memory : serve.posts[post].call;
}

/* Post its buffer for the next call, behind an answer of `len` bytes, or none. */
static void repost(uint32_t post, uint32_t len)
{
    const uint32_t room = serve.longs[post].room;
    void *const memory = serve.longs[post].memory = room > 0 ? malloc(room) : NULL;
    const struct halo_buf bufs[] = {buf(serve.posts[post].answer, len),
                                    buf(call_at(post), memory ? room : CALL_LEN)};

    if (len > 0)
        add(post, bufs, 1, 1);
    else
        add(post, bufs + 1, 0, 1);
}

static void flush(void)
{
    halo_driver_publish(&serve.driver);
    if (halo_driver_should_kick(&serve.driver))
        halo__doorbell(HALO_DOORBELL_KICK, HALO_QUEUE_G2H, 0);
}

/* Post buffers out of the front of this memory. */
static struct halo__memory start(struct halo__memory memory)
{
    const struct halo_boot *boot = halo_boot_page();
    const struct halo_boot_queue *ring = &boot->queue[HALO_QUEUE_H2G];
    const uint32_t posts = ring->size / 2;
    const uint64_t len = (posts * sizeof(struct post) + HALO_PAGE - 1) / HALO_PAGE * HALO_PAGE;
    const struct halo_ring_place place = halo__boot_place(ring);

    if (boot->queue_count <= HALO_QUEUE_H2G || posts == 0 || ring->size > RING_MAX) /* DRV-17 */
        halo_panic("the queue of calls has more descriptors than this guest can take: 512");
    if (memory.len < len)
        halo_panic("the host's pool has no room for as many calls as its queue has");
    halo__check(halo_driver_init(&serve.driver, &place, serve.chains), "the ring is misplaced");
    halo__check(halo_driver_extend(&serve.driver, (uint32_t)boot->features),
                "the host offers extensions that do not go together");
    serve.posts = memory.base;
    for (uint32_t i = 0; i < posts; i++)
        repost(i, 0);
    flush();
    return (struct halo__memory){(unsigned char *)memory.base + len, memory.len - len};
}

/* --- Answering -------------------------------------------------------------------------------- */

/* The header of an answer; `payload` is what is in `wire` behind it. Its length with that. */
static uint32_t begin_answer(const struct halo_call *call, enum halo_kind kind,
                             struct halo__wire *wire, size_t payload, uint64_t raw)
{
    wire->message = (struct halo_message){
        .kind = (uint8_t)kind, .request = call->request, .length = (uint32_t)(payload + raw)};
    return (uint32_t)(sizeof(wire->message) + payload);
}

static void put(const struct halo_call *call, uint32_t at, const void *from, size_t len)
{
    halo_shm_copy_out(halo_shm_share(serve.posts[call->post].answer + at), from, len);
}

static void answer_error(struct halo_call *call, int32_t code, const char *text)
{
    struct halo__wire wire;
    const size_t payload = halo__encode_error(wire.payload, code, text);
    const uint32_t len = begin_answer(call, HALO_KIND_ERROR, &wire, payload, 0);

    call->state = HALO__ANSWERED;
    if (call->post == HALO__ON_STACK) {
        halo__check(halo__stack_push(&wire, len, NULL, 0), "the stack has no room for an error");
        return;
    }
    put(call, 0, &wire, len);
    repost(call->post, len);
}

static int refuse(struct halo_call *call, int error)
{
    answer_error(call, error, halo_strerror(error));
    return error;
}

/* A long result, from where it lies: it has to stay there until the host has read it. */
static void lend_answer(struct halo_call *call, uint32_t len, const void *bytes, uint64_t bytes_len)
{
    const struct halo_buf bufs[] = {buf(serve.posts[call->post].answer, len),
                                    buf(bytes, bytes_len)};
    bool taken = false;

    serve.taken[call->post] = &taken;
    add(call->post, bufs, 2, 0);
    while (!taken)
        halo__port_wait();
    repost(call->post, 0);
}

/* A result that is not what the signature says: the host gets words for it. */
static int refuse_result(struct halo_call *call, int error, const struct halo_value *value)
{
    char words[HALO_RESULT_WORDS];

    if (error != HALO_ETYPE)
        return refuse(call, error);
    answer_error(
        call, error,
        halo__result_words(words, value->type, (enum halo_type)call->export->signature.types[0]));
    return error;
}

int halo_return(struct halo_call *call, struct halo_value value)
{
    const uint64_t raw = halo__raw_len(&value);
    struct halo__wire wire;
    uint64_t whole;
    uint32_t len;
    int error;

    if (call->state)
        return halo__rows_return(call, &value);
    error = halo__value_check(call->export->signature.types[0], &value);
    if (error)
        return refuse_result(call, error, &value);
    if (raw > UINT32_MAX - sizeof(wire))
        return refuse(call, HALO_ESIZE);
    len = halo__payload_put(wire.payload, 0, &value, 1, &whole);
    memset(wire.payload + len, 0, halo__raw_pad(&value, len));
    len = begin_answer(call, HALO_KIND_ANSWER, &wire, len + halo__raw_pad(&value, len), raw);
    if (call->post == HALO__ON_STACK) {
        if (halo__stack_push(&wire, len, &value, 1))
            return refuse(call, HALO_ESIZE);
        call->state = HALO__ANSWERED;
        return 0;
    }
    call->state = HALO__ANSWERED;
    put(call, 0, &wire, len);
    if (raw > ANSWER_LEN - len) {
        lend_answer(call, len, value.bytes, raw);
        return 0;
    }
    if (raw > 0)
        put(call, len, value.bytes, (size_t)raw);
    repost(call->post, len + (uint32_t)raw);
    return 0;
}

int halo_fail(struct halo_call *call, int32_t code, const char *text)
{
    if (call->state)
        return halo__rows_failed(call, code, text);
    if (code <= 0)
        return HALO_EINVAL;
    answer_error(call, code, text);
    return 0;
}

/* --- With rows -------------------------------------------------------------------------------- */

/*
 * A long result with rows, from where it lies, in memory of its own: that is given back when the
 * host has read it, and other calls are served meanwhile. So several of them take one exit.
 */
static void lend_rows(const struct halo_call *call, struct halo__rows_outcome *outcome)
{
    const uint32_t post = call->post;
    const struct halo_buf bufs[] = {
        buf(serve.posts[post].answer, sizeof(struct halo_message) + sizeof(outcome->head)),
        buf(outcome->bytes, outcome->len)};

    serve.lent[post].memory = outcome->memory;
    serve.lent[post].len = outcome->len;
    halo__rows_lend(outcome->len);
    outcome->memory = NULL;
    add(post, bufs, 2, 0);
}

/* The host has read it. */
static void take_back(uint32_t post)
{
    halo__rows_take_back(serve.lent[post].memory, serve.lent[post].len);
    serve.lent[post].memory = NULL;
    repost(post, 0);
}

static void answer_rows(struct halo_call *call, struct halo__rows_outcome *outcome)
{
    const struct {
        struct halo_message message;
        struct halo_rows_answer head;
    } wire = {{.kind = HALO_KIND_ANSWER,
               .request = call->request,
               .length = (uint32_t)(sizeof(outcome->head) + outcome->len)},
              outcome->head};

    call->state = HALO__ANSWERED;
    put(call, 0, &wire, sizeof(wire));
    if (outcome->len > ANSWER_LEN - sizeof(wire)) {
        if (!halo__rows_may_lend(outcome->len))
            lend_answer(call, sizeof(wire), outcome->bytes, outcome->len);
        else
            lend_rows(call, outcome);
        return;
    }
    put(call, sizeof(wire), outcome->bytes, outcome->len);
    repost(call->post, (uint32_t)(sizeof(wire) + outcome->len));
}

/* Which function is called, for a trace. */
static uint32_t rows_function(const unsigned char *bytes, size_t len)
{
    uint32_t function = 0;

    if (len >= sizeof(function))
        memcpy(&function, bytes, sizeof(function));
    return function;
}

/* The payload is here, private to this program; see halo__rows_call. Whether `memory` was taken. */
static bool serve_rows(struct halo_call *call, unsigned char *bytes, size_t len, void *memory)
{
    const uint32_t function = rows_function(bytes, len);
    struct halo__rows_outcome outcome;

    halo__trace(HALO_EVENT_SERVE, function, call->request);
    halo__rows_call(call, bytes, len, memory, &outcome);
    halo__trace(HALO_EVENT_SERVED, function, call->request);
    if (outcome.code)
        answer_error(call, outcome.code, outcome.words);
    else
        answer_rows(call, &outcome);
    halo__rows_give(outcome.memory);
    return outcome.took;
}

/* An ordinary call of a function for rows. */
static void serve_one(struct halo_call *call, const struct halo_value *args)
{
    struct halo__rows_outcome outcome;

    halo__rows_call_one(call, args, &outcome);
    if (outcome.code)
        answer_error(call, outcome.code, outcome.words);
    else
        (void)halo_return(call, outcome.value);
    halo__rows_give(outcome.memory);
}

/* --- Serving ---------------------------------------------------------------------------------- */

/* The payload of a call is here, private to this program: call. */
static void serve_call(struct halo_call *call, unsigned char *bytes, size_t len)
{
    struct halo_value args[HALO_ARGUMENTS_MAX];
    struct halo_call_head head;
    uint32_t function = 0;
    uint64_t raw;
    size_t used = 0;
    int error;

    if (halo__payload_head(bytes, len, &head) ||
        halo__decode_function(bytes + sizeof(head), head.envelope_len, &function, &used) ||
        function > halo__export_count())
        halo_panic("the host sent a malformed call");
    call->export = &__start_halo_exports[function - 1];
    error = halo__decode_arguments(bytes + sizeof(head) + used, head.envelope_len - used,
                                   &call->export->signature, args, &raw);
    if (error ||
        halo__payload_place(bytes, len, &head, raw, args, call->export->signature.arg_count))
        halo_panic("the host sent a malformed call");
    halo__trace(HALO_EVENT_SERVE, function, call->request);
    if (call->export->rows) {
        serve_one(call, args);
        halo__trace(HALO_EVENT_SERVED, function, call->request);
        return;
    }
    halo__serving++;
    call->export->function(call, args);
    if (!call->state)
        (void)halo_return(call, halo_void()); /* HALO_ETYPE where there has to be a result */
    halo__serving--;
    halo__trace(HALO_EVENT_SERVED, function, call->request);
}

/* A message of so many bytes came with this post. */
static void learn(uint32_t post, uint64_t len)
{
    const uint32_t before = serve.longs[post].room;
    uint32_t room = before;

    if (len > LONG_MAX || (before == 0 && serve.long_count == LONG_COUNT))
        return;
    halo__learn(&room, &serve.longs[post].run, (uint32_t)len, CALL_LEN);
    if (serve.long_all - before + room > halo_boot_page()->heap_len / LONG_PART)
        return;
    serve.longs[post].room = room;
    serve.long_all = serve.long_all - before + room;
    if ((room > 0) != (before > 0))
        serve.long_count += room > 0 ? 1u : -1u;
}

/* The payload did not fit into the buffer: fetch it into memory of our own. */
static void serve_deferred(struct halo_call *call, const struct halo_deferred *deferred, bool rows)
{
    void *memory = rows ? halo__rows_memory(deferred->length) : malloc(deferred->length);
    int error = memory ? halo__fetch(deferred, memory) : HALO_ENOMEM;

    learn(call->post, sizeof(struct halo_message) + (uint64_t)deferred->length);
    if (error == 0 && rows)
        (void)serve_rows(call, memory, deferred->length, NULL);
    else if (error == 0)
        serve_call(call, memory, deferred->length);
    else if (error == HALO_ESTALE)
        answer_error(call, HALO_EINVAL, "the call was given up"); /* nobody looks at it */
    else
        refuse(call, error);
    if (rows)
        halo__rows_memory_free(memory);
    else
        free(memory);
}

/* A message whose payload is private to this program. Whether `memory`, where it lies, is taken. */
static bool handle_payload(const struct incoming *in, unsigned char *bytes, void *memory)
{
    const uint32_t len = in->message.length;
    struct halo_call call = {.post = in->post, .request = in->message.request};

    if (in->message.kind == HALO_KIND_STOP) {
        serve.stopped = true;
        repost(in->post, 0);
    } else if (in->message.flags & HALO_MESSAGE_DEFERRED) {
        struct halo_deferred deferred;

        if (len != sizeof(deferred))
            halo_panic("the host sent a malformed call");
        memcpy(&deferred, bytes, sizeof(deferred));
        serve_deferred(&call, &deferred, in->message.flags & HALO_MESSAGE_ROWS);
    } else if (in->message.flags & HALO_MESSAGE_ROWS) {
        return serve_rows(&call, bytes, len, memory);
    } else {
        serve_call(&call, bytes, len);
    }
    return false;
}

/*
 * A message, not beyond its buffer: that was checked. Out of a post it is copied, since that goes
 * out again with the answer, which a function may give before it is done with its arguments; one
 * with rows is answered when its function is, so that its columns stay where they are. Memory that
 * the post brought is this call's alone now.
 */
static void handle(const struct incoming *in)
{
    unsigned char *const memory = serve.longs[in->post].memory;
    _Alignas(8) unsigned char bytes[CALL_LEN];

    serve.longs[in->post].memory = NULL;
    if (memory) {
        learn(in->post, sizeof(in->message) + (uint64_t)in->message.length);
        if (!handle_payload(in, memory + sizeof(in->message), memory))
            free(memory);
        return;
    }
    if (in->message.flags & HALO_MESSAGE_ROWS && !(in->message.flags & HALO_MESSAGE_DEFERRED)) {
        (void)handle_payload(in, serve.posts[in->post].call + sizeof(in->message), NULL);
        return;
    }
    halo_shm_copy_in(bytes, halo_shm_share(serve.posts[in->post].call + sizeof(in->message)),
                     in->message.length);
    (void)handle_payload(in, bytes, NULL);
}

static bool is_due(const struct incoming *in, uint32_t waits)
{
    return in->message.flags >> HALO_DEPTH_SHIFT >= waits;
}

/* The first that was put off and is due now. */
static bool take_put_off(struct incoming *in, uint32_t waits)
{
    for (uint32_t i = 0; i < serve.put_off_count; i++) {
        if (!is_due(&serve.put_off[i], waits))
            continue;
        *in = serve.put_off[i];
        serve.put_off_count--;
        memmove(&serve.put_off[i], &serve.put_off[i + 1],
                (serve.put_off_count - i) * sizeof(serve.put_off[0]));
        return true;
    }
    return false;
}

/* The next message: 1; 0 where there is none; -1 where a long result was read. */
static int take(struct incoming *in)
{
    struct halo_used used;
    const int got = halo_driver_poll(&serve.driver, &used);
    bool **taken;

    if (got <= 0) {
        halo__check(got, "the host broke the ring");
        return 0;
    }
    in->post = serve.post_of[used.id];
    taken = &serve.taken[in->post];
    if (*taken) {
        **taken = true;
        *taken = NULL;
        return -1;
    }
    if (serve.lent[in->post].memory) {
        take_back(in->post);
        return -1;
    }
    if (used.len < sizeof(in->message))
        halo_panic("the host sent a malformed call");
    halo_shm_copy_in(&in->message, halo_shm_share(call_at(in->post)), sizeof(in->message));
    if (in->message.length != used.len - sizeof(in->message) ||
        (in->message.kind != HALO_KIND_CALL && in->message.kind != HALO_KIND_STOP))
        halo_panic("the host sent a malformed call");
    return 1;
}

static bool serve_due(uint32_t waits)
{
    struct incoming in;
    bool any = false;
    int got;

    if (take_put_off(&in, waits)) {
        handle(&in);
        return true;
    }
    while ((got = take(&in))) {
        any = true;
        if (got < 0)
            continue;
        if (is_due(&in, waits)) {
            handle(&in);
            return true;
        }
        serve.put_off[serve.put_off_count++] = in;
    }
    return any;
}

static bool has_news(void)
{
    return halo_driver_has_next(&serve.driver);
}

static bool has_put_off(uint32_t waits)
{
    for (uint32_t i = 0; i < serve.put_off_count; i++) {
        if (is_due(&serve.put_off[i], waits))
            return true;
    }
    return false;
}

static bool arm(uint32_t waits)
{
    return has_put_off(waits) || halo_driver_arm(&serve.driver);
}

static void serve_popped(struct halo__popped *popped)
{
    struct halo_call call = {.post = HALO__ON_STACK, .request = popped->message.request};

    if (popped->message.kind == HALO_KIND_STOP)
        serve.stopped = true;
    else if (popped->message.kind != HALO_KIND_CALL)
        halo_panic("the host sent a malformed call");
    else if (popped->payload)
        serve_call(&call, popped->payload, popped->message.length);
    else
        refuse(&call, HALO_ENOMEM);
    free(popped->payload);
}

const struct halo__service halo__export_service = {
    .start = start,
    .serve = serve_due,
    .flush = flush,
    .has_news = has_news,
    .has_put_off = has_put_off,
    .arm = arm,
    .serve_popped = serve_popped,
};

int halo_serve(void)
{
    if (halo__serving > 0)
        return HALO_ESTATE;
    if (halo__export_count() > 0)
        halo__port_serve(&serve.stopped);
    return 0;
}
