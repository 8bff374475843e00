/*
 * Where a guest is that has stopped, and by which calls it came there. All of it is the guest's:
 * its registers, its stack and its code. Each address is looked up in the layout before a byte of
 * it is read, each word is read once, and the way ends after so many steps: RES-13.
 *
 *     at        rip, and where it stands in no frame of its own yet, the word on top of the stack
 *     caller    by frame pointers, each above the last one
 *     guess     where these end too soon: words of the stack that are behind a call instruction
 */
#include "machine.h"

#define SCAN_WORDS 4096u /* of the stack that are looked at for guesses */
#define GUESS_MAX 16u

struct walk {
    struct halo_machine *machine;
    struct halo_frame *frames;
    uint32_t count, max;
    uint64_t stack; /* what lies below has been looked at */
    /* Of the page that was last asked for at another address than its own: both, or 0. */
    uint64_t page, memory;
};

/* Bytes of guest memory, all of which the guest may so use. */
static bool take(struct halo_machine *machine, uint64_t address, uint32_t prot, void *to,
                 size_t len)
{
    return address >= HALO_RAM_BASE && len <= UINT64_MAX - address &&
           (halo__layout_prot(machine, address) & prot) == prot &&
           (halo__layout_prot(machine, address + len - 1) & prot) == prot &&
           halo__ram_take(&machine->ram, address, to, len);
}

/* The stack of a thread may lie in memory at other addresses (paging.c). */
static bool take_word(struct walk *walk, uint64_t address, uint64_t *word)
{
    const uint64_t page = address / HALO_PAGE * HALO_PAGE;

    if (address >= HALO_PAGING_BASE && page != walk->page) {
        walk->page = page;
        walk->memory = halo__paging_find(walk->machine, page);
    }
    if (address >= HALO_PAGING_BASE && (!walk->memory || address % sizeof(*word)))
        return false;
    if (address >= HALO_PAGING_BASE)
        address = walk->memory + (address - page);
    return take(walk->machine, address, HALO_PROT_READ | HALO_PROT_WRITE, word, sizeof(*word));
}

/* Code of the guest's, behind one of the call instructions that compilers write. */
static bool is_behind_call(const struct walk *walk, uint64_t address)
{
    unsigned char code[7];

    if (!(halo__layout_prot(walk->machine, address) & HALO_PROT_EXEC) ||
        address - HALO_RAM_BASE < sizeof(code) ||
        !take(walk->machine, address - sizeof(code), HALO_PROT_EXEC, code, sizeof(code)))
        return false;
    if (code[2] == 0xe8) /* call, 32 bits of distance */
        return true;
    for (unsigned len = 2; len <= 7; len++) { /* call by a register or by memory */
        const unsigned char *at = code + sizeof(code) - len;

        if (at[0] == 0xff && (at[1] >> 3 & 7) == 2)
            return true;
    }
    return false;
}

static bool add(struct walk *walk, enum halo_frame_kind kind, uint64_t address, uint64_t stack)
{
    if (walk->count == walk->max)
        return false;
    walk->frames[walk->count++] = (struct halo_frame){kind, address, stack};
    return true;
}

/* The word at that place of the stack, where it is the address behind a call. */
static bool add_caller(struct walk *walk, enum halo_frame_kind kind, uint64_t place)
{
    uint64_t address;

    if (!take_word(walk, place, &address) || !is_behind_call(walk, address) ||
        !add(walk, kind, address, place))
        return false;
    walk->stack = place + sizeof(address);
    return true;
}

/*
 * Where the instruction at rip has no frame of its own, how far from rsp its caller's address is: a
 * jump to what is no code, the doorbell, the first instruction of a function or its last.
 */
static bool has_no_frame(const struct walk *walk, uint64_t rip, uint64_t *distance)
{
    const uint64_t doorbell = walk->machine->layout.doorbell;
    unsigned char code[4];

    *distance = 0;
    if (!(halo__layout_prot(walk->machine, rip) & HALO_PROT_EXEC) ||
        (rip >= doorbell && rip - doorbell < HALO_PAGE))
        return true;
    if (!take(walk->machine, rip, HALO_PROT_EXEC, code, sizeof(code)))
        return false;
    if (code[0] == 0x48 && code[1] == 0x89 && code[2] == 0xe5) { /* mov %rsp,%rbp */
        *distance = 8;
        return true;
    }
    return code[0] == 0x55 || code[0] == 0xc3 || /* push %rbp; ret */
           (code[0] == 0xf3 && code[1] == 0x0f && code[2] == 0x1e && code[3] == 0xfa); /* endbr64 */
}

/* By frame pointers: false where they end as those of a program do that has begun with 0. */
static bool follow_frames(struct walk *walk, uint64_t rbp)
{
    while (rbp != 0) {
        if (rbp % 8 || rbp < walk->stack || !add_caller(walk, HALO_FRAME_CALLER, rbp + 8) ||
            !take_word(walk, rbp, &rbp))
            return true;
    }
    return walk->count < 2;
}

static void guess(struct walk *walk)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < SCAN_WORDS && found < GUESS_MAX && walk->count < walk->max; i++) {
        const uint64_t place = (walk->stack + 7) / 8 * 8;

        if (add_caller(walk, HALO_FRAME_GUESS, place))
            found++;
        else
            walk->stack = place + 8;
    }
}

uint32_t halo__machine_backtrace(struct halo_machine *machine,
                                 const struct halo_processor *processor, struct halo_frame *frames,
                                 uint32_t max)
{
    const struct halo_words kept = *machine->words;
    struct walk walk = {
        .machine = machine,
        .frames = frames,
        .max = max < HALO_BACKTRACE_MAX ? max : HALO_BACKTRACE_MAX,
        .stack = processor->rsp,
    };
    uint64_t distance;

    if (processor->known == HALO_PROCESSOR_NOTHING ||
        !add(&walk, HALO_FRAME_AT, processor->rip, processor->rsp))
        return 0;
    if (has_no_frame(&walk, processor->rip, &distance))
        (void)add_caller(&walk, HALO_FRAME_CALLER, processor->rsp + distance);
    else /* a function that calls no other may have made none */
        (void)add_caller(&walk, HALO_FRAME_GUESS, processor->rsp);
    if (follow_frames(&walk, processor->rbp))
        guess(&walk);
    *machine->words = kept; /* the host's memory may have been short */
    return walk.count;
}

void halo__machine_look(struct halo_machine *machine, struct halo_processor *processor)
{
    const struct halo_words kept = *machine->words;

    *processor = (struct halo_processor){.known = HALO_PROCESSOR_NOTHING};
    if (machine->state)
        machine->backend->look(machine, processor);
    *machine->words = kept;
}
