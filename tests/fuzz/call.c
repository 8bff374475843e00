/*
 * Any bytes as messages of a guest, before the host's half of calls: refused, answered with an
 * error, or a call of the right types; never two answers, none behind the room there is. And any
 * bytes as answers to calls of the host's: refused, or the end of the call that they name.
 */
#include "../unit/call_box.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define WAITING 7u
/* Results of every kind are being waited for: functions 1 to 7, requests 0x100 to 0x106. */
static const unsigned answer_types[WAITING] = {
    HALO_VOID,  HALO_I64, HALO_STR, HALO_BYTES, HALO_LIST | HALO_F64, HALO_LIST | HALO_BOOL,
    HALO_HANDLE};

static void answer(struct call_box *c, unsigned char *bytes, size_t len, size_t piece)
{
    struct halo_provided exported[WAITING] = {{.name = "a"}};
    struct halo_future futures[WAITING];
    struct halo_calls *calls = &c->calls;
    struct halo_functions before;
    uint32_t done = 0;
    const char *why = NULL;

    call_box_close(c);
    call_box_open(c);
    before = calls->functions;
    calls->functions.exported = exported;
    calls->functions.export_count = WAITING;
    for (uint32_t i = 0; i < WAITING; i++) {
        struct halo_request *room = &c->port.requests[HALO_QUEUE_H2G][0];

        exported[i].signature.types[0] = (uint8_t)answer_types[i];
        port_box_request(room, 0, NULL, 0, 1, c->room, ROOM);
        c->port.posted = 1;
        if (halo__future_start(calls, &futures[i], (int)i + 1, NULL, 0) || halo__invoke_send(calls))
            abort();
    }
    port_box_request(&c->request, 0, bytes, len, piece, NULL, 0);
    why = port_box_take(&c->port, HALO_QUEUE_H2G, &c->request, 0);
    for (uint32_t i = 0; i < WAITING; i++) {
        const struct halo_value *result = &futures[i].result;

        done += futures[i].done;
        if (futures[i].done && !futures[i].error &&
            ((unsigned)result->type != answer_types[i] ||
             (result->type == HALO_STR && strlen(result->str) != result->len) ||
             (result->type == HALO_HANDLE && result->handle.number != c->handle.number) ||
             (result->type >= HALO_BYTES && result->len > len) ||
             (result->len > 0 && halo_is_list(result->type) &&
              (uintptr_t)result->bytes % halo_element_len(result->type))))
            abort();
        halo_future_free(&futures[i]);
    }
    if (len > 0 && done != (why == NULL))
        abort();
    calls->functions = before;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct call_box box;
    static bool is_open;
    unsigned char *bytes;
    size_t room;

    if (!is_open)
        call_box_open(&box);
    is_open = true;
    box.text_max = 3000;
    if (len < 3)
        return 0;
    box.calls.functions.greeted = data[0] & 1;
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
