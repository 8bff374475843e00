/* What a stream lacks to go on, in words, and when it is tried again. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "../deadline.h"
#include "stream.h"

const char *halo__stream_title(const struct halo_streams *streams, const struct halo_stream *stream,
                               char *text)
{
    static const char *const standard[] = {"standard input", "standard output", "standard error"};
    const uint32_t handle = halo__stream_handle(streams, stream);
    const size_t size = HALO_STREAM_NAME_MAX + 16;

    if (handle <= HALO_STDERR)
        (void)snprintf(text, size, "%s", standard[handle]);
    else if (stream->name[0])
        (void)snprintf(text, size, "stream %s", stream->name);
    else
        (void)snprintf(text, size, "stream 0x%x", handle);
    return text;
}

#define AGAIN_NS 20000000 /* how often a shortage is looked at again */

void halo__stream_stopped(struct halo_streams *streams, struct halo_stream *stream,
                          const char *what)
{
    char title[HALO_STREAM_NAME_MAX + 16];
    const int error = errno;

    (void)snprintf(streams->shortage, sizeof(streams->shortage), "%s cannot go on: %s: %s",
                   halo__stream_title(streams, stream, title), what, strerror(error));
    if (!halo__is_shortage(error)) {
        streams->port->host_failed =
            halo__fail(streams->words, HALO_EHOST, "%s", streams->shortage);
        return;
    }
    stream->is_short = true;
    if (!streams->poller->again)
        streams->poller->again = halo__now() + AGAIN_NS;
}
