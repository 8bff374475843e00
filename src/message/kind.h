/* What kinds of messages are called where people see them. */
#ifndef HALO_SRC_MESSAGE_KIND_H
#define HALO_SRC_MESSAGE_KIND_H

#include <halo/abi.h>

static inline const char *halo__kind_name(uint8_t kind)
{
    static const char *const names[] = {
        [HALO_KIND_CALL] = "call",
        [HALO_KIND_ANSWER] = "answer",
        [HALO_KIND_ERROR] = "error",
        [HALO_KIND_FETCH] = "fetch",
        [HALO_KIND_STREAM_CANCEL] = "cancel",
        [HALO_KIND_STREAM_READ] = "read",
        [HALO_KIND_STREAM_WRITE] = "write",
        [HALO_KIND_STREAM_CLOSE] = "close",
        [HALO_KIND_HELLO] = "hello",
        [HALO_KIND_STREAM_OPEN] = "open",
        [HALO_KIND_STOP] = "stop",
        [HALO_KIND_LOG] = "log",
    };

    return kind < sizeof(names) / sizeof(names[0]) && names[kind] ? names[kind] : "unknown";
}

#endif
