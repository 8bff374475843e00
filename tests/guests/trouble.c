/* trouble: a guest that misbehaves in the way its first argument names. For end-to-end tests. */
#include <halo/driver.h>
#include <halo/events.h>
#include <halo/guest.h>

struct mode {
    const char *name;
    void (*run)(void);
};

static bool same(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && memcmp(a, b, strlen(a)) == 0;
}

static void touch(uint64_t address)
{
    *(volatile unsigned char *)(uintptr_t)address = 1;
}

static void ring_doorbell(uint64_t op, uint64_t a, uint64_t b)
{
    ((void (*)(uint64_t, uint64_t, uint64_t))(uintptr_t)halo_boot_page()->doorbell)(op, a, b);
}

/* Hexadecimal digits. */
static uint64_t number(const char *at)
{
    uint64_t value = 0;

    for (; *at; at++)
        value = value << 4 | (uint64_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
    return value;
}

/* Traces. */

/* Records of this trace and of others, of any kind and time, in their places and in others. */
static void trace_lies(void)
{
    static struct halo_record records[HALO_RECORDS];
    const struct halo_boot *boot = halo_boot_page();
    uint64_t random = 1;

    for (uint32_t i = 0; i < HALO_RECORDS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        records[i] = (struct halo_record){.sequence = (uint64_t)boot->trace << 32 | (i + 1),
                                          .counter = random,
                                          .kind = (uint32_t)(random >> 33) % 80,
                                          .a = (uint32_t)(random >> 20),
                                          .b = random >> 7};
        if (i % 3 == 0)
            records[i].sequence += random >> 62 | (random >> 60) << 31;
    }
    ((struct halo_save *)(uintptr_t)boot->save)->trace = (uintptr_t)records;
}

/* "trace-at-" and an address in hexadecimal digits, where it says that its records are */
static void trace_at(const char *mode)
{
    ((struct halo_save *)(uintptr_t)halo_boot_page()->save)->trace = number(mode + 9);
}

/* Faults. */

static void null(void)
{
    touch(0);
}

static void unmapped(void)
{
    touch(0x7000000000ull);
}

/* "write-at-" and an address in hexadecimal digits */
static void write_at(const char *mode)
{
    touch(number(mode + 9));
}

static void write_code(void)
{
    touch((uintptr_t)&touch);
}

static void write_boot(void)
{
    touch((uintptr_t)halo_boot_page());
}

static void write_doorbell(void)
{
    touch(halo_boot_page()->doorbell);
}

static void run_data(void)
{
    static unsigned char code[] = {0xc3};

    ((void (*)(void))(uintptr_t)code)();
}

static void run_stack(void)
{
    unsigned char code[] = {0xc3};

    /* A call that the compiler does not see through. */
    __asm__ volatile("call *%0" : : "r"(code) : "memory");
}

static void overflow(void)
{
    __asm__ volatile("1: call 1b" : : : "memory");
}

/* It jumps over whatever lies within a few pages of the stack's end. */
static void large_frame(void)
{
    __asm__ volatile("sub $0x800000, %%rsp\n\tpush %%rax" : : : "memory");
}

static void divide(void)
{
    __asm__ volatile("xor %%ecx, %%ecx\n\tmov $1, %%eax\n\txor %%edx, %%edx\n\tdiv %%ecx"
                     :
                     :
                     : "eax", "ecx", "edx");
}

static void undefined(void)
{
    __asm__ volatile("ud2");
}

static void privileged(void)
{
    __asm__ volatile("mov %%cr3, %%rax" : : : "rax");
}

static void halt(void)
{
    __asm__ volatile("hlt");
}

static void system_call(void)
{
    long result = 39; /* getpid */

    __asm__ volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
}

/* uretprobe, which newer kernels let past every filter, and end who makes it. */
static void unfiltered_call(void)
{
    long result = 335;

    __asm__ volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
}

static void noncanonical(void)
{
    touch(0x8000000000000000ull);
}

static void port(void)
{
    __asm__ volatile("out %%al, $0x80" : : "a"(0));
}

static void forged_fault(void)
{
    __asm__ volatile("out %%al, $0xe0" : : "a"(0));
}

/* What the process backend's own fault handler would say. */
static void forged_report(void)
{
    ring_doorbell(0x101, 14, 0x1234);
}

/* The same by the handler's own instruction: the first `syscall` of the child's code. */
static void stolen_report(void)
{
    const unsigned char *at = (const unsigned char *)0x600000000000ull;

    while (at[0] != 0x0f || at[1] != 0x05)
        at++;
    __asm__ volatile("xor %%r10d, %%r10d\n\txor %%r8d, %%r8d\n\txor %%r9d, %%r9d\n\tjmp *%%rcx"
                     :
                     : "a"(0), "D"(0x101), "S"(14), "d"(0x1234), "c"(at));
}

/* Endless things. */

static void loop(void)
{
    for (;;)
        __asm__ volatile("pause");
}

static void kick_storm(void)
{
    for (;;)
        ring_doorbell(HALO_DOORBELL_KICK, 0, 0);
}

/* Bad use of the doorbell. */

static void panic(void)
{
    halo_panic("the \033[31mmoon\n is full");
}

static void panic_nowhere(void)
{
    ring_doorbell(HALO_DOORBELL_PANIC, 0xffffffffffffff00ull, 400);
}

static void wait_for_nothing(void)
{
    ring_doorbell(HALO_DOORBELL_WAIT, 0, 0);
    ring_doorbell(HALO_DOORBELL_WAIT, 0, 0);
}

static void unknown_doorbell(void)
{
    ring_doorbell(4711, 0, 0);
}

/* Bad descriptors, written straight into the ring: nothing of the runtime's is in flight yet. */

static void descriptor_of(enum halo_queue_index queue, uint32_t slot, uint64_t addr, uint32_t len,
                          uint16_t id, uint16_t flags)
{
    HALO_SHARED struct halo_desc *ring =
        halo_shm_share((void *)(uintptr_t)halo_boot_page()->queue[queue].desc);

    halo_shm_stage_addr(&ring[slot], addr);
    halo_shm_publish_meta(&ring[slot], halo_meta(len, id, flags | HALO_DESC_AVAIL));
}

static void descriptor(uint32_t slot, uint64_t addr, uint32_t len, uint16_t id, uint16_t flags)
{
    descriptor_of(HALO_QUEUE_G2H, slot, addr, len, id, flags);
}

static void kick(void)
{
    ring_doorbell(HALO_DOORBELL_KICK, HALO_QUEUE_G2H, 0);
}

static void bad_id(void)
{
    descriptor(0, halo_boot_page()->pool_base, 16,
               (uint16_t)halo_boot_page()->queue[HALO_QUEUE_G2H].size, 0);
    kick();
}

static void indirect(void)
{
    descriptor(0, halo_boot_page()->pool_base, 16, 0, HALO_DESC_INDIRECT);
    kick();
}

static void endless_chain(void)
{
    for (uint32_t slot = halo_boot_page()->queue[HALO_QUEUE_G2H].size; slot-- > 0;)
        descriptor(slot, halo_boot_page()->pool_base, 16, 0, HALO_DESC_NEXT);
    kick();
}

static void far_buffer(void)
{
    descriptor(0, 0xfffffffffffffff8ull, 16, 0, 0);
    kick();
}

static void write_to_code(void)
{
    descriptor(1, (uintptr_t)&touch, 16, 0, HALO_DESC_WRITE);
    descriptor(0, halo_boot_page()->pool_base, 16, 0, HALO_DESC_NEXT);
    kick();
}

/* Where the file has what is read-only after relocation. */
static void write_to_relro(void)
{
    static int value;
    static int *const relocated __attribute__((section(".data.rel.ro"))) = &value;

    descriptor(1, (uintptr_t)&relocated, 8, 0, HALO_DESC_WRITE);
    descriptor(0, halo_boot_page()->pool_base, 16, 0, HALO_DESC_NEXT);
    kick();
}

static void buffer_over_ring(void)
{
    descriptor(0, halo_boot_page()->queue[HALO_QUEUE_G2H].desc, 16, 0, HALO_DESC_WRITE);
    kick();
}

/* Buffers for calls of this program's functions that are not what they say. */

static void post(uint64_t addr, uint32_t len)
{
    descriptor_of(HALO_QUEUE_H2G, 0, addr, len, 0, HALO_DESC_WRITE);
    kick();
}

static void post_far(void)
{
    post(halo_boot_page()->pool_base, UINT32_MAX);
}

/* One byte more than there is. */
static void post_too_long(void)
{
    const struct halo_boot *boot = halo_boot_page();

    post(boot->pool_base + boot->pool_len - 4096, 4097);
}

static void post_code(void)
{
    post((uintptr_t)&touch, 4096);
}

static void post_boot(void)
{
    post((uintptr_t)halo_boot_page(), 4096);
}

static void post_short(void)
{
    post(halo_boot_page()->pool_base, 255);
}

/* An answer, where its host has called nothing. */
static void answer_nobody(void)
{
    const struct halo_message answer = {.kind = HALO_KIND_ANSWER, .request = 77};

    memcpy((void *)(uintptr_t)halo_boot_page()->pool_base, &answer, sizeof(answer));
    descriptor_of(HALO_QUEUE_H2G, 0, halo_boot_page()->pool_base, sizeof(answer), 0, 0);
    ring_doorbell(HALO_DOORBELL_KICK, HALO_QUEUE_H2G, 0);
}

/* Bad messages in sound chains. */

static void message(uint8_t kind, uint32_t length, uint32_t handle, uint32_t readable,
                    uint32_t writable)
{
    struct {
        struct halo_message message;
        struct halo_stream_request stream;
    } request = {{.kind = kind, .length = length}, {.handle = handle}};

    memcpy((void *)(uintptr_t)halo_boot_page()->pool_base, &request, sizeof(request));
    if (writable)
        descriptor(1, halo_boot_page()->pool_base + 4096, writable, 0, HALO_DESC_WRITE);
    descriptor(0, halo_boot_page()->pool_base, readable, 0, writable ? HALO_DESC_NEXT : 0);
    kick();
}

static void short_message(void)
{
    message(HALO_KIND_STREAM_READ, 7, HALO_STDIN, 15, 64);
}

/* Two reads that wait, with one id. */
static void id_twice(void)
{
    const uint64_t pool = halo_boot_page()->pool_base;

    descriptor(3, pool + 8192, 64, 0, HALO_DESC_WRITE);
    descriptor(2, pool, 16, 0, HALO_DESC_NEXT);
    message(HALO_KIND_STREAM_READ, 8, HALO_STDIN, 16, 64);
}

static void no_room(void)
{
    message(HALO_KIND_STREAM_READ, 8, HALO_STDIN, 16, 0);
}

static void wrong_length(void)
{
    message(HALO_KIND_STREAM_READ, 9, HALO_STDIN, 16, 64);
}

static void unknown_kind(void)
{
    message(99, 8, HALO_STDIN, 16, 64);
}

/* Requests that the host refuses without taking offence. */

static void expect_error(uint32_t handle)
{
    struct halo_reader reader;
    const void *bytes;

    if (halo_reader_open(&reader, handle) < 0)
        halo_exit(10);
    if (halo_reader_next(&reader, &bytes) != HALO_EIO)
        halo_exit(11);
    halo_exit(reader.os_error == 9 /* EBADF */ ? 0 : 12);
}

static void bad_handle(void)
{
    expect_error(1000000);
}

/* It takes the end for nothing yet, and asks again. */
static void read_at_end(void)
{
    struct halo_future future;
    static char room[64];

    for (;;) {
        if (halo_stream_read_start(&future, HALO_STDIN, room, sizeof(room)) == 0)
            (void)halo_wait(&future);
        halo_future_free(&future);
    }
}

static void read_stdout(void)
{
    expect_error(HALO_STDOUT);
}

static void exit_7(void)
{
    halo_exit(7);
}

static const struct mode modes[] = {
    {"trace-lies", trace_lies},
    {"null", null},
    {"unmapped", unmapped},
    {"write-code", write_code},
    {"write-boot", write_boot},
    {"write-doorbell", write_doorbell},
    {"run-data", run_data},
    {"run-stack", run_stack},
    {"large-frame", large_frame},
    {"overflow", overflow},
    {"divide", divide},
    {"undefined", undefined},
    {"privileged", privileged},
    {"halt", halt},
    {"syscall", system_call},
    {"unfiltered-call", unfiltered_call},
    {"noncanonical", noncanonical},
    {"port", port},
    {"forged-fault", forged_fault},
    {"forged-report", forged_report},
    {"stolen-report", stolen_report},
    {"loop", loop},
    {"kick-storm", kick_storm},
    {"panic", panic},
    {"panic-nowhere", panic_nowhere},
    {"wait-for-nothing", wait_for_nothing},
    {"unknown-doorbell", unknown_doorbell},
    {"bad-id", bad_id},
    {"indirect", indirect},
    {"endless-chain", endless_chain},
    {"far-buffer", far_buffer},
    {"write-to-code", write_to_code},
    {"write-to-relro", write_to_relro},
    {"buffer-over-ring", buffer_over_ring},
    {"post-far", post_far},
    {"post-too-long", post_too_long},
    {"post-code", post_code},
    {"post-boot", post_boot},
    {"post-short", post_short},
    {"answer-nobody", answer_nobody},
    {"short-message", short_message},
    {"id-twice", id_twice},
    {"no-room", no_room},
    {"wrong-length", wrong_length},
    {"unknown-kind", unknown_kind},
    {"bad-handle", bad_handle},
    {"read-stdout", read_stdout},
    {"read-at-end", read_at_end},
    {"exit-7", exit_7},
};

int main(int argc, char **argv)
{
    if (argc > 1 && strlen(argv[1]) > 9 && memcmp(argv[1], "write-at-", 9) == 0)
        write_at(argv[1]);
    if (argc > 1 && strlen(argv[1]) > 9 && memcmp(argv[1], "trace-at-", 9) == 0) {
        trace_at(argv[1]);
        return 20;
    }
    for (unsigned i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (same(argv[1], modes[i].name)) {
            modes[i].run();
            return 20; /* it should not have come back */
        }
    }
    return 21;
}
