/* The bytes of a request, and its answer. */
#include "request.h"
#include "stack.h"

const char *halo__request_parse(struct halo_request *request, uint64_t room)
{
    if (request->readable_len < sizeof(request->message)) /* DEV-18 */
        return "a request shorter than its header";
    if (request->writable_len < room) /* DEV-19 */
        return "a request without room for its answer";
    halo__request_read(request, 0, &request->message, sizeof(request->message)); /* TOC-04 */
    if (request->message.flags &
        ~(request->message.kind == HALO_KIND_CALL ? HALO_DEPTH_MAX << HALO_DEPTH_SHIFT : 0u))
        return "a message with unknown flags";
    if (request->message.length != request->readable_len - sizeof(request->message)) /* STR-07 */
        return "a message whose length is not that of its chain";
    return (void *)0;
}

void halo__request_read(const struct halo_request *request, uint64_t offset, void *to, size_t len)
{
    const struct halo_span *span = request->spans;
    unsigned char *at = to;

    for (; len > 0 && offset >= span->len; span++)
        offset -= span->len;
    for (; len > 0; span++, offset = 0) {
        size_t part = span->len - (size_t)offset < len ? span->len - (size_t)offset : len;

        halo_shm_copy_in(at, span->base + offset, part);
        at += part;
        len -= part;
    }
}

void halo__request_write(const struct halo_request *request, uint64_t offset, const void *from,
                         size_t len)
{
    const struct halo_span *span = request->spans + request->readable_count;
    const unsigned char *at = from;

    for (; len > 0 && offset >= span->len; span++)
        offset -= span->len;
    for (; len > 0; span++, offset = 0) {
        size_t part = span->len - (size_t)offset < len ? span->len - (size_t)offset : len;

        halo_shm_copy_out(span->base + offset, at, part);
        at += part;
        len -= part;
    }
}

void halo__request_answer(struct halo_device *device, const struct halo_request *request,
                          enum halo_kind kind, uint8_t flags, uint32_t len)
{
    const struct halo_message message = {(uint8_t)kind, flags, request->message.request, len};

    halo__request_write(request, 0, &message, sizeof(message));
    if (request->stack) {
        halo__stack_push(request, sizeof(message) + len);
        return;
    }
    /* The token is our own and the length is within the chain: this can only fail when latched. */
    (void)halo_device_complete(device, request->token, (uint32_t)sizeof(message) + len);
}
