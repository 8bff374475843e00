/*
 * libhalo: run an untrusted guest program in a sandbox and serve its requests.
 *
 *     struct halo_sandbox *box;
 *     int error, code;
 *
 *     error = halo_open(&box, "plugin.halo", NULL);
 *     if (!error)
 *         error = halo_attach(box, HALO_STDOUT, STDOUT_FILENO);
 *     if (!error)
 *         error = halo_run(box, HALO_FOREVER, &code);
 *     if (error)
 *         fprintf(stderr, "%s\n", halo_errmsg(box));
 *     halo_close(box);
 *
 * A sandbox is a micro-VM without a kernel of its own (backend "kvm") or a confined process
 * (backend "process"); the same guest file runs on both. Sandboxes share nothing. Each is used by
 * one thread at a time and may be handed from thread to thread. No function prints, exits or
 * installs a signal handler; halo_run blocks SIGURG and SIGPIPE for its own thread while it runs.
 */
#ifndef HALO_HALO_H
#define HALO_HALO_H

#include <halo/abi.h>
#include <halo/error.h>
#include <halo/value.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct halo_sandbox;

enum halo_backend_choice {
    HALO_BACKEND_AUTO = 0, /* kvm where /dev/kvm can be opened, else process */
    HALO_BACKEND_KVM,
    HALO_BACKEND_PROCESS,
};

#define HALO_RAM_DEFAULT (16ull << 20)
#define HALO_RAM_MIN (4ull << 20)
#define HALO_RAM_MAX (1024ull << 20)

/* Longest argument strings, all together, with their zero bytes. */
#define HALO_ARGS_MAX 65536u

/* How to open a sandbox. All zero is the default. Nothing of it is kept after halo_open. */
struct halo_options {
    enum halo_backend_choice backend;
    uint64_t ram_len;        /* bytes of guest memory, all included: 0, or MIN to MAX by pages */
    const char *const *args; /* the guest's argv, the program's name first */
    uint32_t arg_count;
    bool plain_ring; /* without extensions: the bytes on the ring are plain virtio */
};

/*
 * Load the guest file `path` and create a sandbox for it; nothing of the guest runs yet.
 *
 * Returns 0, or
 *   HALO_EFILE   the file cannot be opened or read, or is not a regular file
 *   HALO_EGUEST  it is not a guest that Halo accepts
 *   HALO_ENOKVM  HALO_BACKEND_KVM was asked for and /dev/kvm cannot be used
 *   HALO_EHOST   the operating system refused something else
 *   HALO_EINVAL, HALO_ENOMEM
 * Except for HALO_ENOMEM, *box is set in any case: after an error it can only be asked for
 * halo_errmsg and closed.
 */
int halo_open(struct halo_sandbox **box, const char *path, const struct halo_options *options);

/* Free everything; kills the guest. NULL and half-opened sandboxes are fine. */
void halo_close(struct halo_sandbox *box);

/*
 * Give the guest an end point for one of its standard streams: a file, pipe, socket or terminal.
 * The guest reads from HALO_STDIN and writes to the others; a stream without an end point answers
 * EBADF. The descriptor stays the caller's: it is neither closed nor are its flags changed, and it
 * must stay open until halo_close. Returns 0, HALO_EINVAL for a bad handle or descriptor.
 */
int halo_attach(struct halo_sandbox *box, uint32_t handle, int fd);

/* --- Functions for the guest ------------------------------------------------------------------ */

/* A call of the guest's, while it is being served. */
struct halo_call;

/*
 * A function that the guest may call, on the thread that runs it. `args` are as the signature says,
 * private copies that last until it returns: the guest can no longer change them. It ends with one
 * halo_return or halo_fail; where there is no result, neither is needed. It must not run, close or
 * provide for the same sandbox, and is not interrupted at the time limit.
 */
typedef void halo_function(struct halo_call *call, const struct halo_value *args, void *context);

