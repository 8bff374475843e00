/* Byte streams, the host's half: end points, and the requests that wait for them. */
#ifndef HALO_SRC_STREAM_HOST_H
#define HALO_SRC_STREAM_HOST_H

#include <halo/abi.h>
#include <halo/device.h>

#define HALO_STREAM_COUNT 3u
#define HALO_REQUEST_SPANS 32u /* most buffers of one chain */

/*
 * A chain that was taken and is not answered yet. Fixed in size, one per buffer id, so that a
 * guest cannot make the host grow (RES-06).
 */
struct halo_request {
    struct halo_token token;
    struct halo_message message; /* private copy of the header: the only one that is looked at */
    struct halo_stream_request stream;
    struct halo_span spans[HALO_REQUEST_SPANS]; /* the readable ones, then the writable ones */
    uint32_t readable_count, writable_count;
    uint64_t readable_len, writable_len;
    uint64_t done;             /* bytes that went out to the end point so far */
    struct halo_request *next; /* in the stream's queue */
};

/* An end point, and its requests in the order in which they came. */
struct halo_stream {
    int fd; /* -1: none */
    bool may_read, may_write;
    bool is_file;   /* a regular file: never has to be waited for */
    bool no_nowait; /* the kernel has no RWF_NOWAIT for it: poll first */
    struct halo_request *first, *last;
};

/* Copy the request's headers in and judge them: NULL, or what cannot be understood. */
const char *halo__stream_parse(struct halo_request *request);

void halo__stream_push(struct halo_stream *stream, struct halo_request *request);

/*
 * Serve requests in order until none is left or the end point would block. Each one that is done
 * is completed on `device`, but not published. Adds the bytes moved to *in and *out.
 */
void halo__stream_serve(struct halo_stream *stream, struct halo_device *device, uint64_t *in,
                        uint64_t *out);

/* Answer a request with an errno. */
void halo__stream_fail(struct halo_device *device, struct halo_request *request, int error);

#endif
