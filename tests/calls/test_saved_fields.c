/*
 * Every field of a saved snapshot, one at a time, with every value that is special to it, behind a
 * digest that is right: refused in words, or a guest that its sandbox holds like any. Where a field
 * begins the reader itself tells, by where it stops when bytes lack. SNP-05.
 *
 * DEEP=1: of what is accepted a seventh is run, some ten thousand, and not one of 199. DEEP=all
 * runs it all, in a quarter of an hour.
 */
#define _GNU_SOURCE
#include "../../src/host/deadline.h"
#include "../../src/host/sha256.h"
#include "../../src/host/snapshot.h"
#include "ways.h"

#include <sys/mman.h>
#include <sys/stat.h>

#define PATIENCE 120000000000ll
#define HEAD_LEN 64u
#define DIGEST_AT 32u
#define WX (HALO_PROT_WRITE | HALO_PROT_EXEC)

static unsigned char *bytes; /* of a snapshot, as a file */
static size_t bytes_len, fields_len;
static void *memory; /* what stands for guest memory where fields are judged alone */
static uint32_t changes, accepted, run;

static int64_t number_at(const unsigned char *at, size_t len)
{
    uint64_t value = 0;

    memcpy(&value, at, len);
    return (int64_t)value;
}

/* A guest that serves calls, with reads that wait on its streams; or a program that waits for its
 * input, and has protections of its own. */
static void make(void **state, bool is_program)
{
    const char *const args[] = {"tenant", "streams"};
    struct halo_options options = way_options(state);
    struct halo_snapshot *snapshot = NULL;
    struct halo_sandbox *box;
    struct stat st;
    int error, fd;

    options.args = args;
    options.arg_count = is_program || way_is_stacks(state) ? 1 : 2;
    error = halo_open(&box, is_program ? PROGRAM : TENANT, &options);
    if (!error && is_program) {
        error = halo_attach(box, HALO_STDIN, halo_end_host());
        if (!error && halo_run(box, PATIENCE, NULL) != HALO_EDEADLOCK)
            error = HALO_ESTATE;
    } else if (!error) {
        (void)halo_offer(box, "in", halo_end_host(), HALO_IN, NULL);
        (void)halo_offer(box, "out", halo_end_host(), HALO_OUT, NULL);
        error = halo_serve_begin(box, PATIENCE);
    }
    if (error || halo_snapshot(box, &snapshot))
        fail_msg("%s", halo_errmsg(box));
    fd = memfd_create("saved", MFD_CLOEXEC);
    assert_int_equal(halo_snapshot_save_fd(snapshot, fd), 0);
    assert_int_equal(fstat(fd, &st), 0);
    bytes_len = (size_t)st.st_size;
    bytes = malloc(bytes_len);
    assert_int_equal(pread(fd, bytes, bytes_len, 0), bytes_len);
    fields_len = (size_t)number_at(bytes + 16, 8);
    close(fd);
    halo_snapshot_free(snapshot);
    halo_close(box);
    changes = accepted = run = 0;
}

static int end(void **state)
{
    (void)state;
    free(bytes);
    if (memory)
        munmap(memory, HALO_RAM_MAX);
    bytes = NULL;
    memory = NULL;
    return 0;
}

/* --- Fields alone ----------------------------------------------------------------------------- */

static void free_foreign(struct halo_foreign *foreign)
{
    struct halo_snapshot *const snapshot = &foreign->snapshot;

    free(snapshot->image.present);
    free(snapshot->image.prots);
    free(snapshot->port.requests);
    free(snapshot->streams.at);
    free(snapshot->calls.functions.provided);
    free(snapshot->calls.functions.exported);
    free(foreign);
}

/* Where the field begins that lies around this byte. */
static size_t beginning(size_t at)
{
    struct halo_foreign *const foreign = calloc(1, sizeof(*foreign));
    struct halo_fields fields = {.bytes = bytes + HEAD_LEN, .len = at};

    assert_non_null(foreign);
    assert_int_equal(halo__snapshot_fields(&fields, foreign), HALO_EGUEST);
    free_foreign(foreign);
    return fields.at;
}

