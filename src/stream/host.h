/* Byte streams, the host's half: end points, and the requests that wait for them. */
#ifndef HALO_SRC_STREAM_HOST_H
#define HALO_SRC_STREAM_HOST_H

#include "../host/request.h"

#define HALO_STREAM_COUNT 3u

/* An end point, and its requests in the order in which they came. */
struct halo_stream {
    int fd; /* -1: none */
    bool may_read, may_write;
    bool is_file;   /* a regular file: never has to be waited for */
    bool no_nowait; /* the kernel has no RWF_NOWAIT for it: poll first */
    struct halo_request *first, *last;
};

/* Copy the stream's header in and judge it: NULL, or what cannot be understood. */
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
