/* Values as the payload of a message. */
#include "call.h"

void halo__payload(struct halo_payload *payload, uint32_t function, const struct halo_value *values,
                   uint32_t count)
{
    payload->values = values;
    payload->count = count;
    payload->wire_len = halo__payload_put(payload->wire, function, values, count, &payload->len);
}

void halo__payload_write(const struct halo_payload *payload, struct halo_port *port,
                         const struct halo_request *request)
{
    uint64_t at = HALO_PAYLOAD + payload->wire_len;

    halo__request_write(port, request, HALO_PAYLOAD, payload->wire, payload->wire_len);
    for (uint32_t i = 0; i < payload->count; i++) {
        const uint64_t len = halo__raw_len(&payload->values[i]);

        at += halo__raw_pad(&payload->values[i], at - HALO_PAYLOAD);
        if (len > 0) /* else the pointer may be NULL */
            halo__request_write(port, request, at, payload->values[i].bytes, (size_t)len);
        at += len;
    }
}

void halo__answer_error(struct halo_calls *calls, const struct halo_request *request, int32_t code,
                        const char *text)
{
    unsigned char envelope[HALO_ENVELOPE_MAX];
    const size_t len = halo__encode_error(envelope, code, text);

    halo__request_write(calls->port, request, HALO_PAYLOAD, envelope, len);
    halo__port_answer(calls->port, request, HALO_KIND_ERROR, 0, (uint32_t)len);
}
