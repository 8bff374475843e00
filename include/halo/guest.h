/*
 * libhalo-guest: what a guest program is linked with.
 *
 *     #include <halo/guest.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct halo_reader in;
 *         const void *bytes;
 *         int64_t len;
 *
 *         halo_reader_open(&in, HALO_STDIN);
 *         while ((len = halo_reader_next(&in, &bytes)) > 0)
 *             halo_write(HALO_STDOUT, bytes, (size_t)len);
 *         return len < 0;
 *     }
 *
 * A guest is a static program without an operating system: one thread, no files, no signals. Its
 * requests travel to the host through a ring; the host is entered only when there is nothing left
 * to do without it. Functions return 0 or a count, or a negative code of halo/error.h.
 */
#ifndef HALO_GUEST_H
#define HALO_GUEST_H

#include <halo/abi.h>
#include <halo/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The program. Its result is the exit code; what was written is flushed first. */
int main(int argc, char **argv);

/* End now, as if main had returned `code`. */
_Noreturn void halo_exit(int code);

/* End now, with a message that the host reports. At most HALO_PANIC_MAX bytes of it are shown. */
_Noreturn void halo_panic(const char *text);

/* The boot page: memory ranges and queues. */
const struct halo_boot *halo_boot(void);

/* Bytes of a stream buffer, and how many a reader keeps posted. */
#define HALO_STREAM_BUF 65536u
#define HALO_READER_DEPTH 16u

/* Reads a stream ahead. Its fields are private. */
struct halo_reader {
    uint32_t handle;
    uint32_t first, count;           /* requests in flight or answered, in order */
    uint16_t ios[HALO_READER_DEPTH]; /* their numbers, a circle */
    void *lent;                      /* the buffer that the program looks at */
    bool ended;
    int32_t os_error;
};

/*
 * Start to read `handle` (HALO_STDIN). Posts HALO_READER_DEPTH buffers, or as many as there are but
 * for one, which is left for writes. The reader must stay where it is until halo_reader_close.
 * Returns 0, or HALO_ENOMEM where not one buffer is left.
 */
int halo_reader_open(struct halo_reader *reader, uint32_t handle);

/*
 * The next bytes of the stream, where they lie: no copy is made. They are valid until the next
 * call with this reader. Returns their count, 0 at the end of the stream, or HALO_EIO; then
 * reader->os_error is the errno of the host.
 */
int64_t halo_reader_next(struct halo_reader *reader, const void **bytes);

/* Stop reading and free the buffers. What the host had read ahead is lost. */
void halo_reader_close(struct halo_reader *reader);

/*
 * Write all bytes to `handle` (HALO_STDOUT, HALO_STDERR). They are copied, and go out in order, at
 * the latest when the guest next waits, flushes or ends. Returns 0, or HALO_EIO where an earlier
 * write of this stream failed; halo_write_error tells its errno.
 */
int halo_write(uint32_t handle, const void *bytes, size_t len);

/* Wait until everything that was written has arrived. Returns 0, or HALO_EIO. */
int halo_flush(void);

/* The errno of the first write to `handle` that failed, or 0. */
int halo_write_error(uint32_t handle);

/* The usual memory functions; a compiler may call them by itself. */
void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
size_t strlen(const char *text);

#endif
