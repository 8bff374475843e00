/* What both ways of calls need: see call.h. */
#include "call.h"
#include "../port.h"

uint32_t halo__serving;

static char *append(char *at, const char *text)
{
    const size_t len = strlen(text);

    memcpy(at, text, len);
    return at + len;
}

/* Names of types are short. */
const char *halo__result_words(char *words, enum halo_type type, enum halo_type expected)
{
    char *at = append(words, "it returned ");

    at = append(at, type == HALO_VOID ? "no result" : halo_type_name(type));
    at = append(at, ", and its signature says ");
    at = append(at, halo_type_name(expected));
    *at = '\0';
    return words;
}

void halo__learn(uint32_t *room, uint32_t *run, uint32_t len, uint32_t least)
{
    if (len > least && len > *room) {
        *room = len > 1u << 31 ? len : 1u << (32 - __builtin_clz(len - 1));
        *run = 0;
    } else if (len > *room / 2) {
        *run = 0;
    } else if (++*run == HALO_SHORT_RUN) {
        *room = *room / 2 > least ? *room / 2 : 0;
        *run = 0;
    }
}

int halo__fetch_submit(struct halo_op *op, uint32_t ticket, void *memory, uint32_t length)
{
    const struct {
        struct halo_message message;
        struct halo_fetch fetch;
    } wire = {{.kind = HALO_KIND_FETCH, .length = sizeof(wire.fetch)}, {.ticket = ticket}};
    struct halo_send send;
    int error;

    halo_send_begin(&send, &halo__port);
    error = halo_send_write(&send, &wire, sizeof(wire));
    if (!error)
        error = halo_send_writable(&send, sizeof(wire.message));
    if (!error)
        error = halo_send_lend_writable(&send, memory, length);
    if (!error)
        error = halo_send_submit(&send, (uintptr_t)op, NULL);
    if (error)
        halo_send_drop(&send);
    return error;
}

int halo__fetch_result(struct halo_answer *answer, uint32_t length)
{
    unsigned char bytes[HALO_CALL_ROOM_MIN];
    struct halo_message message;
    const char *text;
    int32_t code;
    size_t len;

    if (halo_answer_read(&halo__port, answer, &message, sizeof(message)) != sizeof(message) ||
        message.length != answer->left)
        halo_panic("the host sent a malformed answer"); /* DRV-08 */
    if (message.kind == HALO_KIND_ANSWER && message.length == length)
        return 0;
    len = halo_answer_read(&halo__port, answer, bytes, sizeof(bytes));
    if (message.kind != HALO_KIND_ERROR || halo__decode_error(bytes, len, &code, &text))
        halo_panic("the host sent a malformed answer");
    return code;
}

struct fetch {
    struct halo_op op;
    uint32_t length;
    bool done;
    int error;
};

static bool fetched(struct halo_op *op, struct halo_answer *answer)
{
    struct fetch *fetch = (struct fetch *)op;

    fetch->error = halo__fetch_result(answer, fetch->length);
    fetch->done = true;
    return false;
}

int halo__fetch(const struct halo_deferred *deferred, void *memory)
{
    struct fetch fetch = {.op = {fetched}, .length = deferred->length};
    int error;

    while ((error = halo__fetch_submit(&fetch.op, deferred->ticket, memory, deferred->length))) {
        if (error != HALO_ENOMEM && error != HALO_EFULL)
            halo_panic("the host holds what cannot be fetched");
        halo__port_wait(); /* others have all the room, and give some back */
    }
    while (!fetch.done)
        halo__port_wait();
    return fetch.error;
}
