/* Bytes from anywhere, and a picture out of them: whoever calls this is confined. */
#define _GNU_SOURCE
#include "../host/dump.h"
#include "../host/picture_kept.h"
#include "inspect.h"
#include <errno.h>
#include <halo/snapshot.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PEER_NS (INSPECT_PEER_S * 1000000000ll)

struct reading {
    struct inspected *to;
    int fd;
    int64_t until; /* of CLOCK_MONOTONIC, or 0 */
};

static bool wrong(struct reading *reading, const char *why)
{
    (void)snprintf(reading->to->wrong, sizeof(reading->to->wrong), "%s", why);
    return false;
}

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Wait for a peer's next bytes: false where it is too late. */
static bool await(const struct reading *reading)
{
    while (reading->until) {
        struct pollfd pollfd = {.fd = reading->fd, .events = POLLIN};
        const int64_t left = reading->until - now();

        if (left <= 0)
            return false;
        if (poll(&pollfd, 1, (int)(left / 1000000) + 1) > 0)
            return true;
    }
    return true;
}

static bool take(struct reading *reading, void *to, size_t len)
{
    unsigned char *at = to;

    while (len > 0) {
        ssize_t n;

        if (!await(reading))
            return wrong(reading, INSPECT_NO_ANSWER);
        n = read(reading->fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return wrong(reading, strerror(errno));
        if (n == 0)
            return wrong(reading, reading->until ? "its host has ended, and sent nothing more"
                                                 : "the dump is cut short");
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool is_whole(struct reading *reading, const struct halo_dump_head *head)
{
    struct stat st;

    if (head->fields_len > HALO_PICTURE_FIELDS_MAX || head->page_count > HALO_RAM_MAX / HALO_PAGE)
        return wrong(reading, "the dump says more of itself than there can be");
    if (fstat(reading->fd, &st) == 0 && S_ISREG(st.st_mode) &&
        (uint64_t)st.st_size !=
            HALO_DUMP_HEAD_LEN + head->fields_len + head->page_count * HALO_PAGE)
        return wrong(reading, "the dump is cut short, or longer than it should be");
    return true;
}

static bool judge_pages(const struct halo_picture *picture, uint64_t count)
{
    const uint64_t pages = picture->ram_len / HALO_PAGE;
    uint64_t there = 0;

    for (uint64_t i = 0; picture->present && i < (pages + 63) / 64; i++)
        there += (uint64_t)__builtin_popcountll(picture->present[i]);
    return there == count;
}

static bool read_fields(struct reading *reading, const struct halo_dump_head *head)
{
    struct halo_fields fields = {.len = (size_t)head->fields_len};
    int error;

    fields.bytes = malloc(fields.len + 1);
    if (!fields.bytes)
        return wrong(reading, "no memory");
    if (!take(reading, fields.bytes, fields.len)) {
        free(fields.bytes);
        return false;
    }
    error = halo__picture_fields(&fields, &reading->to->picture);
    free(fields.bytes);
    if (error)
        return wrong(reading, error == HALO_ENOMEM ? "no memory" : "the dump is malformed");
    if (!judge_pages(&reading->to->picture, head->page_count))
        return wrong(reading, "the dump is malformed: it has more or fewer pages than it counts");
    reading->to->pages_at = HALO_DUMP_HEAD_LEN + head->fields_len;
    reading->to->page_count = head->page_count;
    return true;
}

static bool read_dump(struct reading *reading, unsigned char *bytes)
{
    struct halo_fields fields = {.bytes = bytes, .len = HALO_DUMP_HEAD_LEN};
    struct halo_dump_head head = {.version = 0};

    if (halo__dump_head(&fields, &head))
        return wrong(reading, "it is no dump");
    if (head.version != HALO_PICTURE_VERSION) {
        (void)snprintf(reading->to->wrong, sizeof(reading->to->wrong),
                       "the dump is of version %u of the format, and this command reads version "
                       "%u: take it anew, or read it with the halo that wrote it",
                       head.version, HALO_PICTURE_VERSION);
        return false;
    }
    if (head.architecture != HALO_DUMP_X86_64)
        return wrong(reading, "the dump is of another architecture than x86-64");
    return is_whole(reading, &head) && read_fields(reading, &head);
}

static bool read_snapshot(struct reading *reading)
{
    struct halo_snapshot *snapshot;
    int error = halo_snapshot_load_fd(&snapshot, reading->fd, reading->to->wrong,
                                      sizeof(reading->to->wrong));

    if (error)
        return false;
    error = halo__picture_of_snapshot(snapshot, &reading->to->picture);
    halo_snapshot_free(snapshot);
    return error ? wrong(reading, "no memory") : true;
}

bool inspect_read(struct inspected *inspected, int fd, bool is_socket)
{
    static const char dump[8] = HALO_DUMP_MAGIC,
                      snapshot[8] = {'H', 'A', 'L', 'O', 'S', 'N', 'A', 'P'};
    struct reading reading = {.to = inspected, .fd = fd, .until = is_socket ? now() + PEER_NS : 0};
    unsigned char bytes[HALO_DUMP_HEAD_LEN];
    struct stat st;

    if (!is_socket && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
        return wrong(&reading, "the file is empty: its guest goes on, or has ended by itself, and "
                               "its exit code is what it says (134: it aborted)");
    if (!take(&reading, bytes, sizeof(bytes)))
        return false;
    if (memcmp(bytes, snapshot, sizeof(snapshot)) == 0 && !is_socket)
        return read_snapshot(&reading);
    if (memcmp(bytes, dump, sizeof(dump)) != 0)
        return wrong(&reading, "it is neither a dump nor a snapshot");
    return read_dump(&reading, bytes);
}

bool inspect_page(const struct inspected *inspected, int fd, uint64_t address, unsigned char *page)
{
    const struct halo_picture *picture = &inspected->picture;
    const uint64_t number = (address - HALO_RAM_BASE) / HALO_PAGE;
    uint64_t before = 0;

    if (!picture->present || address < HALO_RAM_BASE || number >= picture->ram_len / HALO_PAGE)
        return false;
    memset(page, 0, HALO_PAGE);
    if (!(picture->present[number / 64] >> number % 64 & 1))
        return true;
    for (uint64_t i = 0; i < number; i++)
        before += picture->present[i / 64] >> i % 64 & 1;
    if (lseek(fd, (off_t)(inspected->pages_at + before * HALO_PAGE), SEEK_SET) < 0)
        return false;
    return read(fd, page, HALO_PAGE) == (ssize_t)HALO_PAGE;
}
