/*
 * What a program asks of a sandbox without waiting: each of these checks that the sandbox is in a
 * state for it, where that is not the service's own to know, and has the service do it.
 */
#include "sandbox.h"
#include "call/rows.h"

int halo_interrupt(struct halo_sandbox *box)
{
    /* No words: they are of whoever is inside, and a signal's handler could not write them. */
    return halo__owner_is_fork(&box->owner) ? HALO_ESTATE
                                            : halo__interrupt_want(&box->machine.interrupt);
}

int halo_terminate(struct halo_sandbox *box)
{
    return halo__owner_is_fork(&box->owner) ? HALO_ESTATE
                                            : halo__interrupt_terminate(&box->machine.interrupt);
}

/* --- Calls ------------------------------------------------------------------------------------ */

int halo_provide(struct halo_sandbox *box, const char *name, const struct halo_signature *signature,
                 halo_function *function, void *context)
{
    int error = halo__box_enter(box);

    if (error)
        return error;
    if (box->loop.state != HALO_STATE_READY && !box->is_restored)
        error = halo__fail(&box->words, HALO_ESTATE,
                           box->loop.state ? "%s: functions are provided before the guest runs"
                                           : "%s: this sandbox was not opened",
                           name ? name : "no name");
    else
        error = halo__function_provide(&box->calls, name, signature, function, context);
    return halo__box_leave(box, error);
}

int halo_handle_create(struct halo_sandbox *box, const struct halo_handle_kind *kind, void *object,
                       struct halo_handle *handle)
{
    const int error = halo__box_enter(box);

    handle->number = 0;
    return error ? error
                 : halo__box_leave(box, halo__handle_create(&box->calls.handles, &box->words, kind,
                                                            object, handle));
}

int halo_handle_find(struct halo_sandbox *box, const struct halo_handle_kind *kind,
                     struct halo_handle handle, void **object)
{
    const int error = halo__box_enter(box);

    *object = NULL;
    return error ? error
                 : halo__box_leave(box, halo__handle_find(&box->calls.handles, &box->words, kind,
                                                          handle, object));
}

int halo_handle_free(struct halo_sandbox *box, const struct halo_handle_kind *kind,
                     struct halo_handle handle)
{
    const int error = halo__box_enter(box);

    return error ? error
                 : halo__box_leave(
                       box, halo__handle_free(&box->calls.handles, &box->words, kind, handle));
}

uint32_t halo_handle_count(const struct halo_sandbox *box)
{
    return box->calls.handles.count;
}

int halo_lookup(struct halo_sandbox *box, const char *name, const struct halo_signature *signature)
{
    const int error = halo__box_enter(box);

    return error ? error
                 : halo__box_leave(box, halo__function_lookup(&box->calls, name, signature));
}

bool halo_exported(const struct halo_sandbox *box, uint32_t index, const char **name,
                   struct halo_signature *signature)
{
    return halo__function_exported(&box->calls, index, name, signature);
}

int halo_call_start(struct halo_sandbox *box, struct halo_future *future, int function,
                    const struct halo_value *args, size_t count)
{
    const int error = halo__box_enter(box);

    if (error)
        return halo__future_refuse(future, error, halo_strerror(error));
    return halo__box_leave(box, halo__future_start(&box->calls, future, function, args, count));
}

int halo_call_rows_start(struct halo_sandbox *box, struct halo_rows *rows, int function,
                         uint32_t count, const struct halo_column *args, size_t arg_count,
                         uint32_t flags)
{
    const int error = halo__box_enter(box);

    if (error && halo__rows_in_flight(rows))
        return error;
    if (error)
        return halo__future_refuse(&rows->future, error, halo_strerror(error));
    return halo__box_leave(
        box, halo__rows_start(&box->calls, rows, function, count, args, arg_count, flags));
}

int halo_call_rows(struct halo_sandbox *box, struct halo_rows *rows, int function,
                   int64_t timeout_ns, uint32_t count, const struct halo_column *args,
                   size_t arg_count)
{
    const int error = halo_call_rows_start(box, rows, function, count, args, arg_count, 0);

    return error ? error : halo_wait(&rows->future, timeout_ns);
}

/* --- Streams ---------------------------------------------------------------------------------- */

int halo_attach(struct halo_sandbox *box, uint32_t handle, struct halo_end end)
{
    const int error = halo__box_enter(box);

    return error ? error : halo__box_leave(box, halo__stream_attach(&box->streams, handle, &end));
}

int halo_offer(struct halo_sandbox *box, const char *name, struct halo_end end, uint32_t ways,
               uint32_t *handle)
{
    const int error = halo__box_enter(box);

    return error
               ? error
               : halo__box_leave(box, halo__stream_offer(&box->streams, name, &end, ways, handle));
}

int halo_stream_close(struct halo_sandbox *box, uint32_t handle)
{
    const int error = halo__box_enter(box);

    return error ? error : halo__box_leave(box, halo__stream_close(&box->streams, handle));
}

int halo_stream_stats(struct halo_sandbox *box, uint32_t handle, struct halo_stream_stats *stats)
{
    const struct halo_stream *stream;
    int error = halo__box_enter(box);

    if (error)
        return error;
    stream = halo__stream_find(&box->streams, handle);
    if (stream)
        *stats = stream->stats;
    else
        error = halo__fail(&box->words, HALO_ESTALE, "there is no stream 0x%x", handle);
    return halo__box_leave(box, error);
}

int halo_stream_commit(struct halo_sandbox *box, uint32_t handle, size_t len)
{
    struct halo_stream *stream;
    int error = halo__box_enter(box);

    if (error)
        return error;
    error = halo__direct_find(&box->streams, handle, HALO_IN, &stream);
    if (!error && halo__direct_commit(&box->streams, stream, len))
        error = halo__fail(&box->words, HALO_EINVAL,
                           "stream 0x%x: %zu bytes are more than the room that was reserved",
                           handle, len);
    return halo__box_leave(box, error);
}

int halo_stream_flush(struct halo_sandbox *box, uint32_t handle)
{
    struct halo_stream *stream;
    int error = halo__box_enter(box);

    if (error)
        return error;
    error = halo__direct_find(&box->streams, handle, HALO_IN, &stream);
    if (!error)
        halo__direct_flush(&box->streams, stream);
    return halo__box_leave(box, error);
}

int halo_stream_end(struct halo_sandbox *box, uint32_t handle)
{
    struct halo_stream *stream;
    int error = halo__box_enter(box);

    if (error)
        return error;
    error = halo__direct_find(&box->streams, handle, HALO_IN, &stream);
    if (!error)
        halo__direct_end(&box->streams, stream);
    return halo__box_leave(box, error);
}
