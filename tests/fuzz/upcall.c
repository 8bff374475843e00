/*
 * Any bytes as what a guest says of where it may be called while it computes, or led elsewhere, and
 * as the frame of the signal that has stopped it: a host that calls it, or leads it, leads it into
 * its own memory, and writes nothing but its two words, the tick's, and the one register of a frame
 * in the guest's stack for signals. What it does not do leaves memory as it was.
 */
#define _GNU_SOURCE
#include "../../src/host/machine/process.h"
#include "../../src/host/machine/process_child.h"
#include "../../src/host/upcall.h"
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())
#define LEN (HALO_PROGRAM_BASE - HALO_RAM_BASE + 8 * HALO_PAGE)
#define DATA (HALO_RAM_BASE + 2 * HALO_PAGE) /* that descriptors may name, 8 pages */
#define READ_ONLY (HALO_RAM_BASE + 10 * HALO_PAGE)
#define STACK (HALO_RAM_BASE + 16 * HALO_PAGE) /* for signals */
#define RIP_AT (offsetof(ucontext_t, uc_mcontext.gregs) + REG_RIP * sizeof(greg_t))

_Static_assert(STACK + HALO_ALTERNATE_LEN <= HALO_RAM_BASE + LEN, "it has room");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct halo_machine machine;
static struct process_state state;
static struct halo_port port;
static struct halo_loop loop;
static struct halo_region regions[2];
static unsigned char before[LEN], clean[LEN];
static const uint8_t *at;
static size_t left;

static uint64_t pick(unsigned len)
{
    uint64_t value = 0;

    for (; len > 0 && left > 0; len--, left--)
        value = value << 8 | *at++;
    return value;
}

/* A number that is near what would be right, or any. */
static uint64_t near_to(uint64_t value)
{
    const uint64_t how = pick(1);

    return how < 192 ? value : how < 224 ? value + pick(2) : how < 240 ? value - pick(1) : pick(8);
}

static const struct halo_backend backend = {.redirect = halo__process_redirect};

static void begin(void)
{
    static struct halo_words words;

    if (machine.ram.host)
        return;
    machine.words = &words;
    machine.backend = &backend;
    machine.state = &state;
    EXPECT(halo__ram_make(&machine.ram, &words, LEN) == 0);
    machine.layout.save = HALO_RAM_BASE;
    machine.layout.alternate = STACK;
    machine.layout.doorbell = HALO_RAM_BASE + LEN - HALO_PAGE;
    machine.layout.syscall_entry = DATA;
    regions[0] =
        (struct halo_region){DATA, 8 * HALO_PAGE, machine.ram.host + (DATA - HALO_RAM_BASE),
                             HALO_MAY_READ | HALO_MAY_WRITE};
    regions[1] = (struct halo_region){
        READ_ONLY, HALO_PAGE, machine.ram.host + (READ_ONLY - HALO_RAM_BASE), HALO_MAY_READ};
    port.memory = (struct halo_memory){regions, 2};
    port.ram = &machine.ram;
    loop.machine = &machine;
    loop.port = &port;
    loop.deadline = loop.quantum = HALO_FOREVER;
    memset(clean, 0x5a, LEN);
}

static void put(unsigned char *memory, uint64_t address, const void *from, size_t len)
{
    if (address >= HALO_RAM_BASE && address - HALO_RAM_BASE <= LEN - len)
        memcpy(memory + (address - HALO_RAM_BASE), from, len);
}

