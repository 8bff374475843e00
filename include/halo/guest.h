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
#include <halo/value.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The program. Its result is the exit code; what was written is flushed first. A program that has
 * none serves calls of its exports, as if it had `return halo_serve();` for one.
 */
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
    char *at;                        /* what halo_reader_line has not given out of it yet */
    size_t left;
    char *line; /* one that lay in several buffers, and how much memory that has */
    size_t line_size;
    bool ended;
    int32_t os_error;
};

/*
 * Start to read `handle` (HALO_STDIN). Posts HALO_READER_DEPTH buffers, or as many as there are but
 * for one, which is left for writes. The reader must stay where it is until halo_reader_close.
 * Returns 0; HALO_ENOMEM where not one buffer is left; HALO_ETRANSPORT with the stack transport.
 */
int halo_reader_open(struct halo_reader *reader, uint32_t handle);

/*
 * The next bytes of the stream, where they lie: no copy is made. They are valid until the next
 * call with this reader. Returns their count, 0 at the end of the stream, or HALO_EIO; then
 * reader->os_error is the errno of the host.
 */
int64_t halo_reader_next(struct halo_reader *reader, const void **bytes);

/*
 * The next line, without its newline and ended by a zero byte, which may be written over; it is
 * valid until the next call with this reader. The last line needs no newline. No copy is made of a
 * line that lies in one buffer. Returns 1, 0 at the end of the stream, HALO_EIO as above, or
 * HALO_ENOMEM for a line for which there is no memory.
 */
int halo_reader_line(struct halo_reader *reader, char **line, size_t *len);

/* Stop reading and free the buffers. What the host had read ahead is lost. */
void halo_reader_close(struct halo_reader *reader);

/*
 * Write all bytes to `handle` (HALO_STDOUT, HALO_STDERR). They are copied into a buffer of
 * HALO_STREAM_BUF bytes, however few they are, which goes out in order when it is full, and at the
 * latest when the guest next waits, flushes or ends. Returns 0, or HALO_EIO where an earlier
 * write of this stream failed; halo_write_error tells its errno. HALO_ETRANSPORT with the stack
 * transport.
 */
int halo_write(uint32_t handle, const void *bytes, size_t len);

/*
 * Wait until everything that was written has arrived, and let every call go out that was started.
 * Returns 0, or HALO_EIO where a write failed.
 */
int halo_flush(void);

/* The errno of the first write to `handle` that failed, or 0. */
int halo_write_error(uint32_t handle);

/* --- Functions of the host -------------------------------------------------------------------- */

/* A function of the host's that this program calls. Declare it by HALO_IMPORT alone. */
struct halo_import {
    const char *name;
    struct halo_signature signature;
    int32_t index; /* the host's, from before main; or why there is none: HALO_ENAME, HALO_ETYPE */
    uint32_t room, short_run; /* private: what its answers were seen to need */
};

/*
 * Import a function, in a file, by its name and signature, the result's type first:
 *
 *     HALO_IMPORT(lookup, "host.lookup", HALO_I64, HALO_STR);
 *
 * A macro may stand for what follows the variable, so that host and guest share it.
 */
#if defined(__has_attribute) && __has_attribute(no_reorder)
#define HALO__LISTED used, no_reorder, aligned(8) /* in the order of the source */
#else
#define HALO__LISTED used, aligned(8)
#endif
#define HALO_IMPORT(variable, ...) HALO__IMPORT(variable, __VA_ARGS__)
#define HALO__IMPORT(variable, function_name, ...)                                                \
    static struct halo_import variable __attribute__((section("halo_imports"), HALO__LISTED)) = { \
        .name = function_name, .signature = HALO_FN(__VA_ARGS__)}

struct halo_answer;

/* Who waits for an answer. Private. */
struct halo_op {
    bool (*answered)(struct halo_op *op, struct halo_answer *answer);
};

/*
 * A call, from its start until the program is done with its result. The program's own; it must stay
 * where it is until the answer has come. Any number of them may be in flight.
 */
struct halo_future {
    struct halo_op op; /* private */
    struct halo_import *import;
    bool done;                /* the answer has come; what follows is valid */
    int error;                /* 0, or why there is no result */
    int32_t code;             /* with HALO_ECALL: the function's own code, above 0 */
    const char *text;         /* with an error: words for it, never NULL */
    struct halo_value result; /* text and bytes are the future's, until halo_done */
    /* private */
    void *memory; /* for a long answer */
    uint32_t room, ticket, length;
    unsigned char bytes[320];
};

/*
 * Start a call. It goes out when the program next waits, flushes or ends, with all others that were
 * started until then. Strings and bytes of up to 256 bytes are copied; longer ones stay the
 * caller's and must not change until the answer has come.
 *
 * Returns 0, or HALO_ENAME, HALO_ETYPE where the host has no such function, or has it with another
 * signature; HALO_ECOUNT, HALO_ETYPE, HALO_EINVAL for arguments that are not the signature's;
 * HALO_EDEPTH inside too many calls. Then nothing was sent, and the future is done, with this
 * error. Where there is no room for it now, waits until there is.
 */
