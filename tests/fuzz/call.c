/*
 * Any bytes as messages of a guest, before the host's half of calls: refused, answered with an
 * error, or a call of the right types; never two answers, none behind the room there is.
 */
#include "../unit/call_box.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* All that this half wants of the rest of the host. */
int halo__fail(struct halo_sandbox *box, int error, const char *format, ...)
{
    (void)box;
    (void)format;
    return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct call_box box;
    unsigned char *bytes;
    size_t room;

    if (!box.box)
        call_box_open(&box);
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
