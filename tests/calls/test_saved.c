/*
 * Snapshots as files: saved, loaded, restored on either backend; and every file that is cut short,
 * altered or foreign refused in words, or else a guest that its sandbox holds like any. Groups RST
 * and SNP.
 */
#define _GNU_SOURCE
#include <halo/snapshot.h>
#include "ways.h"
/* Its own copy, for files that are wrong and say the right digest. */
#define halo__sha256_begin test_sha256_begin
#define halo__sha256_add test_sha256_add
#define halo__sha256_end test_sha256_end
#include "../../src/host/sha256.c"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PATIENCE 120000000000ll
#define HEAD_LEN 64u
#define DIGEST_AT 32u

static struct halo_sandbox *box, *clones[16];
static struct halo_snapshot *snapshot;
static struct halo_future future;
static unsigned char *bytes; /* of a snapshot, as a file */
static size_t bytes_len;
static char why[256];

static void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    (void)halo_return(call, halo_i64(args[0].i64 * 2));
}

static void provide_to(struct halo_sandbox *to)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);

    assert_int_equal(halo_provide(to, "host.twice", &type, twice, NULL), 0);
}

static void provide(void)
{
    provide_to(box);
}

static int function(const char *name)
{
    const int number = way_function(box, name);

    return number ? number : (int)HALO_FUNCTIONS_MAX;
}

static int64_t add(int64_t n)
{
    const struct halo_value value = halo_i64(n);

    halo_future_free(&future);
    (void)halo_call_start(box, &future, function("add"), &value, 1);
    if (halo_wait(&future, PATIENCE))
        fail_msg("%s", halo_errmsg(box));
    return future.result.i64;
}

static int end(void **state)
{
    (void)state;
    halo_future_free(&future);
    halo_close(box);
    for (size_t i = 0; i < 16; i++) {
        halo_close(clones[i]);
        clones[i] = NULL;
    }
    halo_snapshot_free(snapshot);
    free(bytes);
    box = NULL;
    snapshot = NULL;
    bytes = NULL;
    return 0;
}

/* A descriptor of a file with these bytes, at its end. */
static int file_of(const void *from, size_t len)
{
    const int fd = memfd_create("saved", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, from, len), len);
    return fd;
}

/* The snapshot, saved, as bytes. */
static void save(void)
{
    const int fd = memfd_create("saved", MFD_CLOEXEC);
    struct stat st;

    assert_int_equal(halo_snapshot_save_fd(snapshot, fd), 0);
    assert_int_equal(fstat(fd, &st), 0);
    bytes_len = (size_t)st.st_size;
    bytes = malloc(bytes_len);
    assert_int_equal(pread(fd, bytes, bytes_len, 0), bytes_len);
    close(fd);
}

/* One of a guest that has counted to 5; or that has a read waiting, with "streams". */
static void make(void **state, const char *mode)
{
    const char *const args[] = {"tenant", mode};
    struct halo_options options = way_options(state);

    options.args = args;
    options.arg_count = mode ? 2 : 1;
    if (halo_open(&box, TENANT, &options))
        fail_msg("%s", halo_errmsg(box));
    provide();
    if (mode) {
        assert_int_equal(halo_offer(box, "in", halo_end_host(), HALO_IN, NULL), 0);
        assert_int_equal(halo_offer(box, "out", halo_end_host(), HALO_OUT, NULL), 0);
    }
    if (halo_serve_begin(box, PATIENCE))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(add(5), 5);
    assert_int_equal(halo_snapshot(box, &snapshot), 0);
    save();
    halo_snapshot_free(snapshot);
    halo_close(box);
    snapshot = NULL;
    box = NULL;
}

/* What loading so many of the bytes comes to. */
static int load(size_t len)
{
    const int fd = file_of(bytes, len);
    const int error = halo_snapshot_load_fd(&snapshot, fd, why, sizeof(why));

    close(fd);
    if (error) {
        assert_null(snapshot);
        assert_true(strlen(why) > 0);
    }
    return error;
}

static void make_digest_right(void)
{
    struct halo_sha256 hash;

    halo__sha256_begin(&hash);
    halo__sha256_add(&hash, bytes, DIGEST_AT);
    halo__sha256_add(&hash, bytes + HEAD_LEN, bytes_len - HEAD_LEN);
    halo__sha256_end(&hash, bytes + DIGEST_AT);
}