/*
 * Let the guest call `function` as `name`, of 1 to HALO_FUNCTION_NAME_MAX bytes. Before halo_run.
 *
 *     static const struct halo_signature lookup_type = HALO_FN(HALO_I64, HALO_STR);
 *     halo_provide(box, "host.lookup", &lookup_type, lookup, table);
 *
 * Name and signature are copied; `context` comes back with each call. Returns 0, or HALO_EINVAL for
 * a name or signature that breaks its rules, or a name that is taken; HALO_EFULL for more than
 * HALO_FUNCTIONS_MAX; HALO_ESTATE after halo_run; HALO_ENOMEM.
 */
int halo_provide(struct halo_sandbox *box, const char *name, const struct halo_signature *signature,
                 halo_function *function, void *context);

/*
 * Answer the call. The value is copied at once. Returns 0; HALO_ETYPE where it is not of the
 * signature's type, HALO_EINVAL where it is no sound value, HALO_ESIZE where the guest has no room
 * for it: then the guest gets that error instead. HALO_ESTATE where the call was answered before.
 */
int halo_return(struct halo_call *call, struct halo_value value);

/*
 * Fail the call: the guest gets HALO_ECALL with this code, above 0, and the first
 * HALO_ERROR_TEXT_MAX bytes of the text. Returns 0, HALO_EINVAL for another code, HALO_ESTATE where
 * the call was answered before.
 */
int halo_fail(struct halo_call *call, int32_t code, const char *text);

/* The sandbox that the call came from. */
struct halo_sandbox *halo_call_sandbox(struct halo_call *call);

#define HALO_FOREVER INT64_MAX

/*
 * Run the guest's main program on the calling thread until it ends, for at most `timeout_ns`
 * nanoseconds. A program runs once.
 *
 * Returns 0 and the guest's exit code (0 to 255), or
 *   HALO_ETIMEDOUT  it did not end in time
 *   HALO_EFAULT     it faulted; halo_fault tells how
 *   HALO_EPANIC     it gave up; halo_errmsg holds its message
 *   HALO_EPOISONED  it broke the protocol; halo_errmsg tells which rule
 *   HALO_ESTATE     it has run before, or was never opened
 *   HALO_EHOST      the operating system refused something
 * After an error the guest never runs again.
 */
int halo_run(struct halo_sandbox *box, int64_t timeout_ns, int *exit_code);

/* A fault of the guest, as the processor reported it. */
struct halo_fault {
    uint32_t vector;   /* 0 divide error, 6 invalid opcode, 13 protection, 14 page fault, … */
    uint32_t error;    /* the processor's error code, 0 where there is none */
    uint64_t address;  /* page fault: the address that was touched */
    uint64_t rip, rsp; /* where the guest was */
};

/* The fault that ended the guest, or NULL. Valid until halo_close. */
const struct halo_fault *halo_fault(const struct halo_sandbox *box);

/* "page fault", "invalid opcode"; never NULL; static storage; any thread. */
const char *halo_fault_name(uint32_t vector);

/* What the last error was, in words, with the numbers that belong to it; "" before any. */
const char *halo_errmsg(const struct halo_sandbox *box);

/* "kvm" or "process"; "none" where opening failed before one was chosen. */
const char *halo_backend_name(const struct halo_sandbox *box);

/*
 * Why the automatic choice fell on the process backend although /dev/kvm exists, as a sentence
 * that says what to do; NULL where there is nothing to say.
 */
const char *halo_backend_note(const struct halo_sandbox *box);

struct halo_stats {
    uint64_t requests; /* chains taken from the guest */
    uint64_t exits;    /* times the guest was left, for whatever reason */
    uint64_t kicks, waits;
    uint64_t calls;      /* of the host's functions */
    uint64_t bytes_in;   /* bytes that the guest read from its streams */
    uint64_t bytes_out;  /* bytes that it wrote to them */
    uint64_t elapsed_ns; /* inside halo_run */
};

/* Counters since halo_open. Any state. */
void halo_stats(const struct halo_sandbox *box, struct halo_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