int halo_start(struct halo_future *future, struct halo_import *import,
               const struct halo_value *args, size_t count);

/* Has the answer come? Takes in what is there, and never leaves the guest. */
bool halo_ready(struct halo_future *future);

/*
 * Wait for the answer: returns future->error. That is what halo_start returned, HALO_ECALL where
 * the function failed, HALO_ESIZE where an argument or the result is too long for the other side,
 * HALO_ENOMEM where this program has no memory for a long result, HALO_ESTALE where the host gave a
 * long result up for later ones, or another refusal of the host's. After one exit of the guest all
 * answers are there that the host had: waiting for the next future may need none.
 */
int halo_wait(struct halo_future *future);

/*
 * Free what the future holds, of a call whose answer has come. Needed after every call that has a
 * result of text or bytes of more than 256 bytes; fine after all.
 */
void halo_done(struct halo_future *future);

/*
 * Start and wait: halo_call(&future, &lookup, halo_str("x"), halo_i64(3)). With no arguments at
 * all: halo_start(&future, &lookup, NULL, 0), then halo_wait.
 */
#define halo_call(future, import, ...)                                          \
    ((void)halo_start(future, import, (const struct halo_value[]){__VA_ARGS__}, \
                      sizeof((const struct halo_value[]){__VA_ARGS__}) /        \
                          sizeof(struct halo_value)),                           \
     halo_wait(future))

/* What long answers cost, since the start. */
struct halo_call_stats {
    uint64_t calls;
    uint64_t truncated; /* answers for which the call had made too little room */
    uint64_t fetched;   /* bytes of those that were fetched */
    uint64_t unused;    /* bytes of room beyond a short answer's that were not needed */
};

void halo_call_stats(struct halo_call_stats *stats);

/* --- Functions for the host ------------------------------------------------------------------- */

/* A call of the host's, while it is being served. */
struct halo_call;

/* A function that the host may call. Declare it by HALO_EXPORT alone. */
struct halo_export {
    const char *name;
    struct halo_signature signature;
    void (*function)(struct halo_call *call, const struct halo_value *args);
};

/*
 * Define a function that the host may call, by its name and signature, the result's type first:
 *
 *     HALO_EXPORT(score, "plugin.score", HALO_I64, HALO_STR, HALO_I64)
 *     {
 *         halo_return(call, halo_i64((int64_t)args[0].len * args[1].i64));
 *     }
 *
 * It has the parameters `struct halo_call *call` and `const struct halo_value *args`, which last
 * until it returns. It ends with one halo_return or halo_fail; where there is no result, neither is
 * needed. It may call the host. It runs while the program waits, for whatever that is, in
 * halo_serve or elsewhere.
 */
#define HALO_EXPORT(function_, ...) HALO__EXPORT(function_, __VA_ARGS__)
#define HALO__EXPORT(function_, name_, ...)                                           \
    static void function_(struct halo_call *call, const struct halo_value *args);     \
    static const struct halo_export function_##_export                                \
        __attribute__((section("halo_exports"), HALO__LISTED)) = {                    \
            .name = name_, .signature = HALO_FN(__VA_ARGS__), .function = function_}; \
    static void function_(struct halo_call *call __attribute__((unused)),             \
                          const struct halo_value *args __attribute__((unused)))

/*
 * Answer the call. The value may be changed or freed afterwards: up to 2048 bytes are copied; where
 * it is longer, the host takes it from where it lies before this returns. Returns 0; HALO_ETYPE
 * where it is not of the signature's type, HALO_EINVAL where it is no sound value, HALO_ESIZE where
 * it is too long for any message: then the host gets that error instead. HALO_ESTATE where the call
 * was answered before.
 */
int halo_return(struct halo_call *call, struct halo_value value);

/*
 * Fail the call: the host gets HALO_ECALL with this code, above 0, and the first
 * HALO_ERROR_TEXT_MAX bytes of the text. Returns 0, HALO_EINVAL for another code, HALO_ESTATE where
 * the call was answered before.
 */
int halo_fail(struct halo_call *call, int32_t code, const char *text);

/*
 * Serve calls of the host's until it says that there will be no more. Returns 0; HALO_ESTATE inside
 * of an exported function.
 */
int halo_serve(void);

/* --- Memory ----------------------------------------------------------------------------------- */

/*
 * The usual ones, from the heap. Results are aligned to 16 bytes. A program may have its own
 * instead; it then defines all four.
 */
void *malloc(size_t len);
void *calloc(size_t count, size_t len);
void *realloc(void *memory, size_t len);
void free(void *memory);

/* The usual memory functions; a compiler may call them by itself. */
void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
void *memchr(const void *from, int byte, size_t len);
size_t strlen(const char *text);

#endif
