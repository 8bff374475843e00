/*
 * The bytes of a dump, changed in any way: refused, or a picture of which everything is shown: the
 * sentence ends, and all that is printed is fit for a terminal and bounded. An input is changes of
 * a dump that is good: where, of what kind, and a byte; or, behind an odd first byte, the fields
 * themselves.
 */
#include "../../src/tool/inspect.h"
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())
#define SHOWN_MAX (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

FILE *tool_out, *tool_err;

static void add_under_way(struct halo_picture *picture)
{
    picture->requests = calloc(2, sizeof(*picture->requests));
    picture->calls = calloc(4, sizeof(*picture->calls));
    picture->streams = calloc(2, sizeof(*picture->streams));
    EXPECT(picture->requests && picture->calls && picture->streams);
    picture->request_count = 2;
    picture->requests[0] = (struct halo_pictured_request){
        .place = HALO_REQUEST_IS_STREAM, .slots = 2, .message.kind = HALO_KIND_STREAM_READ};
    picture->requests[1] = (struct halo_pictured_request){
        .queue = HALO_QUEUE_H2G, .place = HALO_REQUEST_IS_POSTED, .slots = 1};
    picture->call_count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        picture->calls[i].place = i + 1;
        strcpy(picture->calls[i].name, "name");
        strcpy(picture->calls[i].arguments, "1, \"text\"");
    }
    picture->stream_count = 2;
    picture->streams[0] = (struct halo_pictured_stream){.kind = HALO_END_FD,
                                                        .file = HALO_FILE_PIPE,
                                                        .ways = HALO_IN,
                                                        .in = {.count = 1, .blocked = true}};
    picture->streams[1] = (struct halo_pictured_stream){
        .handle = 7, .kind = HALO_END_HOST, .ways = HALO_OUT, .out = {.count = 1, .bytes = 9}};
}

/* The fields of a guest that is in trouble of every kind at once. */
static void make(struct halo_fields *fields)
{
    struct halo_picture *picture = calloc(1, sizeof(*picture));

    EXPECT(picture);
    strcpy(picture->backend, "kvm");
    picture->ram_len = HALO_RAM_MIN;
    picture->state = HALO_STATE_RUNNING;
    picture->guest = HALO_GUEST_WAITS;
    strcpy(picture->words, "words");
    picture->has_fault = true;
    picture->fault.vector = 14;
    picture->poison.kind = HALO_POISON_RING;
    strcpy(picture->poison.rule, "BAD_ID");
    picture->processor.known = HALO_PROCESSOR_ALL;
    picture->frame_count = 2;
    picture->frames[0].kind = HALO_FRAME_AT;
    picture->frames[1].kind = HALO_FRAME_CALLER;
    picture->range_count = 1;
    picture->ranges[0] = (struct halo_pictured_range){HALO_RAM_BASE, HALO_PAGE, 3, 1, 1};
    picture->event_count = 2;
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++) {
        picture->queues[i] = (struct halo_pictured_queue){
            .size = 8, .avail = 0x8003, .used = 0x8001, .published = 0x8000, .staged = 1};
        picture->queues[i].words = calloc(9, sizeof(*picture->queues[i].words));
        EXPECT(picture->queues[i].words);
        for (uint32_t k = 0; k < 5; k++)
            picture->queues[i].words[k][1] = halo_meta(16, (uint16_t)k, HALO_DESC_AVAIL);
    }
    add_under_way(picture);
    fields->writes = true;
    EXPECT(halo__picture_fields(fields, picture) == 0);
    fields->writes = false;
    halo__picture_free(picture);
    free(picture);
}

/* All that is said of it. */
static void show(struct inspected *inspected)
{
    char *text = NULL;
    size_t len = 0;
    char why[INSPECT_WHY_MAX];

    memset(why, 'x', sizeof(why));
    inspect_why(inspected, why);
    EXPECT(memchr(why, '\0', sizeof(why)));
    tool_out = open_memstream(&text, &len);
    EXPECT(tool_out);
    for (int all = 0; all < 2; all++) {
        inspected->all = all;
        inspect_text(inspected);
        inspect_json(inspected);
        inspect_svg(inspected);
    }
    fclose(tool_out);
    EXPECT(len < SHOWN_MAX);
    for (size_t i = 0; i < len; i++)
        EXPECT((text[i] >= ' ' && text[i] <= '~') || text[i] == '\n');
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct halo_fields good;
    struct halo_fields fields;
    struct inspected *inspected = calloc(1, sizeof(*inspected));
    const bool is_whole = len > 0 && data[0] % 2;

    if (!good.bytes)
        make(&good);
    fields = good;
    if (is_whole)
        fields.len = len - 1;
    fields.bytes = malloc(fields.len + 1);
    EXPECT(inspected && fields.bytes);
    memcpy(fields.bytes, is_whole ? data + 1 : good.bytes, fields.len);
    for (size_t at = 0; at + 4 <= len && !is_whole; at += 4) {
        unsigned char *byte = &fields.bytes[(data[at] >> 1 | (size_t)data[at + 1] << 7) % good.len];

        *byte = data[at + 2] & 1 ? data[at + 3] : (unsigned char)(*byte + data[at + 3]);
    }
    if (halo__picture_fields(&fields, &inspected->picture) == 0)
        show(inspected);
    else
        EXPECT(len > 0);
    halo__picture_free(&inspected->picture);
    free(inspected);
    free(fields.bytes);
    return 0;
}
