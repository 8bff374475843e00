/*
 * Streams on the host: bytes go straight between an end point and the guest's buffers, with one
 * readv or writev for a chain. Nothing blocks: a request that its end point cannot serve now stays
 * first in its stream's queue. protocol.md, section 5.
 */
#define _GNU_SOURCE
#include "host.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEADER_LEN (sizeof(struct halo_message) + sizeof(struct halo_stream_request))

static const struct halo_span *writable_spans(const struct halo_request *request)
{
    return request->spans + request->readable_count;
}

/* Spans without their first `skip` bytes, at most `limit` bytes, as the operating system wants. */
static int iovecs(struct iovec *iov, const struct halo_span *spans, uint32_t count, uint64_t skip,
                  uint64_t limit)
{
    int n = 0;

    for (uint32_t i = 0; i < count && limit > 0; i++) {
        uint64_t len = spans[i].len;

        if (skip >= len) {
            skip -= len;
            continue;
        }
        len = len - skip < limit ? len - skip : limit;
        iov[n].iov_base = halo_shm_expose(spans[i].base + skip);
        iov[n].iov_len = len;
        n++;
        limit -= len;
        skip = 0;
    }
    return n;
}

const char *halo__stream_parse(struct halo_request *request)
{
    if (request->readable_len < HEADER_LEN) /* DEV-18 */
        return "a stream request shorter than its header";
    halo__request_read(request, sizeof(request->message), &request->stream,
                       sizeof(request->stream)); /* TOC-04 */
    if (request->stream.reserved != 0)
        return "a message with a reserved field that is not zero";
    switch (request->message.kind) {
    case HALO_KIND_STREAM_READ:
        return request->readable_len == HEADER_LEN ? NULL : "a read request with data";
    case HALO_KIND_STREAM_WRITE:
        return NULL;
    default:
        return "a message of unknown kind"; /* RPC-06 */
    }
}

void halo__stream_push(struct halo_stream *stream, struct halo_request *request)
{
    request->next = NULL;
    if (stream->first)
        stream->last->next = request;
    else
        stream->first = request;
    stream->last = request;
}

/* Answer with a short payload, for which every request has room. */
static void answer(struct halo_device *device, const struct halo_request *request,
                   enum halo_kind kind, const void *payload, uint32_t len)
{
    halo__request_write(request, sizeof(request->message), payload, len);
    halo__request_answer(device, request, kind, 0, len);
}

void halo__stream_fail(struct halo_device *device, struct halo_request *request, int error)
{
    struct halo_stream_error payload = {error};

    answer(device, request, HALO_KIND_ERROR, &payload, sizeof(payload));
}

static bool is_ready(const struct halo_stream *stream, short events)
{
    struct pollfd pollfd = {.fd = stream->fd, .events = events};

    return poll(&pollfd, 1, 0) > 0;
}

/* readv or writev that does not block. Returns bytes, or -1 with errno; EAGAIN: not ready. */
static ssize_t move(struct halo_stream *stream, const struct iovec *iov, int count, bool write)
{
    if (stream->is_file)
        return write ? writev(stream->fd, iov, count) : readv(stream->fd, iov, count);
    if (!stream->no_nowait) {
        ssize_t n = write ? pwritev2(stream->fd, iov, count, -1, RWF_NOWAIT)
                          : preadv2(stream->fd, iov, count, -1, RWF_NOWAIT);

        if (n >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL))
            return n;
        stream->no_nowait = true;
    }
    if (!is_ready(stream, write ? POLLOUT : POLLIN)) {
        errno = EAGAIN;
        return -1;
    }
    return write ? writev(stream->fd, iov, count) : readv(stream->fd, iov, count);
}

/* Returns whether the request is done. */
static bool serve_read(struct halo_stream *stream, struct halo_device *device,
                       struct halo_request *request, uint64_t *in)
{
    struct iovec iov[HALO_REQUEST_SPANS];
    int count = iovecs(iov, writable_spans(request), request->writable_count,
                       sizeof(request->message), SSIZE_MAX);
    ssize_t n = move(stream, iov, count, false);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n < 0) {
        halo__stream_fail(device, request, errno);
        return true;
    }
    *in += (uint64_t)n;
    halo__request_answer(device, request, HALO_KIND_ANSWER, n == 0 ? HALO_MESSAGE_END : 0,
                         (uint32_t)n);
    return true;
}

/* Returns whether the request is done; until then request->done counts what went out. */
static bool serve_write(struct halo_stream *stream, struct halo_device *device,
                        struct halo_request *request, uint64_t *out)
{
    const uint64_t len = request->readable_len - HEADER_LEN;
    struct halo_stream_written written = {(uint32_t)len};

    while (request->done < len) {
        struct iovec iov[HALO_REQUEST_SPANS];
        /* What poll calls writable takes PIPE_BUF bytes without blocking, but maybe no more. */
        uint64_t limit = stream->no_nowait ? PIPE_BUF : len;
        int count =
            iovecs(iov, request->spans, request->readable_count, HEADER_LEN + request->done, limit);
        ssize_t n = move(stream, iov, count, true);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0) {
            halo__stream_fail(device, request, errno);
            return true;
        }
        request->done += (uint64_t)n;
        *out += (uint64_t)n;
    }
    answer(device, request, HALO_KIND_ANSWER, &written, sizeof(written));
    return true;
}

void halo__stream_serve(struct halo_stream *stream, struct halo_device *device, uint64_t *in,
                        uint64_t *out)
{
    while (stream->first) {
        struct halo_request *request = stream->first;
        bool is_read = request->message.kind == HALO_KIND_STREAM_READ;

        if (!(is_read ? serve_read(stream, device, request, in)
                      : serve_write(stream, device, request, out)))
            return;
        stream->first = request->next;
    }
}