/* What was accepted: the host touches nothing but what the guest may name. */
static void look(const struct halo_snapshot *snapshot)
{
    const struct halo_layout *layout = &snapshot->image.layout;
    const uint64_t ram_end = HALO_RAM_BASE + snapshot->image.len;
    const struct halo_machine machine = {
        .layout = *layout, .ram.host = halo_shm_share(memory), .prots = snapshot->image.prots};
    struct halo_region regions[HALO_RANGE_MAX];
    const uint32_t count = halo__layout_regions(&machine, regions);

    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];

        assert_in_range(range->base, HALO_RAM_BASE, ram_end - 1);
        assert_in_range(range->len, 1, ram_end - range->base);
        assert_int_not_equal(range->prot & WX, WX);
        assert_int_not_equal(range->most & WX, WX);
        assert_true(!range->rights || range->base + range->len <= layout->ring);
    }
    assert_int_equal(layout->doorbell, ram_end - HALO_PAGE);
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++) {
        assert_true(layout->queues[i].desc >= layout->ring);
        assert_true(layout->queues[i].desc + halo_ring_bytes(layout->queues[i].size) <=
                    layout->save);
    }
    for (uint32_t i = 0; i < snapshot->port.counts[0] + snapshot->port.counts[1]; i++) {
        const struct halo_parked *parked = &snapshot->port.requests[i].request.parked;

        for (uint32_t k = 0; k < (uint32_t)parked->readable_count + parked->writable_count; k++) {
            const struct halo_extent *extent = &parked->extents[k];

            assert_in_range(extent->region, 0, count - 1);
            assert_in_range(extent->len, 0, regions[extent->region].len);
            assert_in_range(extent->offset, 0, regions[extent->region].len - extent->len);
        }
    }
    /* Which those are, a sandbox knows when its guest has said so. */
    assert_true(snapshot->calls.functions.greeted || snapshot->calls.functions.export_count == 0);
    for (uint64_t at = HALO_RAM_BASE; at < ram_end && machine.prots; at += HALO_PAGE)
        assert_int_not_equal(halo__layout_prot(&machine, at) & WX, WX);
}

/* Whether the reader and the judge take these fields. */
static bool is_accepted(void)
{
    struct halo_foreign *const foreign = calloc(1, sizeof(*foreign));
    struct halo_fields fields = {.bytes = bytes + HEAD_LEN, .len = fields_len};
    struct halo_image *image;
    bool result = false;

    assert_non_null(foreign);
    image = &foreign->snapshot.image;
    if (halo__snapshot_fields(&fields, foreign) == 0) {
        image->bytes = memory;
        result = halo__snapshot_judge(foreign) == NULL &&
                 image->present_count == (uint64_t)number_at(bytes + 24, 8);
        if (result)
            look(&foreign->snapshot);
    }
    free_foreign(foreign);
    return result;
}

/* --- The whole file --------------------------------------------------------------------------- */

static void make_digest_right(void)
{
    struct halo_sha256 hash;

    halo__sha256_begin(&hash);
    halo__sha256_add(&hash, bytes, DIGEST_AT);
    halo__sha256_add(&hash, bytes + HEAD_LEN, bytes_len - HEAD_LEN);
    halo__sha256_end(&hash, bytes + DIGEST_AT);
}

/* It is loaded or refused as its fields are, and runs, or does not, in a sandbox like any. */
static void try_file(void **state, bool is_good)
{
    struct halo_options options = way_options(state);
    const int fd = memfd_create("saved", MFD_CLOEXEC);
    struct halo_snapshot *snapshot;
    struct halo_sandbox *box;
    char why[256];
    int error;

    make_digest_right();
    assert_int_equal(write(fd, bytes, bytes_len), bytes_len);
    error = halo_snapshot_load_fd(&snapshot, fd, why, sizeof(why));
    close(fd);
    if (error == HALO_ENOMEM)
        return;
    assert_int_equal(error, is_good ? 0 : HALO_EGUEST);
    if (error) {
        assert_true(strlen(why) > 0);
        return;
    }
    error = halo_open_snapshot(&box, snapshot, &options);
    if (!error && snapshot->state == HALO_STATE_RUNNING) {
        const struct halo_value one = halo_i64(1);
        struct halo_future future;

        (void)halo_call_start(box, &future, 1, &one, 1);
        (void)halo_wait(&future, 20000000);
        halo_future_free(&future);
    }
    if (!error)
        (void)halo_run(box, 20000000, NULL);
    halo_close(box);
    halo_snapshot_free(snapshot);
    run++;
}

