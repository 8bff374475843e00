/*
 * A snapshot as a file:
 *
 *     0   magic, version, architecture       the head, which is never longer or shorter
 *     16  bytes of fields, number of pages
 *     32  SHA-256 of all the rest
 *     64  fields: snapshot_fields.c
 *         zeroes to the next whole page
 *         the pages of guest memory that are not zero, by their addresses
 *
 * and no byte more. Numbers have their least significant byte first. The version is raised with
 * whatever a guest in memory counts on: the pages of the doorbell, boot and saved registers. A host
 * reads versions that it knows and refuses others by their number.
 */
#define _GNU_SOURCE
#include "snapshot.h"
#include "descriptor.h"
#include "sha256.h"
#include "signals.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 1u
#define X86_64 62u /* as in ELF files */
#define HEAD_LEN 64u
#define DIGEST_AT 32u
#define FIELDS_MAX (8u << 20)

static const char magic[8] = {'H', 'A', 'L', 'O', 'S', 'N', 'A', 'P'};
static const unsigned char zeroes[HALO_PAGE];

struct head {
    uint32_t version, architecture;
    uint64_t fields_len, page_count;
    unsigned char digest[HALO_SHA256_LEN];
};

/* Zeroes between fields and pages. */
static size_t gap(uint64_t fields_len)
{
    return (size_t)(HALO_PAGE - (HEAD_LEN + fields_len) % HALO_PAGE) % HALO_PAGE;
}

/* The head's fields, without the magic, from or to its bytes. */
static void head_fields(struct halo_fields *fields, struct head *head)
{
    halo__field_u32(fields, &head->version, UINT32_MAX);
    halo__field_u32(fields, &head->architecture, UINT32_MAX);
    halo__field_u64(fields, &head->fields_len, UINT64_MAX);
    halo__field_u64(fields, &head->page_count, UINT64_MAX);
    halo__field_bytes(fields, head->digest, sizeof(head->digest));
}

static bool has_page(const struct halo_image *image, uint64_t page)
{
    return image->present[page / 64] >> page % 64 & 1;
}

/* --- Saving ----------------------------------------------------------------------------------- */

static int write_all(int fd, const void *bytes, size_t len)
{
    return halo__fd_write(fd, bytes, len) ? HALO_EFILE : 0;
}

/* Each run of pages, to a hash or, where that is NULL, to a descriptor. */
static int for_pages(const struct halo_image *image, struct halo_sha256 *hash, int fd)
{
    const uint64_t pages = image->len / HALO_PAGE;
    uint64_t from = 0, to;
    int error = 0;

    for (; from < pages && !error; from = to + 1) {
        for (to = from; to < pages && has_page(image, to);)
            to++;
        if (to > from && hash)
            halo__sha256_add(hash, image->bytes + from * HALO_PAGE, (to - from) * HALO_PAGE);
        else if (to > from)
            error = write_all(fd, image->bytes + from * HALO_PAGE, (to - from) * HALO_PAGE);
    }
    return error;
}

static int save(const struct halo_snapshot *snapshot, struct halo_fields *fields,
                struct halo_fields *bytes, int fd)
{
    struct halo_foreign *foreign = calloc(1, sizeof(*foreign));
    struct head head = {.version = VERSION, .architecture = X86_64};
    struct halo_sha256 hash;
    int error = HALO_ENOMEM;

    if (foreign) {
        foreign->snapshot = *snapshot;
        error = halo__snapshot_fields(fields, foreign);
        free(foreign);
    }
    if (error)
        return error;
    head.fields_len = fields->len;
    head.page_count = snapshot->image.present_count;
    halo__field_bytes(bytes, (void *)(uintptr_t)magic, sizeof(magic));
    head_fields(bytes, &head);
    if (bytes->no_memory)
        return HALO_ENOMEM;
    halo__sha256_begin(&hash);
    halo__sha256_add(&hash, bytes->bytes, DIGEST_AT);
    halo__sha256_add(&hash, fields->bytes, fields->len);
    halo__sha256_add(&hash, zeroes, gap(fields->len));
    (void)for_pages(&snapshot->image, &hash, -1);
    halo__sha256_end(&hash, bytes->bytes + DIGEST_AT);
    error = write_all(fd, bytes->bytes, HEAD_LEN);
    if (!error)
        error = write_all(fd, fields->bytes, fields->len);
    if (!error)
        error = write_all(fd, zeroes, gap(fields->len));
    return error ? error : for_pages(&snapshot->image, NULL, fd);
}

