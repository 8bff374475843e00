/*
 * Any bytes as messages of a guest, before the host's half of calls: refused, answered with an
 * error, or a call of the right types; never two answers, none behind the room there is. And any
 * bytes as answers to calls of the host's: refused, or the end of the call that they name.
 */
#include "../../src/host/loop.h"
#include "../unit/call_box.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* All that this half wants of the rest of the host: nothing here runs a guest. */
int halo__fail(struct halo_sandbox *box, int error, const char *format, ...)
{
    (void)box;
    (void)format;
    return error;
}

int halo__end(struct halo_sandbox *box, int error)
{
    (void)box;
    return error;
}

int halo__run_until(struct halo_sandbox *box, halo__has_come *has_come, const void *what,
                    int64_t timeout_ns)
{
    (void)box;
    (void)has_come;
    (void)what;
    (void)timeout_ns;
    abort();
}

/* Results of every kind are being waited for: functions 1 to 4, requests 0x100 to 0x103. */
static const enum halo_type answer_types[] = {HALO_VOID, HALO_I64, HALO_STR, HALO_BYTES};

static void answer(struct call_box *c, unsigned char *bytes, size_t len, size_t piece)
{
    struct halo_provided exported[4] = {{.name = "a"}};
    struct halo_future futures[4];
    struct halo_request post = {.readable_len = len, .writable_len = ROOM, .writable_count = 1};
    struct halo_functions *functions = &c->box->functions;
    const struct halo_functions before = *functions;
    uint32_t done = 0;
    const char *why;

    halo__kept_free(c->box);
    memset(&c->box->calls, 0, sizeof(c->box->calls));
    c->box->state = HALO_STATE_RUNNING;
    functions->exported = exported;
    functions->export_count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        exported[i].signature.types[0] = (uint8_t)answer_types[i];
        post.spans[0] = (struct halo_span){halo_shm_share(c->room), ROOM};
        c->box->calls.post = &post;
        post.next = NULL;
        if (halo_start(c->box, &futures[i], (int)i + 1, NULL, 0))
            abort();
        halo__invoke_send(c->box);
    }
    if (len / piece + 1 > HALO_REQUEST_SPANS - 1)
        piece = len / (HALO_REQUEST_SPANS - 2) + 1;
    for (size_t at = 0; at < len; at += piece)
        post.spans[post.readable_count++] =
            (struct halo_span){(HALO_SHARED unsigned char *)halo_shm_share(bytes) + at,
                               len - at < piece ? len - at : piece};
    why = halo__post_take(c->box, &post);
    for (uint32_t i = 0; i < 4; i++) {
        const struct halo_value *result = &futures[i].result;

        done += futures[i].done;
        if (futures[i].done && !futures[i].error &&
            (result->type != answer_types[i] ||
             (result->type == HALO_STR && strlen(result->str) != result->len) ||
             (result->type == HALO_BYTES && result->len > len)))
            abort();
        halo_done(&futures[i]);
    }
    if (len > 0 && done != (why == NULL))
        abort();
    *functions = before;
    memset(&c->box->calls, 0, sizeof(c->box->calls));
    c->box->state = HALO_STATE_READY;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct call_box box;
    unsigned char *bytes;
    size_t room;

    if (!box.box) {
        call_box_open(&box);
        box.text_max = 3000;
    }
    if (len < 3)
        return 0;
    box.box->functions.greeted = data[0] & 1;
    room = data[1] * 4u;
    bytes =
        malloc(len - 2 + sizeof(struct halo_message)); /* exactly as long: ASan watches the end */
    memcpy(bytes, data + 2, len - 2);
    len -= 2;
    if (data[0] & 2 && len >= sizeof(struct halo_message)) { /* with its right length */
        const uint32_t payload = (uint32_t)(len - sizeof(struct halo_message));

        memcpy(bytes + 4, &payload, sizeof(payload));
    }
    bytes = realloc(bytes, len);
    box.called = 0;
    {
        const char *why;

        if (data[0] >> 6 == 3) {
            answer(&box, bytes, len, 1 + (data[0] >> 3 & 7));
            free(bytes);
            return 0;
        }
        if (data[0] & 4 && len <= 12) { /* compact; its answer may be inline */
            why = call_box_compact(&box, bytes, len, room);
            if ((why && box.called) || box.called > 1)
                abort();
            free(bytes);
            return 0;
        }
        why = call_box_serve(&box, bytes, len, 1 + (data[0] >> 3), room);

        if ((call_box_kind(&box, room) != 0) == (why != NULL) || box.called > 1 ||
            (why && box.called))
            abort();
    }
    free(bytes);
    return 0;
}
