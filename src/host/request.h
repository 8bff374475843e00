/*
 * A guest's request: a chain that was taken and is not answered yet. Its message header is copied
 * to private memory once, and only the copy is looked at; all else of it is read and written
 * through here.
 */
#ifndef HALO_SRC_REQUEST_H
#define HALO_SRC_REQUEST_H

#include <halo/abi.h>
#include <halo/device.h>

#define HALO_REQUEST_SPANS 32u /* most buffers of one chain */

/* Room that every request has for its answer: a header, and an error of a stream. */
#define HALO_ANSWER_MIN (sizeof(struct halo_message) + sizeof(struct halo_stream_error))

struct halo_stack;

/* Fixed in size, one per buffer id, so that a guest cannot make the host grow (RES-06). */
struct halo_request {
    struct halo_token token;
    struct halo_message message; /* private copy of the header */
    struct halo_stream_request stream;
    struct halo_span spans[HALO_REQUEST_SPANS]; /* the readable ones, then the writable ones */
    uint32_t readable_count, writable_count;
    uint64_t readable_len, writable_len;
    uint64_t done;             /* bytes that went out to the end point so far */
    struct halo_request *next; /* in the queue of a stream, or of what was put off or posted */
    struct halo_stack *stack;  /* where its answer is pushed, or NULL: it is a chain */
    uint64_t stack_at;         /* its writable part begins there */
    bool is_inline;            /* it lay in its descriptor: here it is */
    uint8_t inline_len;
    unsigned char inline_bytes[HALO_INLINE_REQUEST_MAX];
};

/*
 * Copy the message header in and judge it: NULL, or what cannot be understood. `room` is what its
 * writable part has to have at least.
 */
const char *halo__request_parse(struct halo_request *request, uint64_t room);

/* Copy `len` bytes at `offset` of the readable part to private memory; they are known to be there.
 */
void halo__request_read(const struct halo_request *request, uint64_t offset, void *to, size_t len);

/* Copy `len` bytes to `offset` of the writable part; there is room for them. */
void halo__request_write(const struct halo_request *request, uint64_t offset, const void *from,
                         size_t len);

/*
 * Write the answer's header and give the chain back, with `len` bytes of payload that were written
 * behind where the header goes. It is published later. With stacks it is pushed.
 */
void halo__request_answer(struct halo_device *device, const struct halo_request *request,
                          enum halo_kind kind, uint8_t flags, uint32_t len);

#endif