/* One of so many changes goes through the file, so that each way has others. */
static void try_change(void **state)
{
    const uint32_t way = (uint32_t)((uintptr_t)*state >> 4 ^ (uintptr_t)*state) % 7;
    const char *const deep = getenv("DEEP");
    const uint32_t each = !deep ? 199 : strcmp(deep, "all") == 0 ? 1 : 7;
    const bool is_good = is_accepted();

    changes++;
    accepted += is_good;
    if (is_good ? accepted % each == way % each : changes % (10 * each) == way)
        try_file(state, is_good);
}

static void change_field(void **state, size_t at, size_t len)
{
    unsigned char *const field = bytes + HEAD_LEN + at;
    const uint64_t value = (uint64_t)number_at(field, len);
    const uint64_t top = 1ull << (8 * len - 1), most = top | (top - 1);
    const uint64_t special[] = {0,
                                1,
                                2,
                                most,
                                top,
                                top - 1,
                                (value + 1) & most,
                                (value - 1) & most,
                                value ^ top,
                                (value * 2) & most,
                                value / 2,
                                (value + HALO_PAGE) & most,
                                (value - HALO_PAGE) & most,
                                ~value & most,
                                HALO_RAM_BASE & most};

    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (special[i] == value)
            continue;
        memcpy(field, &special[i], len);
        try_change(state);
    }
    memcpy(field, &value, len);
}

/* Names, types and protections: bytes of one field. */
static void change_bytes(void **state, size_t at, size_t len)
{
    const size_t step = len > 512 ? len / 256 : 1;

    for (size_t i = 0; i < len; i += step)
        change_field(state, at + i, 1);
}

static void change_all(void **state, bool is_program)
{
    size_t count = 0;

    make(state, is_program);
    memory = mmap(NULL, HALO_RAM_MAX, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(memory != MAP_FAILED);
    assert_true(is_accepted());
    for (size_t stop = fields_len, at; stop > 0; stop = at) {
        at = beginning(stop - 1);
        count++;
        if (stop - at <= 8)
            change_field(state, at, stop - at);
        else
            change_bytes(state, at, stop - at);
    }
    print_message("%zu fields, %u changes, %u accepted, %u run\n", count, changes, accepted, run);
    assert_true(is_accepted()); /* all is as it was */
    assert_true(accepted > 0 && accepted < changes && run > 0);
}

static void of_a_guest_that_serves(void **state)
{
    change_all(state, false);
}

static void of_a_program_that_reads(void **state)
{
    change_all(state, true);
}

/* The boot page, by how it begins; the program's own code has those bytes as well, before it. */
static unsigned char *boot_page(void)
{
    const uint64_t magic = HALO_BOOT_MAGIC;
    unsigned char *at = bytes + HEAD_LEN + fields_len, *last = NULL;

    while ((at = memmem(at, (size_t)(bytes + bytes_len - at), &magic, sizeof(magic))) != NULL)
        last = at++;
    assert_non_null(last);
    return last;
}

/* SNP-13 */
static void a_clock_of_any_time_holds_nobody_up(void **state)
{
    static const int64_t times[] = {INT64_MIN, -1, 1, INT64_MAX - 1, INT64_MAX};
    unsigned char *time;

    make(state, true);
    time = boot_page() + HALO_STATUS_OFFSET + offsetof(struct halo_status, monotonic_ns);
    assert_in_range(number_at(time, 8), 1, halo__now());
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        memcpy(time, &times[i], sizeof(times[i]));
        try_file(state, true);
    }
    assert_int_equal(run, 5);
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(of_a_guest_that_serves),
        WAY_TEST(of_a_program_that_reads, WAY_STACKS | WAY_PLAIN | WAY_THREADED),
        WAY_TEST(a_clock_of_any_time_holds_nobody_up, WAY_STACKS | WAY_PLAIN),
    };

    return run_every_way("saved fields", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
