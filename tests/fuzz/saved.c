/*
 * The fields of a saved snapshot, changed in any way, as they are behind a digest that is right:
 * refused, or records by which the host touches nothing but what its guest may name. An input is
 * changes of fields that are good: where, of what kind, and a byte.
 */
#include "../../src/host/snapshot.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())
#define WX (HALO_PROT_WRITE | HALO_PROT_EXEC)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What answers system calls comes with the library. */
int halo__runtime_load(struct halo_machine *machine)
{
    (void)machine;
    return 0;
}

static void add_requests(struct halo_snapshot *snapshot)
{
    struct halo_saved_port *port = &snapshot->port;
    struct halo_saved_request *read, *buffer;

    port->requests = calloc(2, sizeof(*port->requests));
    port->counts[0] = port->counts[1] = 1;
    port->at[0] = (struct halo_positions){.avail = 0x8002, .used = 0x8000};
    port->at[1] = (struct halo_positions){.avail = 0x8001, .used = 0x8000};
    read = &port->requests[0];
    read->chain = (struct halo_device_chain){.slots = 2, .capacity = 4096};
    read->request.parked = (struct halo_parked){.token.word = 3,
                                                .readable_count = 1,
                                                .writable_count = 1,
                                                .readable_len = HALO_STREAM_HEAD,
                                                .writable_len = 4096};
    read->request.parked.extents[0].len = HALO_STREAM_HEAD;
    read->request.parked.extents[1] = (struct halo_extent){.len = 4096, .offset = 64};
    read->request.stream.ways = HALO_SPARE_MAX;
    buffer = &port->requests[1];
    buffer->chain.limit = (512 | HALO_META_WRITE) + 1;
    buffer->request.parked = (struct halo_parked){.writable_count = 1, .writable_len = 512};
    buffer->request.parked.extents[0].len = 512;
    port->posted = 1;
    snapshot->streams.at[0].in.requests = (struct halo_fifo){4, 4};
}

/* The fields of a guest that waits for its standard input, and for calls. */
static void make(struct halo_fields *fields)
{
    static const struct halo_backend backend = {.name = "none"};
    static const struct halo_range program = {HALO_PROGRAM_BASE, HALO_PAGE,
                                              HALO_PROT_READ | HALO_PROT_EXEC, HALO_MAY_READ,
                                              HALO_PROT_READ | HALO_PROT_EXEC};
    const struct halo_options options = {.ram_len = HALO_RAM_MIN};
    struct halo_words words;
    struct halo_machine machine = {.ram.fd = -1, .words = &words, .backend = &backend};
    struct halo_foreign *foreign = calloc(1, sizeof(*foreign));
    struct halo_snapshot *snapshot = &foreign->snapshot;
    struct halo_functions *functions = &snapshot->calls.functions;

    EXPECT(foreign && halo__layout_begin(&machine, &options) == 0);
    EXPECT(halo__layout_add(&machine, program) == 0);
    machine.layout.image_base = machine.layout.entry = HALO_PROGRAM_BASE;
    machine.layout.image_end = HALO_PROGRAM_BASE + HALO_PAGE;
    machine.layout.ring_max = HALO_QUEUE_SIZE_MAX;
    EXPECT(halo__layout_finish(&machine, &options) == 0);
    snapshot->state = HALO_STATE_RUNNING;
    snapshot->image = (struct halo_image){.layout = machine.layout, .len = machine.ram.len};
    snapshot->image.present = calloc(machine.ram.len / HALO_PAGE / 64 + 1, 8);
    snapshot->image.prots = calloc(machine.ram.len / HALO_PAGE, 1);
    for (uint32_t i = 0; i < machine.layout.range_count; i++) {
        const struct halo_range *range = &machine.layout.ranges[i];

        memset(snapshot->image.prots + (range->base - HALO_RAM_BASE) / HALO_PAGE, (int)range->prot,
               range->len / HALO_PAGE);
    }
    snapshot->port.guest = HALO_GUEST_SERVES;
    snapshot->streams.at = calloc(1, sizeof(*snapshot->streams.at));
    snapshot->streams.used = 1;
    snapshot->streams.next = 3;
    snapshot->streams.at[0].is_open = true;
    snapshot->streams.at[0].ways = HALO_IN;
    add_requests(snapshot);
    functions->provided = calloc(2, sizeof(*functions->provided));
    functions->exported = functions->provided + 1;
    functions->count = functions->export_count = 1;
    functions->greeted = true;
    strcpy(functions->provided[0].name, "one");
    strcpy(functions->exported[0].name, "two");
    functions->provided[0].signature = functions->exported[0].signature =
        (struct halo_signature)HALO_FN(HALO_I64, HALO_STR);
    fields->writes = true;
    EXPECT(halo__snapshot_fields(fields, foreign) == 0);
    fields->writes = false;
    halo__ram_free(&machine.ram);
    free(snapshot->image.present);
    free(snapshot->image.prots);
    free(snapshot->streams.at);
    free(snapshot->port.requests);
    free(functions->provided);
    free(foreign);
}

