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
 * A guest is a static program without an operating system: one thread, and with a C library
 * (docs/linux.md) files in memory and signals to itself. Its requests travel to the host through a
 * ring; the host is entered only when there is nothing left to do without it. Functions return 0 or
 * a count, or a negative code of halo/error.h.
 */
#ifndef HALO_GUEST_H
#define HALO_GUEST_H

#include <halo/abi.h>
#include <halo/error.h>
#include <halo/language.h>
#include <halo/value.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#include <stdlib.h>
#include <string.h>

extern "C" {
#endif

#pragma GCC visibility push(default)

/*
 * The program is main, `int main(void)` or `int main(int argc, char **argv)`. Its result is the
 * exit code; what was written is flushed first, and where that fails the result 0 is none. A
 * program that has no main serves calls of its exports, as if it had `return halo_serve();` for
 * one.
 */

/* End now, as if main had returned `code`. */
HALO_NORETURN void halo_exit(int code);

/* End now, with a message that the host reports. At most HALO_PANIC_MAX bytes of it are shown. */
HALO_NORETURN void halo_panic(const char *text);

/* The boot page: memory ranges and queues. */
const struct halo_boot *halo_boot_page(void);

/*
 * How much may go on at a time, and so share one exit. Calls and requests for streams wait for room
 * by themselves; this is for a program that wants to fill an exit and no more.
 */
struct halo_room {
    uint32_t requests_max; /* calls, and requests for streams, that may be in flight */
    uint32_t requests;     /* at least so many more of up to 256 bytes start before one waits */
    uint32_t calls_max;    /* calls of the host's at a time, where the program exports functions */
    uint32_t deferred_max; /* long answers that the host keeps until they are fetched, */
    uint64_t deferred_len; /* and their bytes; 0 where it does not say */
};

/* Any time. Over stacks one call is going on at a time, and nothing is deferred. */
struct halo_room halo_room(void);

/* --- Futures ---------------------------------------------------------------------------------- */

struct halo_answer;

/* Who waits for an answer. Private. */
struct halo_op {
    bool (*answered)(struct halo_op *op, struct halo_answer *answer);
};

/*
 * What was asked of the host, a call or a request for a stream, from its start until the program is
 * done with its result: a stream of one element. The program's own; it must stay where it is until
 * the answer has come. Any number of them may be in flight.
 */
struct halo_future {
    struct halo_op op; /* private */
    struct halo_import *import;
    bool done;                /* the answer has come; what follows is valid */
    int error;                /* 0, or why there is no result */
    int32_t code;             /* HALO_ECALL: the function's own, above 0; HALO_EIO: an errno */
    const char *text;         /* with an error: words for it, never NULL */
    struct halo_value result; /* text and bytes are the future's, until halo_future_free */
    /* private */
    void *memory; /* for a long answer */
    uint32_t room, ticket, length, kind;
    unsigned char bytes[320];                  /* aligned to 8 */
    void (*again)(struct halo_future *future); /* asks again for what there was no room to ask */
    struct halo_future *next;                  /* of those that wait behind one in flight */
};

/* Has the answer come? Takes in what is there, and never leaves the guest. */
bool halo_ready(struct halo_future *future);

/*
 * Wait for the answer: returns future->error. That is what halo_call_start returned, HALO_ECALL
 * where the function failed, HALO_ESIZE where an argument or the result is too long for the other
 * side, HALO_ENOMEM where this program has no memory for a long result, HALO_ESTALE where the host
 * gave a long result up for later ones, or another refusal of the host's. After one exit of the
 * guest all answers are there that the host had: waiting for the next future may need none.
 */
int halo_wait(struct halo_future *future);

/*
 * Wait until some answer has come or a call of the host's was served since this last returned, also
 * where another wait took it in; afterwards look at `done` of the futures. Returns false, at once,
 * where nothing has come and nothing is in flight.
 */
bool halo_poll(void);

/*
 * Free what the future holds, of a call whose answer has come. Needed after every call that has a
 * result of text or bytes of more than 256 bytes; fine after all.
 */
void halo_future_free(struct halo_future *future);

/* --- Streams ---------------------------------------------------------------------------------- */

/*
 * Bytes to and from the host: HALO_STDIN, HALO_STDOUT and HALO_STDERR, streams that it offers by a
 * name, and those whose handle it passes with a call. What a stream is connected to, and what may
 * be done with it, is the host's choice: a wrong way is HALO_EIO with errno EBADF.
 *
 * With the stack transport there are none: HALO_ETRANSPORT.
 */

/*
 * The stream that the host offers by this name. Returns 0; HALO_ENAME where there is none;
 * HALO_EINVAL for a name that is not of 1 to HALO_STREAM_NAME_MAX bytes.
 */
int halo_stream_open(const char *name, uint32_t *handle);

/*
 * No more will be written: the other end finds the end of the stream. In order behind what was
 * written before; further writes fail. Goes out when the program next waits, and its result is not
 * waited for. Returns 0.
 */
int halo_stream_end(uint32_t handle);

/*
 * Let go of a stream: reads in flight are cancelled, what was written still goes out, and the
 * handle is no longer valid: HALO_ESTALE. Goes out as above. Returns 0.
 */
int halo_stream_close(uint32_t handle);

/*
 * End the requests in flight of these ways (enum halo_way), with HALO_EIO and errno ECANCELED, or
 * as they were done meanwhile. Goes out as above. Returns 0, or HALO_EINVAL for no such ways.
 */
int halo_stream_cancel(uint32_t handle, uint32_t ways);

/*
 * Read or write 1 to HALO_WINDOW_BYTES bytes, a read at least 4, straight to or from the program's
 * memory, which stays lent until the answer has come. Like a call it goes out with the next wait,
 * and requests of one way of a stream are done in order. The result has type HALO_BYTES and says
 * how many bytes it was: of a read, 0 at the end of the stream, and fewer than asked for where
 * there are no more yet; of a write, always all. A listening stream is read for handles of
 * connections, uint32_t each.
 *
 * Returns 0, or HALO_EINVAL, HALO_ETRANSPORT; then the future is done, with this error. Waits where
 * HALO_WINDOW_REQUESTS or HALO_WINDOW_BYTES are in flight. halo_wait's errors are HALO_ESTALE for a
 * handle that was closed, and HALO_EIO, with an errno as the code.
 */
int halo_stream_read_start(struct halo_future *future, uint32_t handle, void *to, size_t len);
int halo_stream_write_start(struct halo_future *future, uint32_t handle, const void *from,
                            size_t len);

/* Bytes of a stream buffer, and how many a reader keeps posted at most. */
#define HALO_STREAM_BUF 65536u
#define HALO_READER_DEPTH HALO_WINDOW_REQUESTS

struct halo__io;

/* Reads a stream ahead. Its fields are private but for os_error. */
struct halo_reader {
    uint32_t handle, buf_len;
    uint32_t first, count;                   /* requests in flight or answered, in order */
    struct halo__io *ios[HALO_READER_DEPTH]; /* a circle */
    void *lent;                              /* the buffer that the program looks at */
    char *at;                                /* what halo_reader_line has not given out of it yet */
    size_t left;
    char *line; /* one that lay in several buffers, and how much memory that has */
    size_t line_size;
    bool ended;
    int error;
    int32_t os_error;
};

/*
 * Start to read `handle`. Posts HALO_READER_DEPTH buffers of HALO_STREAM_BUF bytes, or as many as
 * there are; some are left for others. The reader must stay where it is until halo_reader_close.
 * Returns 0; HALO_ENOMEM where not one buffer is left; HALO_ETRANSPORT with the stack transport.
 */
int halo_reader_open(struct halo_reader *reader, uint32_t handle);

/*
 * The same with up to `depth` buffers of `len` bytes, 1 to HALO_READER_DEPTH of them, of 4 bytes at
 * least and together of HALO_WINDOW_BYTES at most: else HALO_EINVAL. For many readers, each of
 * which needs little.
 */
int halo_reader_open_sized(struct halo_reader *reader, uint32_t handle, uint32_t len,
                           uint32_t depth);

/*
 * The next bytes of the stream, where they lie: no copy is made. They are valid until the next
 * call with this reader. Returns their count, 0 at the end of the stream, HALO_ESTALE where it was
 * closed, or HALO_EIO; then reader->os_error is the errno of the host.
 */
int64_t halo_reader_next(struct halo_reader *reader, const void **bytes);

/*
 * The next line, without its newline and ended by a zero byte, which may be written over; it is
 * valid until the next call with this reader. The last line needs no newline. No copy is made of a
 * line that lies in one buffer. Returns 1, 0 at the end of the stream, HALO_EIO or HALO_ESTALE as
 * above, or HALO_ENOMEM for a line for which there is no memory.
 */
int halo_reader_line(struct halo_reader *reader, char **line, size_t *len);

/*
 * Stop reading and free the buffers; the stream stays open. What the host had read ahead is lost.
 * Cancels all reads of the stream.
 */
void halo_reader_close(struct halo_reader *reader);

/* Gathers small writes. Its fields are private but for os_error. */
struct halo_writer {
    uint32_t handle, buf_len;
    unsigned char *buf; /* one that is not full yet */
    uint32_t len;
    uint32_t in_flight; /* writes that were not answered */
    uint32_t *noted;    /* where the host finds its length should the guest end */
    struct halo_writer *next;
    int error; /* of the first write that failed, and its errno */
    int32_t os_error;
};

/*
 * Write to `handle` through a buffer of HALO_STREAM_BUF bytes, or of `len`, up to
 * HALO_WINDOW_BYTES. The writer must stay where it is until halo_writer_close. Returns 0;
 * HALO_EINVAL for another length; HALO_ETRANSPORT with the stack transport.
 */
int halo_writer_open(struct halo_writer *writer, uint32_t handle);
int halo_writer_open_sized(struct halo_writer *writer, uint32_t handle, uint32_t len);

/*
 * Write all bytes. They are copied into the buffer, however few they are, which goes out in order
 * when it is full, and at the latest when the guest next waits, flushes or ends. Returns 0, or the
 * error of the first write that failed, HALO_EIO or HALO_ESTALE; writer->os_error is its errno.
 * HALO_ENOMEM where there is no memory for the buffer.
 */
int halo_writer_write(struct halo_writer *writer, const void *bytes, size_t len);

/* Wait until everything that was written has arrived. Returns 0, or the error as above. */
int halo_writer_flush(struct halo_writer *writer);

/* Flush, and be done with it; the stream stays open. Returns what halo_writer_flush does. */
int halo_writer_close(struct halo_writer *writer);

/*
 * The same through a writer of the library's own, for HALO_STDOUT and HALO_STDERR. What goes to
 * HALO_STDERR is not held back, and comes behind what went to HALO_STDOUT before; of both, what was
 * written goes out however the program ends.
 *
 * Returns 0, or HALO_EINVAL for another stream. A write that fails ends the program: halo_run
 * returns HALO_EIO at the host, with words that name stream and error. Not so where the host has
 * connected nothing to the stream; then this returns HALO_EIO, and the program ends like that only
 * if it were to end with 0.
 */
int halo_write(uint32_t handle, const void *bytes, size_t len);

/*
 * From now on the program looks itself: halo_write and halo_flush return the error of the first
 * write that failed, as halo_writer_write does; halo_write_error tells its errno. (Programs with a
 * C library have this from the start: write returns the error, and EPIPE raises SIGPIPE.) One that
 * ends with 0 although a standard stream could not be written to still ends as above.
 */
void halo_handle_write_errors(void);

/*
 * Wait until everything that was written by any writer has arrived, and let every call go out that
 * was started. Returns 0, or the error of a write to a standard stream.
 */
int halo_flush(void);

/* The errno of the first write to a standard stream that failed, or 0. */
int halo_write_error(uint32_t handle);

/* --- A log ------------------------------------------------------------------------------------ */

/*
 * A line for whoever runs this guest: halo_log(HALO_LOG_WARN, "%s has %d words", name, count). It
 * is sent at once and nobody waits for it: it takes no exit of its own, but one for 32 lines where
 * nothing else leaves. What the host shows of it, and how much, is the host's affair; a line for
 * which there is no room, or a host that takes none, is dropped, and the next one says how many.
 * Where the host runs beside this guest (threaded) it may be told of each line, and lines that come
 * faster than it looks are dropped.
 *
 * The format is printf's, as far as integers (d i u x X o, with hh h l ll z j t), c, s, p and %%
 * go, with flags, width and precision; a conversion of floating-point numbers is written as it
 * stands. A line has HALO_LOG_MAX bytes; the rest is cut. Over stacks all lines are dropped.
 */
void halo_log(enum halo_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for text of so many bytes, any. What a C library's syslog would call. */
void halo_log_text(enum halo_log_level level, const char *text, size_t len);

/* --- Functions of the host -------------------------------------------------------------------- */

/* A function of the host's that this program calls. Declare it by HALO_IMPORT alone. */
struct halo_import {
    const char *name;
    struct halo_signature signature;
    int32_t index; /* the host's, from before main; or why there is none: HALO_ENAME, HALO_ETYPE */
    uint32_t room, short_run;           /* private: what its answers were seen to need */
    bool is_compact;                    /* private: its calls travel inside descriptors */
    const char *none, *another, *wrong; /* words for a future: no such function, of other types, a
                                           call that is not its signature's */
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
        function_name,                                                                            \
        HALO_FN(__VA_ARGS__),                                                                     \
        0,                                                                                        \
        0,                                                                                        \
        0,                                                                                        \
        false,                                                                                    \
        function_name ": the host has no such function; it provides it before the guest starts",  \
        function_name ": the host has it with another signature",                                 \
        function_name ": the arguments are not those of its signature"}

/*
 * Start a call. It goes out when the program next waits, flushes or ends, with all others that were
 * started until then. Strings and bytes of up to 256 bytes are copied; longer ones, and
 * lists, stay the caller's and must not change until the answer has come.
 *
 * Returns 0, or HALO_ENAME, HALO_ETYPE where the host has no such function, or has it with another
 * signature; HALO_ECOUNT, HALO_ETYPE, HALO_EINVAL for arguments that are not the signature's;
 * HALO_EDEPTH inside too many calls. Then nothing was sent, and the future is done, with this
 * error. Where there is no room for it now, waits until there is.
 */
int halo_call_start(struct halo_future *future, struct halo_import *import,
                    const struct halo_value *args, size_t count);

/*
 * Start and wait: halo_call(&future, &lookup, halo_str("x"), halo_i64(3)). In C, with no arguments
 * at all: halo_call_start(&future, &lookup, NULL, 0), then halo_wait.
 */
#ifdef __cplusplus
#define halo_call(...) ::halo_call_with(__VA_ARGS__)
#else
#define halo_call(future, import, ...)                                               \
    ((void)halo_call_start(future, import, (const struct halo_value[]){__VA_ARGS__}, \
                           sizeof((const struct halo_value[]){__VA_ARGS__}) /        \
                               sizeof(struct halo_value)),                           \
     halo_wait(future))
#endif

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
struct halo_rows; /* halo/guest_rows.h */

/* A function that the host may call. Declare it by HALO_EXPORT alone. */
struct halo_export {
    const char *name;
    struct halo_signature signature;
    uint8_t rows; /* 1 where it is made for rows: halo/guest_rows.h */
    void (*function)(struct halo_call *call, const struct halo_value *args);
    uint32_t state_len; /* of an aggregate, whose end this is; else 0 and NULL */
    void (*end)(struct halo_rows *rows);
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
#define HALO__EXPORT(function_, name_, ...)                                       \
    static void function_(struct halo_call *call, const struct halo_value *args); \
    static const struct halo_export function_##_export                            \
        __attribute__((section("halo_exports"), HALO__LISTED)) = {                \
            name_, HALO_FN(__VA_ARGS__), 0, function_, 0, NULL};                  \
    static void function_(struct halo_call *call __attribute__((unused)),         \
                          const struct halo_value *args __attribute__((unused)))

/*
 * Answer the call. The value may be changed or freed afterwards: a short one, of up to some
 * 1000 bytes, is copied; a longer one the host takes from where it lies before this returns.
 * Returns 0; HALO_ETYPE where it is not of the signature's type, HALO_EINVAL where it is no sound
 * value, HALO_ESIZE where it is too long for any message: then the host gets that error instead.
 * HALO_ESTATE where the call was answered before.
 */
int halo_return(struct halo_call *call, struct halo_value value);

/*
 * Fail the call: the host gets HALO_ECALL with this code, above 0, and the first
 * HALO_ERROR_TEXT_MAX bytes of the text. Returns 0, HALO_EINVAL for another code, HALO_ESTATE where
 * the call was answered before.
 */
int halo_fail(struct halo_call *call, int32_t code, const char *text);

/*
 * Keep a call, in its function, to be answered after that has returned: by one halo_return_later or
 * halo_fail_later, anywhere but between halo_callable(true) and halo_callable(false). Arguments do
 * not last. It holds one of the buffers for calls meanwhile. NULL, and the call is to be answered
 * at once: there is no memory, the call was answered, its function is one for rows, or the
 * transport is stacks. A host that has nothing else to do than to wait for it is told
 * HALO_EDEADLOCK, and may call other functions.
 */
struct halo_call *halo_keep(struct halo_call *call);

/* As halo_return and halo_fail; `kept` is gone, but where the code is not above 0. */
int halo_return_later(struct halo_call *kept, struct halo_value value);
int halo_fail_later(struct halo_call *kept, int32_t code, const char *text);

/*
 * Serve calls of the host's until it says that there will be no more. Returns 0; HALO_ESTATE inside
 * of an exported function.
 */
int halo_serve(void);

/*
 * A program that computes answers when it next waits. One that is to answer before that says where
 * it may be called:
 *
 *     halo_callable(true);
 *     while (steps-- > 0)
 *         compute();
 *     halo_callable(false);
 *
 * Between the two, where the host has called, it is stopped at any instruction, as by a signal; the
 * exported function runs on a stack of its own, of HALO_CALLABLE_STACK bytes, and may do whatever
 * an exported function may; then the program goes on where it was, with all registers. What both
 * look at is to be atomic, or written and read as memory that changes by itself. The program itself
 * uses nothing of Halo's there, nor of a C library what a signal's handler could not use: the
 * runtime is never in the middle of something, then. A request of its own, a wait or a system call
 * there is a panic.
 *
 * It takes about 1 ms until the host looks. Calls that wait already are served in
 * halo_callable(true), on that stack, too. While a call is served so no other is; they are served
 * one after the other, as they came. Without halo_callable, and over stacks, a busy program answers
 * when it next looks. A program that has called this function once leaves once in a millisecond on
 * KVM from then on, where its host runs it on its own thread.
 */
void halo_callable(bool may);

#define HALO_CALLABLE_STACK 65536u

/* --- Memory ----------------------------------------------------------------------------------- */

/*
 * malloc and the others are the usual ones, from the heap. Results are aligned to 16 bytes. A
 * program may have its own instead; it then defines all four. A compiler may call the memory
 * functions by itself. C++ has declarations of its own for all of them.
 */
#ifndef __cplusplus
void *malloc(size_t len);
void *calloc(size_t count, size_t len);
void *realloc(void *memory, size_t len);
void free(void *memory);

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
void *memchr(const void *from, int byte, size_t len);
size_t strlen(const char *text);
#endif

#pragma GCC visibility pop

#ifdef __cplusplus
}

/* Start and wait, as halo_call says. Behind the values lies one more: there may be none of them. */
template <class... Values>
int halo_call_with(struct halo_future *future, struct halo_import *import, Values... values)
{
    const struct halo_value args[] = {values..., halo_void()};

    (void)halo_call_start(future, import, args, sizeof...(values));
    return halo_wait(future);
}
#endif

#endif