/* What the guest says, with places where it mostly is sound. Where its words are. */
static uint64_t write_down(unsigned char *memory)
{
    const uint64_t place = near_to(DATA + pick(1) * 8), frame = near_to(STACK + pick(2));
    const struct halo_upcall upcall = {
        .may = near_to(HALO_UPCALL_MAY), .from = pick(1), .entry = near_to(HALO_PROGRAM_BASE)};
    const struct halo_tick tick = {.entry = near_to(HALO_PROGRAM_BASE),
                                   .low = near_to(DATA),
                                   .high = near_to(DATA + HALO_PAGE),
                                   .rip = pick(1) % 4};
    const uint64_t rip = near_to(DATA + HALO_PAGE);

    put(memory, STACK, &frame, sizeof(frame));
    put(memory, frame + RIP_AT, &rip, sizeof(rip));
    put(memory, HALO_RAM_BASE + offsetof(struct halo_save, tick), &tick, sizeof(tick));
    put(memory, place, &upcall, sizeof(upcall));
    put(memory, HALO_RAM_BASE + offsetof(struct halo_save, upcall), &place, sizeof(place));
    state = (struct process_state){.owes_answer = pick(1) % 8 != 7};
    state.notified.data.nr = (int)near_to(CHILD_DOORBELL_SYSCALL);
    state.notified.data.args[0] = near_to(CHILD_DOORBELL_WHERE);
    state.notified.data.instruction_pointer = near_to(DATA);
    return place;
}

/* One of these bytes may have changed: as before, from now on. */
static void allow(const unsigned char *memory, uint64_t address, size_t len)
{
    memcpy(before + (address - HALO_RAM_BASE), memory + (address - HALO_RAM_BASE), len);
}

static uint64_t word_at(const unsigned char *memory, uint64_t address)
{
    uint64_t word;

    memcpy(&word, memory + (address - HALO_RAM_BASE), sizeof(word));
    return word;
}

/* Whether the frame's register is another now: then it is in the stack for signals. */
static bool was_led(const unsigned char *memory)
{
    const uint64_t frame = word_at(before, STACK);
    const uint64_t where = frame + RIP_AT;

    if (frame < STACK || frame - STACK > HALO_ALTERNATE_LEN - RIP_AT - sizeof(uint64_t))
        return false;
    if (word_at(memory, where) == word_at(before, where))
        return false;
    EXPECT(word_at(memory, where) >= HALO_RAM_BASE &&
           word_at(memory, where) - HALO_RAM_BASE < machine.ram.len);
    allow(memory, where, sizeof(uint64_t));
    return true;
}

/* It was called: its words lie where it may have written, and it goes on in its own memory. */
static void look(const unsigned char *memory, uint64_t place)
{
    EXPECT(place >= DATA && place - DATA <= 8 * HALO_PAGE - sizeof(struct halo_upcall));
    EXPECT(word_at(before, place) == HALO_UPCALL_MAY);
    EXPECT(word_at(memory, place) == HALO_UPCALL_IS);
    EXPECT(loop.upcall_seen == port.calls_out);
    allow(memory, place, offsetof(struct halo_upcall, entry));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    unsigned char *memory;
    uint64_t place;
    bool led;

    begin();
    at = data;
    left = len;
    memory = (unsigned char *)halo_shm_expose(machine.ram.host);
    memcpy(memory, clean, LEN);
    place = write_down(memory);
    memcpy(before, memory, LEN);
    port.calls_out = 2;
    port.host_failed = 0;
    loop.upcall_seen = loop.upcalls = 0;
    loop.upcall_at = 1; /* long ago */
    halo__upcall_look(&loop);
    EXPECT(loop.upcall_at == 0 && port.host_failed == 0);
    led = was_led(memory);
    if (loop.upcalls)
        look(memory, place);
    else
        EXPECT(!led);
    EXPECT(memcmp(before, memory, LEN) == 0);
    EXPECT(halo__upcall_goes_on(&loop) || !loop.upcalls);
    halo__process_tick(&machine);
    (void)was_led(memory);
    allow(memory,
          HALO_RAM_BASE + offsetof(struct halo_save, tick) + offsetof(struct halo_tick, rip),
          sizeof(uint64_t));
    EXPECT(memcmp(before, memory, LEN) == 0);
    return 0;
}