/* Of one that was accepted: all that a request names lies where its guest may have the host touch.
 */
static void look(const struct halo_snapshot *snapshot)
{
    const struct halo_layout *layout = &snapshot->image.layout;
    const uint64_t end = HALO_RAM_BASE + snapshot->image.len;
    const struct halo_machine machine = {.layout = *layout,
                                         .ram.host = halo_shm_share(snapshot->image.bytes)};
    struct halo_region regions[HALO_RANGE_MAX];
    const uint32_t count = halo__layout_regions(&machine, regions);

    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];

        EXPECT(range->base >= HALO_RAM_BASE && range->len > 0 && range->base < end &&
               range->len <= end - range->base);
        EXPECT((range->prot & WX) != WX && (range->most & WX) != WX);
        EXPECT(!range->rights || range->base + range->len <= layout->ring);
    }
    EXPECT(layout->ring >= HALO_RAM_BASE && layout->doorbell == end - HALO_PAGE);
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++)
        EXPECT(layout->queues[i].desc >= layout->ring &&
               layout->queues[i].desc + halo_ring_bytes(layout->queues[i].size) <= layout->save);
    for (uint32_t i = 0; i < snapshot->port.counts[0] + snapshot->port.counts[1]; i++) {
        const struct halo_saved_request *saved = &snapshot->port.requests[i];
        const struct halo_parked *parked = &saved->request.parked;

        for (uint32_t k = 0; k < (uint32_t)parked->readable_count + parked->writable_count; k++) {
            const struct halo_extent *extent = &parked->extents[k];

            EXPECT(extent->region < count);
            EXPECT(extent->len <= regions[extent->region].len &&
                   extent->offset <= regions[extent->region].len - extent->len);
        }
        EXPECT(saved->request.next <= HALO_QUEUE_SIZE_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct halo_fields good;
    struct halo_fields fields;
    struct halo_foreign *foreign = calloc(1, sizeof(*foreign));
    struct halo_snapshot *snapshot = &foreign->snapshot;

    if (!good.bytes)
        make(&good);
    fields = good;
    fields.bytes = malloc(good.len);
    EXPECT(foreign && fields.bytes);
    memcpy(fields.bytes, good.bytes, good.len);
    for (size_t at = 0; at + 4 <= len; at += 4) {
        unsigned char *byte = &fields.bytes[(data[at] | (size_t)data[at + 1] << 8) % good.len];

        *byte = data[at + 2] & 1 ? data[at + 3] : (unsigned char)(*byte + data[at + 3]);
    }
    if (len % 4 == 1)
        fields.len = good.len * data[len - 1] / 256;
    if (halo__snapshot_fields(&fields, foreign) == 0) {
        if (snapshot->image.len >= HALO_RAM_MIN)
            snapshot->image.bytes = mmap(NULL, snapshot->image.len, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (!halo__snapshot_judge(foreign))
            look(snapshot);
        else
            EXPECT(len > 0);
    } else {
        EXPECT(len > 0);
    }
    if (snapshot->image.bytes)
        munmap(snapshot->image.bytes, snapshot->image.len);
    free(snapshot->image.present);
    free(snapshot->image.prots);
    free(snapshot->port.requests);
    free(snapshot->streams.at);
    free(snapshot->calls.functions.provided);
    free(snapshot->calls.functions.exported);
    free(foreign);
    free(fields.bytes);
    return 0;
}
