/*
 * scribble: an honest guest, until its host has told it a seed. From then on, before it leaves, it
 * changes at random what lies in shared memory: descriptors, and the first bytes of what they name,
 * which are headers, envelopes, columns and answers. It is linked with --wrap=halo__doorbell.
 */
#include <halo/guest.h>
#include <halo/guest_rows.h>

#define HEAD 96u /* bytes of a buffer that are worth changing */
#define BYTES (256u << 10)

HALO_IMPORT(host_text, "host.text", HALO_STR, HALO_STR);
HALO_IMPORT(host_number, "host.number", HALO_I64, HALO_I64);
HALO_IMPORT(host_nested, "host.nested", HALO_I64, HALO_I64);

/* As the ring has it, for a hand that keeps no rules. */
struct descriptor {
    uint64_t addr;
    uint32_t len;
    uint16_t id, flags;
};

/* --- At random -------------------------------------------------------------------------------- */

static uint64_t state;
static uint32_t percent;

static uint32_t any(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

/* A number at an edge, or any. */
static uint32_t odd(void)
{
    static const uint32_t edges[] = {0,         1,          2,           7,           8,
                                     16,        0x7f,       0x80,        0xff,        0x7fff,
                                     0xffff,    0x10000,    0x1000000,   0x1000001,   0x4000000,
                                     0x4000001, 0x7fffffff, 0x80000000u, 0xfffffffeu, 0xffffffffu};

    return any() % 4 ? edges[any() % (sizeof(edges) / sizeof(edges[0]))] : any();
}

static void change_bytes(unsigned char *at, uint32_t len)
{
    const uint32_t value = odd();
    uint32_t offset = any() % len;

    if (any() % 2 && len >= sizeof(value)) {
        offset = offset / 4 * 4 + 4 <= len ? offset / 4 * 4 : 0;
        memcpy(at + offset, &value, sizeof(value));
    } else {
        at[offset] = any() % 2 ? (unsigned char)value : (unsigned char)(at[offset] + 1);
    }
}

/* --- Where ------------------------------------------------------------------------------------ */

static struct descriptor before[HALO_QUEUE_COUNT][HALO_QUEUE_SIZE_MAX]; /* when it left last */
static struct descriptor *fresh[256];                                   /* what is new since */
static uint32_t fresh_count;

static struct descriptor *ring_of(uint32_t queue)
{
    return (struct descriptor *)(uintptr_t)halo_boot_page()->queue[queue].desc;
}

static void look(void)
{
    fresh_count = 0;
    for (uint32_t q = 0; q < HALO_QUEUE_COUNT; q++) {
        const uint32_t size = halo_boot_page()->queue[q].size;

        for (uint32_t i = 0; i < size && fresh_count < sizeof(fresh) / sizeof(fresh[0]); i++) {
            if (memcmp(&before[q][i], &ring_of(q)[i], sizeof(before[q][i])) != 0)
                fresh[fresh_count++] = &ring_of(q)[i];
        }
        memcpy(before[q], ring_of(q), size * sizeof(before[q][0]));
    }
}

static void scribble(void)
{
    const struct halo_boot *boot = halo_boot_page();
    const uint32_t queue = any() % HALO_QUEUE_COUNT, kind = any() % 100;
    struct descriptor *desc = &ring_of(queue)[any() % boot->queue[queue].size];

    if (fresh_count > 0 && kind % 8)
        desc = fresh[any() % fresh_count];
    if (desc->len == 0 || desc->addr - boot->ram_base > boot->ram_len - HEAD)
        return;
    if (kind < 85)
        change_bytes((unsigned char *)(uintptr_t)desc->addr, desc->len < HEAD ? desc->len : HEAD);
    else if (kind < 92)
        desc->len = any() % 2 ? odd() : desc->len + any() % 17 - 8;
    else if (kind < 96)
        desc->addr = any() % 2 && fresh_count > 0 ? fresh[any() % fresh_count]->addr
                                                  : desc->addr + any() % 4096;
    else if (kind < 98)
        desc->flags = (uint16_t)(desc->flags ^ 1u << any() % 16);
    else
        desc->id = (uint16_t)odd();
}

void __real_halo__doorbell(uint64_t op, uint64_t a, uint64_t b);
void __wrap_halo__doorbell(uint64_t op, uint64_t a, uint64_t b);

void __wrap_halo__doorbell(uint64_t op, uint64_t a, uint64_t b)
{
    uint32_t count = state && any() % 100 < percent ? 1 + any() % 3 : 0;

    if (state)
        look();
    for (; count > 0; count--)
        scribble();
    __real_halo__doorbell(op, a, b);
}

HALO_EXPORT(seed, "seed", HALO_VOID, HALO_U32, HALO_U32)
{
    (void)call;
    state = args[0].u32 * 0x9e3779b97f4a7c15ull | 1;
    percent = args[1].u32;
}

/* --- What it is called for -------------------------------------------------------------------- */

HALO_EXPORT_ROWS(mul, "mul", HALO_F64, HALO_F64, HALO_F64)
{
    const double *x = rows->args[0].values, *y = rows->args[1].values;

    for (uint32_t i = 0; i < rows->count; i++)
        ((double *)rows->result)[i] = x[i] * y[i];
}

HALO_EXPORT(len, "len", HALO_I64, HALO_STR, HALO_I64)
{
    if (args[1].i64 % 7 == 3)
        halo_fail(call, (int32_t)(args[1].i64 % 100), "it is odd");
    else
        halo_return(call, halo_i64((int64_t)args[0].len + args[1].i64));
}

HALO_EXPORT(text, "text", HALO_STR, HALO_STR)
{
    halo_return(call, args[0]);
}

static char bytes[BYTES];

static int64_t ask(struct halo_import *import, struct halo_value value)
{
    struct halo_future future;
    int64_t got = 0;

    if (!halo_call_start(&future, import, &value, 1) && !halo_wait(&future))
        got = future.result.type == HALO_STR ? (int64_t)future.result.len : future.result.i64;
    halo_future_free(&future);
    return got;
}

/* Calls of its host's: one with a long text, whose answer is fetched, and one that calls back. */
HALO_EXPORT(ask_host, "ask", HALO_I64, HALO_U32)
{
    int64_t got;

    memset(bytes, 'x', args[0].u32 % BYTES);
    bytes[args[0].u32 % BYTES] = '\0';
    got = ask(&host_text, halo_str(bytes));
    got += ask(&host_number, halo_i64(got));
    halo_return(call, halo_i64(got + ask(&host_nested, halo_i64(got))));
}

HALO_EXPORT(move, "move", HALO_I64, HALO_U32)
{
    struct halo_future future;
    int64_t got = -1;

    if (!halo_stream_read_start(&future, HALO_STDIN, bytes, 1 + args[0].u32 % (BYTES - 1)) &&
        !halo_wait(&future))
        got = (int64_t)future.result.len;
    halo_future_free(&future);
    if (got > 0)
        (void)halo_write(HALO_STDOUT, bytes, (size_t)got);
    (void)halo_flush();
    halo_return(call, halo_i64(got));
}