/* Known answers: FIPS 180-4's, and a million of one letter. */
static void the_digest_is_the_standards(void **state)
{
    static const unsigned char of_abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                           0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                           0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                           0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    static const unsigned char of_million[] = {0xcd, 0xc7, 0x6e, 0x5c, 0x99, 0x14, 0xfb, 0x92,
                                               0x81, 0xa1, 0xc7, 0xe2, 0x84, 0xd7, 0x3e, 0x67,
                                               0xf1, 0x80, 0x9a, 0x48, 0xa4, 0x97, 0x20, 0x0e,
                                               0x04, 0x6d, 0x39, 0xcc, 0xc7, 0x11, 0x2c, 0xd0};
    unsigned char digest[HALO_SHA256_LEN], letters[77];
    struct halo_sha256 hash;

    (void)state;
    halo__sha256_begin(&hash);
    halo__sha256_add(&hash, "abc", 3);
    halo__sha256_end(&hash, digest);
    assert_memory_equal(digest, of_abc, sizeof(digest));
    memset(letters, 'a', sizeof(letters));
    halo__sha256_begin(&hash);
    for (size_t left = 1000000, n; left > 0; left -= n) {
        n = left < sizeof(letters) ? left : sizeof(letters);
        halo__sha256_add(&hash, letters, n);
    }
    halo__sha256_end(&hash, digest);
    assert_memory_equal(digest, of_million, sizeof(digest));
}

static void open_loaded(void **state, bool other)
{
    struct halo_options options = way_options(state);

    if (other && access("/dev/kvm", F_OK) == 0)
        options.backend =
            options.backend == HALO_BACKEND_KVM ? HALO_BACKEND_PROCESS : HALO_BACKEND_KVM;
    if (halo_open_snapshot(&box, snapshot, &options))
        fail_msg("%s", halo_errmsg(box));
    provide();
}

static void what_was_saved_goes_on_on_both_backends(void **state)
{
    make(state, NULL);
    assert_int_equal(load(bytes_len), 0);
    assert_string_equal(why, "");
    assert_int_equal(bytes_len % HALO_PAGE, 0);
    for (int i = 0; i < 4; i++) {
        open_loaded(state, i & 1);
        assert_int_equal(add(2), 7);
        assert_int_equal(halo_restore(box, snapshot), 0);
        assert_int_equal(add(4), 9);
        halo_close(box);
        box = NULL;
    }
}

/* What was loaded and saved again is the same file. */
static void it_is_the_same_file_again(void **state)
{
    unsigned char *before;
    size_t len;

    make(state, NULL);
    assert_int_equal(load(bytes_len), 0);
    before = bytes;
    len = bytes_len;
    save();
    assert_int_equal(bytes_len, len);
    assert_memory_equal(bytes, before, len);
    free(before);
}

static void a_read_that_waits_is_saved(void **state)
{
    make(state, "streams");
    assert_int_equal(load(bytes_len), 0);
    for (int i = 0; i < 2; i++) {
        open_loaded(state, i & 1);
        assert_int_equal(
            halo_offer(box, "in", halo_end_memory("other bytes", 11, NULL, 0), HALO_IN, NULL), 0);
        assert_int_equal(halo_call_start(box, &future, function("read"), NULL, 0), 0);
        assert_int_equal(halo_wait(&future, PATIENCE), 0);
        assert_int_equal(future.result.len, 11);
        assert_memory_equal(future.result.bytes, "other bytes", 11);
        halo_future_free(&future);
        halo_close(box);
        box = NULL;
    }
}

/* SNP-07 */
static void a_file_cut_short_is_refused(void **state)
{
    make(state, NULL);
    for (size_t len = 0; len < bytes_len; len += len < 600 ? 1 : 4099)
        assert_int_equal(load(len), HALO_EGUEST);
    assert_int_equal(load(bytes_len - 1), HALO_EGUEST);
    assert_non_null(strstr(why, "cut short"));
}

/* SNP-07 */
static void a_file_with_more_behind_it_is_refused(void **state)
{
    make(state, NULL);
    bytes = realloc(bytes, bytes_len + HALO_PAGE);
    memset(bytes + bytes_len, 0, HALO_PAGE);
    assert_int_equal(load(bytes_len + 1), HALO_EGUEST);
    assert_non_null(strstr(why, "longer than it should be"));
    assert_int_equal(load(bytes_len + HALO_PAGE), HALO_EGUEST);
}

/* SNP-06 */
static void an_altered_file_is_refused(void **state)
{
    make(state, NULL);
    for (size_t at = 0; at < bytes_len; at += at < HALO_PAGE ? 61 : 8191) {
        bytes[at] ^= (unsigned char)(1u << at % 8);
        assert_int_equal(load(bytes_len), HALO_EGUEST);
        bytes[at] ^= (unsigned char)(1u << at % 8);
    }
    bytes[bytes_len - 1] ^= 1;
    assert_int_equal(load(bytes_len), HALO_EGUEST);
    assert_string_equal(why, "the snapshot was altered: its digest is another");
}

