/*
 * A picture as a file, or as the answer on a socket:
 *
 *     "HALODUMP"  the version, u32; the architecture, u32, as in ELF files
 *     u64         bytes of the fields (picture_fields.c)
 *     u64         pages of guest memory that follow them, 0 without
 *     the fields
 *     the pages that the fields say are there, by their addresses
 *
 * and no byte more. Numbers have their least significant byte first.
 */
#define _GNU_SOURCE
#include "dump.h"
#include "descriptor.h"
#include "picture_of.h"
#include "signals.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where it goes, and until when that may take. */
struct dump {
    struct halo_sandbox *box;
    int fd;
    int64_t deadline;
};

static int fail(const struct dump *dump, const char *why)
{
    return halo__fail(&dump->box->words, HALO_EIO, "the dump cannot be written: %s", why);
}

static int put(const struct dump *dump, const void *bytes, size_t len)
{
    const unsigned char *from = bytes;

    while (len > 0) {
        const ssize_t n = write(dump->fd, from, len);

        if (n < 0 && errno == EAGAIN) {
            if (poll(&(struct pollfd){.fd = dump->fd, .events = POLLOUT}, 1,
                     halo__poll_timeout(dump->deadline)) == 0)
                return fail(dump, "nobody reads it");
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(dump, n < 0 ? strerror(errno) : "nothing is taken");
        from += n;
        len -= (size_t)n;
    }
    return 0;
}

/* --- Memory ----------------------------------------------------------------------------------- */

static bool has_page(const uint64_t *present, uint64_t page)
{
    return present[page / 64] >> page % 64 & 1;
}

static bool is_zero(const unsigned char *page)
{
    return page[0] == 0 && memcmp(page, page + 1, HALO_PAGE - 1) == 0;
}

/* Which pages there are that are not zero, of what the guest has: their number, or an error. */
static int64_t find_pages(struct halo_sandbox *box, struct halo_picture *picture)
{
    const struct halo_ram *ram = &box->machine.ram;
    int64_t count = 0;
    int error = halo__ram_look(&box->machine.ram);

    picture->has_memory = true;
    picture->present = calloc(ram->len / HALO_PAGE / 64 + 1, sizeof(*picture->present));
    if (error || !picture->present)
        return error ? error : halo__fail(&box->words, HALO_ENOMEM, "no memory for a dump");
    for (uint64_t page = 0; page < ram->len / HALO_PAGE; page++) {
        if (!has_page(ram->there, page) ||
            !halo__layout_prot(&box->machine, HALO_RAM_BASE + page * HALO_PAGE) ||
            is_zero(halo_shm_expose(ram->host + page * HALO_PAGE)))
            continue;
        picture->present[page / 64] |= 1ull << page % 64;
        count++;
    }
    return count;
}

static int put_pages(const struct dump *dump, const struct halo_picture *picture)
{
    const struct halo_ram *ram = &dump->box->machine.ram;
    int error = 0;

    for (uint64_t page = 0; page < ram->len / HALO_PAGE && picture->present && !error; page++) {
        if (has_page(picture->present, page))
            error = put(dump, halo_shm_expose(ram->host + page * HALO_PAGE), HALO_PAGE);
    }
    return error;
}

/* --- All of it -------------------------------------------------------------------------------- */

int halo__dump_head(struct halo_fields *fields, struct halo_dump_head *head)
{
    halo__field_bytes(fields, head->magic, sizeof(head->magic));
    halo__field_u32(fields, &head->version, UINT32_MAX);
    halo__field_u32(fields, &head->architecture, UINT32_MAX);
    halo__field_u64(fields, &head->fields_len, UINT64_MAX);
    halo__field_u64(fields, &head->page_count, UINT64_MAX);
    return fields->no_memory ? HALO_ENOMEM : fields->failed ? HALO_EGUEST : 0;
}

static int write_all(const struct dump *dump, struct halo_picture *picture, uint64_t page_count)
{
    struct halo_fields head = {.writes = true}, fields = {.writes = true};
    struct halo_dump_head first = {.magic = HALO_DUMP_MAGIC,
                                   .version = HALO_PICTURE_VERSION,
                                   .architecture = HALO_DUMP_X86_64,
                                   .page_count = page_count};
    int error = halo__picture_fields(&fields, picture);

    first.fields_len = fields.len;
    if (!error)
        error = halo__dump_head(&head, &first);
    if (error)
        error = halo__fail(&dump->box->words, error, "no memory for a dump");
    if (!error)
        error = put(dump, head.bytes, head.len);
    if (!error)
        error = put(dump, fields.bytes, fields.len);
    free(head.bytes);
    free(fields.bytes);
    return error ? error : put_pages(dump, picture);
}

static int take_and_write(const struct dump *dump, uint32_t flags)
{
    struct halo_sandbox *box = dump->box;
    struct halo_picture *picture;
    int64_t pages = 0;
    int error;

    if (flags & ~(uint32_t)HALO_DUMP_MEMORY)
        return halo__fail(&box->words, HALO_EINVAL, "there are no such flags of a dump: 0x%x",
                          flags);
    if (!box->loop.state)
        return halo__fail(&box->words, HALO_ESTATE, "this sandbox was not opened");
    if (box->run_depth == 0)
        (void)halo__settle(box); /* also where it ends meanwhile, there is something to look at */
    picture = calloc(1, sizeof(*picture));
    if (!picture)
        return halo__fail(&box->words, HALO_ENOMEM, "no memory for a dump");
    error = halo__picture_take(box, picture);
    if (error)
        error = halo__fail(&box->words, error, "no memory for a dump");
    if (!error && flags & HALO_DUMP_MEMORY)
        pages = find_pages(box, picture);
    if (pages < 0)
        error = (int)pages;
    if (!error)
        error = write_all(dump, picture, (uint64_t)pages);
    halo__picture_free(picture);
    free(picture);
    return error;
}

static int write_dump(const struct dump *dump, uint32_t flags)
{
    struct halo_signals signals = {.are_blocked = false};
    int error;

    /* Of a pipe that nobody reads, and of a limit of files. Inside of what runs the guest they are
     * borrowed until that is over: one that is to end the run must not be dropped here. */
    if (dump->box->run_depth > 0) {
        halo__signals_borrow(&dump->box->signals);
        return take_and_write(dump, flags);
    }
    halo__signals_borrow(&signals);
    error = take_and_write(dump, flags);
    halo__signals_return(&signals);
    return error;
}

int halo_dump(struct halo_sandbox *box, int fd, uint32_t flags)
{
    const struct dump dump = {.box = box, .fd = fd, .deadline = HALO_FOREVER};
    int error = halo__box_enter(box);

    return error ? error : halo__box_leave(box, write_dump(&dump, flags));
}

/* --- One request on a socket ------------------------------------------------------------------ */

#define ANSWER_NS 2000000000 /* for who has connected to take it */

static int serve(struct halo_sandbox *box, int listener, uint32_t flags)
{
    struct dump dump = {.box = box, .deadline = halo__deadline(ANSWER_NS)};
    struct pollfd pollfd = {.fd = listener, .events = POLLIN};
    const int flags_of = fcntl(listener, F_GETFL);
    const struct halo_words kept = box->words;

    if (poll(&pollfd, 1, 0) <= 0)
        return 0;
    /* Somebody else may take the connection meanwhile. */
    if (flags_of >= 0 && !(flags_of & O_NONBLOCK))
        (void)fcntl(listener, F_SETFL, flags_of | O_NONBLOCK);
    dump.fd = halo__fd_high(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (dump.fd < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
        return 0;
    if (dump.fd < 0)
        return halo__fail(&box->words, HALO_EHOST, "an inspection cannot be accepted: %s",
                          strerror(errno));
    if (write_dump(&dump, flags) == 0)
        box->words = kept;
    (void)close(dump.fd);
    return 1; /* who has left too early has nothing, and that is no error of the sandbox's */
}

int halo_inspect(struct halo_sandbox *box, int listener, uint32_t flags)
{
    const int error = halo__box_enter(box);

    return error ? error : halo__box_leave(box, serve(box, listener, flags));
}
