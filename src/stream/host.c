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
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEADER_LEN (sizeof(struct halo_message) + sizeof(struct halo_stream_request))
#define ANSWER_MIN (sizeof(struct halo_message) + sizeof(struct halo_stream_error))

static const struct halo_span *writable_spans(const struct halo_request *request)
{
    return request->spans + request->readable_count;
}

/* Gather `len` bytes at `offset` of some spans into private memory; they are known to be there. */
static void copy_in(void *to, const struct halo_span *span, uint64_t offset, size_t len)
{
    unsigned char *at = to;

    for (; offset >= span->len; span++)
        offset -= span->len;
    for (; len > 0; span++, offset = 0) {
        size_t part = span->len - offset < len ? span->len - offset : len;

        halo_shm_copy_in(at, span->base + offset, part);
        at += part;
        len -= part;
    }
}

/* Scatter `len` bytes over spans, from their start; there is room for them. */
static void copy_out(const struct halo_span *span, const void *from, size_t len)
{
    const unsigned char *at = from;

    for (; len > 0; span++) {
        size_t part = span->len < len ? span->len : len;

        halo_shm_copy_out(span->base, at, part);
        at += part;
        len -= part;
    }
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
    uint64_t payload;

    if (request->readable_len < HEADER_LEN) /* DEV-18 */
        return "a request shorter than its header";
    if (request->writable_len < ANSWER_MIN) /* DEV-19 */
        return "a request without room for its answer";
    copy_in(&request->message, request->spans, 0, sizeof(request->message)); /* TOC-04 */
    copy_in(&request->stream, request->spans, sizeof(request->message), sizeof(request->stream));
    payload = request->readable_len - sizeof(request->message);
    if (request->message.flags != 0)
        return "a message with unknown flags";
    if (request->message.length != payload) /* STR-07 */
        return "a message whose length is not that of its chain";
    if (request->stream.reserved != 0)
        return "a message with a reserved field that is not zero";
    switch (request->message.kind) {
    case HALO_KIND_STREAM_READ:
        return payload == sizeof(request->stream) ? NULL : "a read request with data";
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

/* Write the answer's header, and a short payload where there is one, and give the chain back. */
static void answer(struct halo_device *device, struct halo_request *request, enum halo_kind kind,
                   uint8_t flags, const void *payload, uint32_t len)
{
    unsigned char reply[ANSWER_MIN];
    struct halo_message message = {(uint8_t)kind, flags, request->message.request, len};
    size_t reply_len = sizeof(message);

    memcpy(reply, &message, sizeof(message));
    if (payload) {
        memcpy(reply + reply_len, payload, len);
        reply_len += len;
    }
    copy_out(writable_spans(request), reply, reply_len);
    /* The token is our own and the length is within the chain: this can only fail when latched. */
    (void)halo_device_complete(device, request->token, (uint32_t)sizeof(message) + len);
}

void halo__stream_fail(struct halo_device *device, struct halo_request *request, int error)
{
    struct halo_stream_error payload = {error};

    answer(device, request, HALO_KIND_ERROR, 0, &payload, sizeof(payload));
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
    answer(device, request, HALO_KIND_ANSWER, n == 0 ? HALO_MESSAGE_END : 0, NULL, (uint32_t)n);
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
    answer(device, request, HALO_KIND_ANSWER, 0, &written, sizeof(written));
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