/* SNP-10 */
static void another_version_or_architecture_is_refused_by_name(void **state)
{
    make(state, NULL);
    bytes[8] = 2;
    make_digest_right();
    assert_int_equal(load(bytes_len), HALO_EGUEST);
    assert_non_null(strstr(why, "of version 2 of the format, and this host reads version 1"));
    bytes[8] = 1;
    bytes[12] = 183;
    make_digest_right();
    assert_int_equal(load(bytes_len), HALO_EGUEST);
    assert_non_null(strstr(why, "of architecture 183"));
    bytes[12] = 62;
    make_digest_right();
    assert_int_equal(load(bytes_len), 0);
}

static size_t fields_end(void)
{
    return HEAD_LEN + ((size_t)bytes[16] | (size_t)bytes[17] << 8);
}

/* One that says the right digest and something else: refused, or a guest that its sandbox holds. */
static void try_changed(void **state)
{
    struct halo_options options = way_options(state);
    int error;

    make_digest_right();
    error = load(bytes_len);
    if (error) {
        assert_true(error == HALO_EGUEST || error == HALO_ENOMEM);
        return;
    }
    error = halo_open_snapshot(&box, snapshot, &options);
    if (!error) {
        const struct halo_value one = halo_i64(1);

        (void)halo_call_start(box, &future, function("add"), &one, 1);
        (void)halo_wait(&future, 50000000);
        halo_future_free(&future);
    }
    halo_close(box);
    halo_snapshot_free(snapshot);
    box = NULL;
    snapshot = NULL;
}

/* SNP-05: nothing in it is believed because the digest is right. Each way changes others.
 */
static void every_changed_field_is_refused_or_held(void **state)
{
    static const unsigned char changes[] = {0x01, 0x80, 0xff};
    const size_t way = (uintptr_t)*state >> 4 | ((uintptr_t)*state & 15) << 2;

    make(state, way_is_stacks(state) ? NULL : "streams");
    for (size_t at = HEAD_LEN + way % 13; at < fields_end(); at += 13) {
        const unsigned char before = bytes[at];

        bytes[at] = before ^ changes[(at + way) % 3];
        try_changed(state);
        bytes[at] = before;
    }
}

/* The numbers of the head, with the right digest. */
static void every_changed_count_is_refused(void **state)
{
    make(state, NULL);
    for (size_t at = 16; at < DIGEST_AT; at++) {
        for (unsigned bit = at % 4; bit < 8; bit += 3) {
            bytes[at] ^= (unsigned char)(1u << bit);
            make_digest_right();
            assert_int_equal(load(bytes_len), HALO_EGUEST);
            bytes[at] ^= (unsigned char)(1u << bit);
        }
    }
}