int halo_snapshot_save_fd(const struct halo_snapshot *snapshot, int fd)
{
    struct halo_fields fields = {.writes = true}, bytes = {.writes = true};
    struct halo_signals signals = {.are_blocked = false};
    int error = HALO_EINVAL, number;

    if (snapshot) {
        halo__signals_borrow(&signals); /* of a pipe that nobody reads, and of a limit of files */
        error = save(snapshot, &fields, &bytes, fd);
        number = errno;
        halo__signals_return(&signals);
        errno = number;
    }
    free(fields.bytes);
    free(bytes.bytes);
    return error;
}

int halo_snapshot_save(const struct halo_snapshot *snapshot, const char *path)
{
    char beside[PATH_MAX];
    int fd, error, number;

    if (!snapshot || !path)
        return HALO_EINVAL;
    errno = ENAMETOOLONG;
    if (snprintf(beside, sizeof(beside), "%s.XXXXXX", path) >= (int)sizeof(beside))
        return HALO_EFILE;
    fd = halo__fd_high(mkostemp(beside, O_CLOEXEC)); /* of mode 0600 */
    if (fd < 0)
        return HALO_EFILE;
    error = halo_snapshot_save_fd(snapshot, fd);
    if (!error && fsync(fd) < 0)
        error = HALO_EFILE;
    if (close(fd) < 0 && !error)
        error = HALO_EFILE;
    if (!error && rename(beside, path) < 0)
        error = HALO_EFILE;
    number = errno;
    if (error)
        (void)unlink(beside);
    errno = number;
    return error;
}

/* --- Loading ---------------------------------------------------------------------------------- */

/* A file that is being loaded. */
struct loading {
    int fd;
    struct head head;
    struct halo_fields fields;
    unsigned char *pages; /* as many as the head says, or NULL */
    off_t at;             /* what was read */
    struct halo_sha256 hash;
    struct halo_foreign *foreign;
    struct halo_words words;
};

static int refuse(struct loading *loading, const char *why)
{
    return halo__fail(&loading->words, HALO_EGUEST, "%s", why);
}

