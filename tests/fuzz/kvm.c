/*
 * The whole host, with a guest on a real KVM that runs an input as a program of bytes: writes to
 * rings and to any memory, kicks, waits and other doorbells, ports, faults, loops, jumps, messages
 * of every kind (tests/fuzz/guest/bytes.c). However it ends, it is one of the ends that there are,
 * its sandbox is restored, and the next guest in it does what it should.
 */
#include <halo/snapshot.h>
#include "../../src/host/sandbox.h"
#include "guest/program.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())
#define RUN_NS 3000000ll

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What answers system calls comes with the library; processes are not for this. */
int halo__runtime_load(struct halo_machine *machine)
{
    (void)machine;
    return HALO_EGUEST;
}

const struct halo_backend halo__process = {.name = "none"};

static struct halo_sandbox *box;
static struct halo_snapshot *snapshot;
static unsigned char *program; /* in guest memory */
static char said[4096];

static void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    (void)halo_return(call, halo_i64((int64_t)(2 * (uint64_t)args[0].i64)));
}

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, halo_errmsg(box));
    abort();
}

/* What a sandbox has is in memory where nobody looks for pointers. */
static void finish(void)
{
    halo_close(box);
    halo_snapshot_free(snapshot);
}

static void begin(void)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    const struct halo_options options = {.backend = HALO_BACKEND_KVM, .ram_len = HALO_RAM_MIN};
    const uint64_t mark = PROGRAM_MARK;

    if (halo_open(&box, GUEST, &options) || halo_provide(box, "f", &type, twice, NULL) ||
        halo_snapshot(box, &snapshot))
        fail("no guest");
    (void)atexit(finish);
    for (uint64_t at = HALO_PROGRAM_BASE - HALO_RAM_BASE; !program; at += 8) {
        unsigned char *const there = (unsigned char *)halo_shm_expose(box->machine.ram.host) + at;

        EXPECT(at < HALO_RAM_MIN / 2);
        if (memcmp(there, &mark, sizeof(mark)) == 0)
            program = there + sizeof(mark);
    }
}

/* From the beginning, with this program. */
static int run(const uint8_t *bytes, size_t len, int64_t timeout_ns, int *code)
{
    if (halo_restore(box, snapshot) ||
        halo_attach(box, HALO_STDIN, halo_end_memory("some input", 10, NULL, 0)) ||
        halo_attach(box, HALO_STDOUT, halo_end_memory(NULL, 0, said, sizeof(said))))
        fail("it cannot be restored");
    memset(program, 0, PROGRAM_MAX);
    memcpy(program, bytes, len < PROGRAM_MAX ? len : PROGRAM_MAX);
    return halo_run(box, timeout_ns, code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static uint64_t count;
    int code = -1, error;

    if (!box)
        begin();
    error = run(data, len, RUN_NS, &code);
    switch (error) {
    case 0:
        EXPECT(code >= 0 && code <= 255);
        break;
    case HALO_EDEADLOCK:
    case HALO_ETIMEDOUT:
    case HALO_EIO:
        break;
    case HALO_EFAULT:
    case HALO_EPANIC:
    case HALO_EPOISONED:
        EXPECT(halo_errmsg(box)[0]);
        EXPECT((error == HALO_EPOISONED) == (halo_poison(box) != NULL));
        break;
    default:
        fail("it ended in a way that there is not");
    }
    if (++count % 8 == 0) {
        error = run((const uint8_t *)"", 0, HALO_FOREVER, &code);
        EXPECT(error == 0 && code == 42);
    }
    return 0;
}
