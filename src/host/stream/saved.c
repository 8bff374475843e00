/* Streams as snapshots keep them. */
#include "saved.h"
#include <stdlib.h>
#include <string.h>
#include "helper.h"

static struct halo_saved_flow save_flow(const struct halo_flow *flow)
{
    return (struct halo_saved_flow){flow->requests, flow->count, flow->bytes, flow->over};
}

int halo__streams_save(const struct halo_streams *streams, struct halo_saved_streams *saved)
{
    *saved = (struct halo_saved_streams){
        .used = streams->used, .next = streams->next, .requests = streams->requests};
    saved->at = calloc(streams->used + 1, sizeof(*saved->at));
    if (!saved->at)
        return HALO_ENOMEM;
    for (uint32_t i = 0; i < streams->used; i++) {
        const struct halo_stream *stream = &streams->at[i];
        struct halo_saved_stream *to = &saved->at[i];

        to->generation = stream->generation;
        if (!stream->kind)
            continue;
        to->is_open = true;
        to->ways = stream->ways;
        to->in = save_flow(&stream->in);
        to->out = save_flow(&stream->out);
        memcpy(to->name, stream->name, sizeof(to->name));
    }
    return 0;
}

void halo__streams_unsave(struct halo_saved_streams *saved)
{
    free(saved->at);
}

int halo__streams_let_go(struct halo_streams *streams)
{
    if (halo__streams_free(streams))
        return 0;
    return halo__fail(streams->words, HALO_EHOST,
                      "the kernel has not let go of a stream's end, and may still write to guest "
                      "memory: this sandbox can only be closed");
}

static void bring_back_flow(struct halo_flow *flow, const struct halo_saved_flow *saved)
{
    flow->requests = saved->requests;
    flow->count = saved->count;
    flow->bytes = saved->bytes;
    flow->over = saved->over;
}

void halo__streams_bring_back(struct halo_streams *streams, const struct halo_saved_streams *saved)
{
    for (uint32_t i = 0; i < streams->used || i < saved->used; i++) {
        struct halo_stream *stream = &streams->at[i];
        const struct halo_saved_stream *from = i < saved->used ? &saved->at[i] : NULL;

        halo__end_free(stream, from ? from->generation : 0);
        if (!from || !from->is_open)
            continue;
        stream->kind = HALO_END_HOST;
        stream->is_awaited = true;
        stream->ways = from->ways;
        bring_back_flow(&stream->in, &from->in);
        bring_back_flow(&stream->out, &from->out);
        memcpy(stream->name, from->name, sizeof(stream->name));
    }
    streams->used = saved->used;
    streams->next = saved->next;
    streams->requests = saved->requests;
    streams->unflushed = streams->lends = streams->halted = false;
    streams->shortage[0] = '\0';
    streams->poller->again = 0;
}