/* Take the next bytes of the file; it may have become shorter meanwhile. */
static int read_all(struct loading *loading, void *bytes, size_t len)
{
    unsigned char *to = bytes;

    while (len > 0) {
        const ssize_t n = pread(loading->fd, to, len, loading->at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return halo__fail(&loading->words, HALO_EFILE, "it cannot be read: %s",
                              strerror(errno));
        if (n == 0)
            return refuse(loading, "the snapshot is cut short");
        to += n;
        len -= (size_t)n;
        loading->at += n;
    }
    return 0;
}

static int read_head(struct loading *loading, uint64_t file_len)
{
    unsigned char bytes[HEAD_LEN];
    struct halo_fields fields = {.bytes = bytes, .len = HEAD_LEN, .at = sizeof(magic)};
    struct head *head = &loading->head;
    uint64_t len;
    int error;

    if (file_len < HEAD_LEN)
        return refuse(loading, "it is no snapshot: it is shorter than one");
    error = read_all(loading, bytes, sizeof(bytes));
    if (error)
        return error;
    if (memcmp(bytes, magic, sizeof(magic)) != 0)
        return refuse(loading, "it is no snapshot");
    head_fields(&fields, head);
    if (head->version != VERSION)
        return halo__fail(
            &loading->words, HALO_EGUEST,
            "the snapshot is of version %u of the format, and this host reads version "
            "%u: take it anew with this host",
            head->version, VERSION);
    if (head->architecture != X86_64)
        return halo__fail(&loading->words, HALO_EGUEST,
                          "the snapshot is of architecture %u, and this host runs %u (x86-64)",
                          head->architecture, X86_64);
    if (head->fields_len > FIELDS_MAX || head->page_count > HALO_RAM_MAX / HALO_PAGE)
        return refuse(loading, "the snapshot says more of itself than there can be");
    len = HEAD_LEN + head->fields_len + gap(head->fields_len) + head->page_count * HALO_PAGE;
    if (file_len != len)
        return halo__fail(&loading->words, HALO_EGUEST,
                          "the snapshot is %s: it says that it has %llu bytes, and the file has "
                          "%llu",
                          file_len < len ? "cut short" : "longer than it should be",
                          (unsigned long long)len, (unsigned long long)file_len);
    halo__sha256_begin(&loading->hash);
    halo__sha256_add(&loading->hash, bytes, DIGEST_AT);
    return 0;
}

/* All that the digest is of, and the digest. */
static int read_rest(struct loading *loading)
{
    const size_t fields_len = (size_t)loading->head.fields_len, gap_len = gap(fields_len);
    const size_t pages_len = (size_t)loading->head.page_count * HALO_PAGE;
    unsigned char digest[HALO_SHA256_LEN], between[HALO_PAGE];
    int error;

    loading->fields.bytes = malloc(fields_len + 1);
    if (pages_len > 0) {
        void *pages =
            mmap(NULL, pages_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        loading->pages = pages == MAP_FAILED ? NULL : pages;
    }
    if (!loading->fields.bytes || (pages_len > 0 && !loading->pages))
        return halo__fail(&loading->words, HALO_ENOMEM, "no memory for a snapshot");
    loading->fields.len = fields_len;
    error = read_all(loading, loading->fields.bytes, fields_len);
    if (!error)
        error = read_all(loading, between, gap_len);
    if (!error)
        error = read_all(loading, loading->pages, pages_len);
    if (error)
        return error;
    halo__sha256_add(&loading->hash, loading->fields.bytes, fields_len);
    halo__sha256_add(&loading->hash, between, gap_len);
    halo__sha256_add(&loading->hash, loading->pages, pages_len);
    halo__sha256_end(&loading->hash, digest);
    if (memcmp(digest, loading->head.digest, sizeof(digest)) != 0)
        return refuse(loading, "the snapshot was altered: its digest is another");
    return memcmp(between, zeroes, gap_len) ? refuse(loading, "the snapshot has bytes of no use")
                                            : 0;
}

/* The pages, to their places. */
static void place_pages(struct loading *loading)
{
    struct halo_image *image = &loading->foreign->snapshot.image;
    const unsigned char *from = loading->pages;

    for (uint64_t page = 0; page < image->len / HALO_PAGE; page++) {
        if (!has_page(image, page))
            continue;
        memcpy(image->bytes + page * HALO_PAGE, from, HALO_PAGE);
        from += HALO_PAGE;
    }
}

static int take_in(struct loading *loading)
{
    struct halo_image *image = &loading->foreign->snapshot.image;
    int error = halo__snapshot_fields(&loading->fields, loading->foreign);
    const char *why;

    if (error == HALO_EGUEST)
        return refuse(loading, "the snapshot is malformed");
    if (!error && image->len >= HALO_RAM_MIN)
        error = halo__image_map(image);
    if (error)
        return halo__fail(&loading->words, error, "no memory for a snapshot");
    why = halo__snapshot_judge(loading->foreign);
    if (!why && image->present_count != loading->head.page_count)
        why = "more or fewer pages than it counts";
    if (why)
        return halo__fail(&loading->words, HALO_EGUEST, "the snapshot is malformed: %s", why);
    place_pages(loading);
    halo__calls_forget(&loading->foreign->snapshot.calls);
    error = halo__image_finish(image);
    return error ? halo__fail(&loading->words, error, "no memory for a snapshot") : 0;
}

static int load(struct loading *loading, int fd)
{
    struct stat st;
    int error;

    loading->fd = fd;
    if (fstat(fd, &st) < 0)
        return halo__fail(&loading->words, HALO_EFILE, "it cannot be read: %s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return halo__fail(&loading->words, HALO_EFILE, "it is no regular file");
    error = read_head(loading, (uint64_t)st.st_size);
    if (!error)
        error = read_rest(loading);
    return error ? error : take_in(loading);
}

int halo_snapshot_load_fd(struct halo_snapshot **snapshot, int fd, char *why, size_t why_len)
{
    struct loading *loading = calloc(1, sizeof(*loading));
    struct halo_snapshot *loaded = calloc(1, sizeof(*loaded));
    struct halo_signals signals = {.are_blocked = false};
    int error = HALO_ENOMEM;

    *snapshot = NULL;
    if (loading)
        loading->foreign = calloc(1, sizeof(*loading->foreign));
    if (loaded && loading && loading->foreign) {
        halo__signals_borrow(&signals); /* of a limit of files, which a memory file has, too */
        error = load(loading, fd);
        halo__signals_return(&signals);
        *loaded = loading->foreign->snapshot;
    }
    if (why && why_len > 0)
        (void)snprintf(why, why_len, "%s",
                       !loading || !loading->words.text[0] ? error ? "no memory" : ""
                                                           : loading->words.text);
    if (loading) {
        free(loading->fields.bytes);
        free(loading->foreign);
        if (loading->pages)
            munmap(loading->pages, (size_t)loading->head.page_count * HALO_PAGE);
    }
    free(loading);
    if (error)
        halo_snapshot_free(loaded);
    else
        *snapshot = loaded;
    return error;
}

int halo_snapshot_load(struct halo_snapshot **snapshot, const char *path, char *why, size_t why_len)
{
    int fd, error;

    *snapshot = NULL;
    /* A FIFO is opened without a wait, and then refused. */
    fd = path ? halo__fd_high(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) : -1;
    if (fd < 0) {
        if (why && why_len > 0)
            (void)snprintf(why, why_len, "%s", path ? strerror(errno) : "the path is NULL");
        return path ? HALO_EFILE : HALO_EINVAL;
    }
    error = halo_snapshot_load_fd(snapshot, fd, why, why_len);
    (void)close(fd);
    return error;
}
