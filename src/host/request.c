/* The header of a request, judged. */
#include "request.h"
#include "../message/compact.h"

/* The compact form: the only one that comes inside a descriptor. */
static const char *parse_inline(struct halo_request *request)
{
    const unsigned char first = request->parked.inline_bytes[0];
    const unsigned char depth = HALO_DEPTH_MAX << HALO_DEPTH_SHIFT;

    request->message = (struct halo_message){.kind = HALO_KIND_CALL, .flags = first & depth};
    if (request->parked.inline_len < HALO_COMPACT_HEAD ||
        (first & ~depth) != (HALO_KIND_CALL | HALO_COMPACT)) /* RPC-06 */
        return "a compact message of unknown kind";
    return (void *)0;
}

const char *halo__request_parse(const struct halo_receiver *receiver, struct halo_request *request,
                                uint64_t room)
{
    const struct halo_parked *parked = &request->parked;
    struct halo_message *message = &request->message;
    uint8_t flags = 0;

    if (parked->writable_len < room) { /* DEV-19 */
        *message = (struct halo_message){0};
        return "a request without room for its answer";
    }
    if (parked->is_inline)
        return parse_inline(request);
    if (halo_parked_read(receiver, parked, 0, message, sizeof(*message)) < sizeof(*message))
        return "a request shorter than its header"; /* DEV-18, TOC-04 */
    if (message->kind == HALO_KIND_CALL)
        flags = HALO_DEPTH_MAX << HALO_DEPTH_SHIFT;
    if (message->flags & ~flags)
        return "a message with unknown flags";
    if (message->length != parked->readable_len - sizeof(*message)) /* STR-07 */
        return "a message whose length is not that of its chain";
    return (void *)0;
}