/* SNP-08 */
static void what_is_no_file_is_refused(void **state)
{
    char path[] = "/tmp/halo-saved-XXXXXX", fifo[64];

    (void)state;
    assert_non_null(mkdtemp(path));
    (void)snprintf(fifo, sizeof(fifo), "%s/fifo", path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(halo_snapshot_load(&snapshot, fifo, why, sizeof(why)), HALO_EFILE);
    assert_string_equal(why, "it is no regular file");
    assert_int_equal(halo_snapshot_load(&snapshot, path, why, sizeof(why)), HALO_EFILE);
    assert_int_equal(unlink(fifo), 0);
    assert_int_equal(halo_snapshot_load(&snapshot, fifo, why, sizeof(why)), HALO_EFILE);
    assert_int_equal(halo_snapshot_load(&snapshot, NULL, why, sizeof(why)), HALO_EINVAL);
    assert_int_equal(halo_snapshot_load_fd(&snapshot, -1, NULL, 0), HALO_EFILE);
    assert_int_equal(halo_snapshot_load(&snapshot, TENANT, why, sizeof(why)), HALO_EGUEST);
    assert_string_equal(why, "it is no snapshot");
    bytes = malloc(1);
    assert_int_equal(load(0), HALO_EGUEST);
    assert_int_equal(rmdir(path), 0);
}

/* A path has the whole file, or the one of before, and nothing is left beside it. */
static void a_path_is_written_at_once(void **state)
{
    struct halo_options options = way_options(state);
    char dir[] = "/tmp/halo-saved-XXXXXX", path[64], beyond[64];
    struct stat st;

    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/saved", dir);
    (void)snprintf(beyond, sizeof(beyond), "%s/none/saved", dir);
    assert_int_equal(halo_open(&box, TENANT, &options), 0);
    assert_int_equal(halo_snapshot(box, &snapshot), 0);
    assert_int_equal(halo_snapshot_save(NULL, path), HALO_EINVAL);
    assert_int_equal(halo_snapshot_save(snapshot, beyond), HALO_EFILE);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(halo_snapshot_save(snapshot, path), 0);
    assert_int_equal(halo_snapshot_save(snapshot, path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    halo_snapshot_free(snapshot);
    assert_int_equal(halo_snapshot_load(&snapshot, path, why, sizeof(why)), 0);
    assert_int_equal(halo_restore(box, snapshot), 0);
    provide();
    if (halo_serve_begin(box, PATIENCE))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(add(3), 3);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* Guest memory of the one sandbox that there is, as its host sees it; but for boot page and
 * doorbell. */
static unsigned char *memory(size_t *len)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned char *from = NULL, *copy;
    unsigned long start;
    char line[512];

    while (fgets(line, sizeof(line), maps)) {
        if (!from && strstr(line, " rw-") && strstr(line, "/memfd:halo-") &&
            sscanf(line, "%lx-", &start) == 1)
            from = (unsigned char *)start; /* NOLINT: what the kernel says */
    }
    (void)fclose(maps);
    assert_non_null(from);
    *len = HALO_RAM_DEFAULT - 2 * HALO_PAGE;
    copy = malloc(*len);
    memcpy(copy, from, *len);
    return copy;
}

/* KiB of guest memory that clones have of their own. */
static uint64_t own_kib(void)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    bool is_ours = false;
    unsigned long value;
    uint64_t sum = 0;
    char line[512];

    while (fgets(line, sizeof(line), maps)) {
        if (strchr(line, '-') && strstr(line, " rw-"))
            is_ours = strstr(line, "/memfd:halo-");
        else if (strchr(line, '/') || strstr(line, "---p") || strstr(line, " r--p"))
            is_ours = false;
        if (is_ours && sscanf(line, "Private_Dirty: %lu", &value) == 1)
            sum += value;
    }
    (void)fclose(maps);
    return sum;
}

static void dirty(struct halo_sandbox *of, uint32_t pages, uint32_t value)
{
    const struct halo_value values[] = {halo_u32(pages), halo_u32(value)};

    halo_future_free(&future);
    (void)halo_call_start(of, &future, function("dirty"), values, 2);
    if (halo_wait(&future, PATIENCE))
        fail_msg("%s", halo_errmsg(of));
}

/* SNP-12: a clone that shares its memory is brought back bit for bit, and no other sees it. */
static void clones_share_what_they_do_not_write(void **state)
{
    const bool on_kvm = way_options(state).backend == HALO_BACKEND_KVM;
    struct halo_options options = way_options(state);
    unsigned char *before, *after;
    size_t len;

    assert_int_equal(halo_open(&box, TENANT, &options), 0);
    provide();
    assert_int_equal(halo_serve_begin(box, PATIENCE), 0);
    dirty(box, 1200, 0x11);
    assert_int_equal(halo_snapshot(box, &snapshot), 0);
    assert_true(halo_snapshot_bytes(snapshot) > 1200 * HALO_PAGE);
    halo_close(box);
    open_loaded(state, false);
    before = memory(&len);
    for (uint32_t i = 0; i < 3; i++) {
        dirty(box, i == 1 ? 700 : 16, 0x22 + i);
        after = memory(&len);
        assert_int_not_equal(memcmp(before, after, len), 0);
        free(after);
        assert_int_equal(halo_restore(box, snapshot), 0);
        after = memory(&len);
        assert_memory_equal(before, after, len);
        free(after);
    }
    free(before);
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(halo_open_snapshot(&clones[i], snapshot, &options), 0);
        provide_to(clones[i]);
        dirty(clones[i], 16, (uint32_t)i);
    }
    if (on_kvm) /* of 4.8 MiB each, and of 7 with stacks */
        assert_in_range(own_kib(), 16 * 64, 16 * 3072);
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(the_digest_is_the_standards),
        TEST(what_was_saved_goes_on_on_both_backends),
        TEST(it_is_the_same_file_again),
        RINGS(a_read_that_waits_is_saved),
        RINGS(a_file_cut_short_is_refused),
        RINGS(a_file_with_more_behind_it_is_refused),
        RINGS(an_altered_file_is_refused),
        RINGS(another_version_or_architecture_is_refused_by_name),
        TEST(every_changed_field_is_refused_or_held),
        RINGS(every_changed_count_is_refused),
        RINGS(what_is_no_file_is_refused),
        TEST(a_path_is_written_at_once),
        TEST(clones_share_what_they_do_not_write),
    };

    return run_every_way("saved", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
