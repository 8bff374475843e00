/* Names of what a picture has. */
#include "inspect.h"
#include "../message/kind.h"
#include <string.h>

#define NAME(names, value) \
    ((value) < sizeof(names) / sizeof(names[0]) && (names)[value] ? (names)[value] : "unknown")

const char *inspect_age(uint64_t age_ns, char *text)
{
    text[0] = '\0';
    if (age_ns == HALO_AGE_UNKNOWN)
        return text;
    if (age_ns < 1000000)
        (void)snprintf(text, 32, "%llu us", (unsigned long long)age_ns / 1000);
    else if (age_ns < 1000000000)
        (void)snprintf(text, 32, "%llu ms", (unsigned long long)age_ns / 1000000);
    else if (age_ns < 600000000000)
        (void)snprintf(text, 32, "%.1f s", (double)age_ns / 1e9);
    else
        (void)snprintf(text, 32, "%llu min", (unsigned long long)age_ns / 60000000000);
    return text;
}

const char *inspect_title(const struct halo_pictured_stream *stream, char *text)
{
    static const char *const standard[] = {"standard input", "standard output", "standard error"};

    if (stream->handle <= HALO_STDERR)
        (void)snprintf(text, 96, "%s", standard[stream->handle]);
    else if (stream->name[0])
        (void)snprintf(text, 96, "stream '%s'", stream->name);
    else
        (void)snprintf(text, 96, "stream 0x%x", stream->handle);
    return text;
}

const char *inspect_use(uint32_t use)
{
    static const char *const names[] = {
        [HALO_USE_PROGRAM] = "the program",  [HALO_USE_HEAP] = "the heap",
        [HALO_USE_STACK] = "the stack",      [HALO_USE_POOL] = "the pool of buffers",
        [HALO_USE_RINGS] = "the rings",      [HALO_USE_TOLD] = "what the host has told the guest",
        [HALO_USE_DOORBELL] = "the doorbell"};

    return NAME(names, use);
}

static const char *file_name(uint32_t file)
{
    static const char *const names[] = {
        [HALO_FILE_OTHER] = "a descriptor", [HALO_FILE_PIPE] = "a pipe",
        [HALO_FILE_SOCKET] = "a socket",    [HALO_FILE_TERMINAL] = "a terminal",
        [HALO_FILE_REGULAR] = "a file",     [HALO_FILE_DEVICE] = "a device"};

    return NAME(names, file);
}

const char *inspect_end(const struct halo_pictured_stream *stream)
{
    switch (stream->kind) {
    case HALO_END_FD:
        return stream->is_listener ? "a listening socket" : file_name(stream->file);
    case HALO_END_MEMORY:
        return "memory of the host's";
    case HALO_END_FUNCTIONS:
        return "functions of the host's";
    case HALO_END_HOST:
        return stream->is_awaited ? "nothing yet" : "the host's own program";
    default:
        return "nothing";
    }
}

const char *inspect_kind(uint8_t kind)
{
    return kind == 0 ? "buffer" : halo__kind_name(kind);
}

const char *inspect_call_place(uint32_t place)
{
    static const char *const names[] = {
        [HALO_CALL_IS_SERVED] = "the host's function is in the middle of it",
        [HALO_CALL_IS_PUT_OFF] = "put off until a wait of the host's is over",
        [HALO_CALL_IS_WAITING] = "not sent yet",
        [HALO_CALL_IS_SENT] = "sent to the guest, and not answered"};

    return NAME(names, place);
}

const char *inspect_state(const struct halo_picture *picture)
{
    switch (picture->state) {
    case HALO_STATE_READY:
        return "not begun";
    case HALO_STATE_ENDED:
        return "ended";
    case HALO_STATE_RUNNING:
        break;
    default:
        return "not opened";
    }
    if (picture->is_inside)
        return "stopped in the middle of its code";
    switch (picture->guest) {
    case HALO_GUEST_WAITS:
        return "waits for an answer of its host's";
    case HALO_GUEST_SERVES:
        return "waits to be called";
    default:
        return "runs";
    }
}

const char *inspect_event(const struct halo_pictured_event *event)
{
    static const char *const doorbells[] = {[HALO_DOORBELL_KICK] = "kick",
                                            [HALO_DOORBELL_WAIT] = "wait",
                                            [HALO_DOORBELL_HALT] = "halt",
                                            [HALO_DOORBELL_PANIC] = "panic",
                                            [HALO_DOORBELL_PUSHED] = "message on the stack"};

    switch (event->kind) {
    case HALO_EXIT_DOORBELL:
        if (event->op == HALO_DOORBELL_WAIT)
            return event->a == HALO_WAIT_CALL ? "waits to be called" : "waits for an answer";
        return event->op < 6 ? NAME(doorbells, event->op) : "unknown doorbell";
    case HALO_EXIT_FAULT:
        return "fault";
    case HALO_EXIT_PROTECT:
        return "asks for a protection";
    case HALO_EXIT_TIMEOUT:
        return "interrupted";
    case HALO_EXIT_DEAD:
        return "dead";
    default:
        return "unknown";
    }
}

const struct halo_pictured_range *inspect_range(const struct halo_picture *picture,
                                                uint64_t address)
{
    for (uint32_t i = 0; i < picture->range_count; i++) {
        const struct halo_pictured_range *range = &picture->ranges[i];

        if (address >= range->base && address - range->base < range->len)
            return range;
    }
    return NULL;
}
