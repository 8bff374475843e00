/*
 * What a guest looks like inside: registers, calls, and all of one that does not run as a core file
 * for gdb; and what it logs. The number of the file's segments is the layout's, whatever
 * protections the guest has made of it; of memory only pages are read that there are.
 */
#define _GNU_SOURCE
#include "descriptor.h"
#include "sandbox.h"
#include "signals.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <unistd.h>

static int look(struct halo_sandbox *box, struct halo_processor *processor)
{
    *processor = (struct halo_processor){.known = HALO_PROCESSOR_NOTHING};
    if (!box->loop.state)
        return halo__fail(&box->words, HALO_ESTATE, "this sandbox was not opened");
    if (box->loop.runner.has_guest && box->run_depth > 0)
        return halo__fail(&box->words, HALO_ESTATE,
                          "the guest runs, on a thread of its own, beside this function of its "
                          "host's");
    (void)halo__settle(box); /* also where it ends meanwhile, there is something to look at */
    halo__loop_look(&box->loop, processor);
    return 0;
}

int halo_processor(struct halo_sandbox *box, struct halo_processor *processor)
{
    const int error = halo__box_enter(box);

    return error ? error : halo__box_leave(box, look(box, processor));
}

int halo_backtrace(struct halo_sandbox *box, struct halo_frame *frames, uint32_t max)
{
    struct halo_processor processor;
    int result = halo__box_enter(box);

    if (result)
        return result;
    result = look(box, &processor);
    if (!result)
        result = (int)halo__machine_backtrace(&box->machine, &processor, frames, max);
    return halo__box_leave(box, result);
}

/* --- Samples ---------------------------------------------------------------------------------- */

int halo_sample(struct halo_sandbox *box, int64_t interval_ns, halo_sampler *sampler, void *context)
{
    struct halo_loop *loop = &box->loop;
    int error = halo__box_enter(box);

    if (error)
        return error;
    if (sampler && interval_ns < HALO_SAMPLE_NS_MIN)
        error = halo__fail(&box->words, HALO_EINVAL,
                           "a sample every %lld ns: %d is the shortest interval",
                           (long long)interval_ns, HALO_SAMPLE_NS_MIN);
    else {
        loop->sampler = sampler;
        loop->sample_context = context;
        loop->sample_interval = interval_ns;
        box->machine.sample_ns = sampler ? interval_ns : 0; /* from the next run on */
        loop->sample_next = sampler ? halo__deadline(interval_ns) : 0;
    }
    return halo__box_leave(box, error);
}

/* --- The core file ---------------------------------------------------------------------------- */

#define NAME "CORE"

/* What a note says begins right behind its name, wherever that ends. */

struct note {
    Elf64_Nhdr header;
    char name[8];
};

/* All that comes before memory. */
struct head {
    Elf64_Ehdr header;
    Elf64_Phdr segments[1 + HALO_RANGE_MAX];
    struct {
        struct note note;
        unsigned char status[sizeof(prstatus_t)];
    } processor;
    struct {
        struct note note;
        unsigned char state[sizeof(struct user_fpregs_struct)];
    } vectors;
    struct {
        struct note note;
        unsigned char state[HALO_XSAVE_LEN];
    } all_vectors;
    struct {
        struct note note;
        unsigned char values[HALO_DEBUG_VALUES_LEN];
    } program;
    unsigned char unused[HALO_PAGE];
};

struct core {
    struct halo_sandbox *box;
    int fd;
    bool keeps_holes;
    struct halo_range ranges[HALO_RANGE_MAX]; /* in the order of their addresses */
    uint32_t range_count;
};

static const unsigned char zeroes[16 * HALO_PAGE];

static int put(const struct core *core, const void *bytes, size_t len)
{
    const char *why = halo__fd_write(core->fd, bytes, len);

    return why ? halo__fail(&core->box->words, HALO_EIO, "the core file cannot be written: %s", why)
               : 0;
}

/* Bytes that are zero: a hole where there can be one. What is written last is none. */
static int put_zeroes(const struct core *core, uint64_t len)
{
    int error = 0;

    if (core->keeps_holes && lseek(core->fd, (off_t)len, SEEK_CUR) >= 0)
        return 0;
    while (len > 0 && !error) {
        const size_t n = len < sizeof(zeroes) ? len : sizeof(zeroes);

        error = put(core, zeroes, n);
        len -= n;
    }
    return error;
}

static int put_range(const struct core *core, const struct halo_range *range)
{
    const struct halo_ram *ram = &core->box->machine.ram;
    const uint64_t end = (range->base + range->len - HALO_RAM_BASE) / HALO_PAGE;
    uint64_t page = (range->base - HALO_RAM_BASE) / HALO_PAGE;
    int error = 0;

    while (page < end && !error) {
        const uint64_t first = page;
        const bool is_there = ram->there[page / 64] >> page % 64 & 1;

        while (page < end && (ram->there[page / 64] >> page % 64 & 1) == is_there)
            page++;
        error = is_there ? put(core, halo_shm_expose(ram->host + first * HALO_PAGE),
                               (page - first) * HALO_PAGE)
                         : put_zeroes(core, (page - first) * HALO_PAGE);
    }
    return error;
}

/* Behind it only zeroes are read from the file that others have not written. */
static bool is_empty_file(int fd)
{
    const off_t at = lseek(fd, 0, SEEK_CUR);
    struct stat st;

    return at >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 && at == 0;
}

static uint32_t signal_of(const struct halo_loop *loop)
{
    return halo__debug_signal(loop->error, loop->has_fault ? loop->fault.vector : 14);
}

static void fill_status(struct halo_sandbox *box, const struct halo_processor *at,
                        unsigned char *bytes)
{
    const struct halo_machine *machine = &box->machine;
    prstatus_t status = {.pr_pid = 1, .pr_cursig = (short)signal_of(&box->loop)};
    struct halo_registers saved;
    struct user_regs_struct all = {
        .r15 = at->r15,
        .r14 = at->r14,
        .r13 = at->r13,
        .r12 = at->r12,
        .rbp = at->rbp,
        .rbx = at->rbx,
        .r11 = at->r11,
        .r10 = at->r10,
        .r9 = at->r9,
        .r8 = at->r8,
        .rax = at->rax,
        .rcx = at->rcx,
        .rdx = at->rdx,
        .rsi = at->rsi,
        .rdi = at->rdi,
        .orig_rax = UINT64_MAX, /* it is in no system call */
        .rip = at->rip,
        .cs = 0x33,
        .eflags = at->rflags,
        .rsp = at->rsp,
        .ss = 0x2b,
    };

    /* As the guest said last: for variables of its thread. */
    halo_shm_copy_in(&saved,
                     machine->ram.host + (machine->layout.save - HALO_RAM_BASE) +
                         offsetof(struct halo_save, registers),
                     sizeof(saved));
    all.fs_base = saved.fs_base;
    all.gs_base = saved.gs_base;
    _Static_assert(sizeof(all) == sizeof(status.pr_reg), "all registers");
    memcpy(&status.pr_reg, &all, sizeof(all));
    status.pr_info.si_signo = status.pr_cursig;
    memcpy(bytes, &status, sizeof(status));
}

#define XSAVE_SOFTWARE 464u /* of FXSAVE's part: which parts there are, for gdb */

/* Where nobody knows what these were, as they begin: gdb takes a guest's own note for them else. */
static void fill_vectors(struct halo_machine *machine, struct head *head)
{
    const uint64_t parts = 7; /* x87, xmm, the upper halves of ymm */
    struct halo_context context;

    if (!machine->backend->get(machine, &context) || !context.has_vectors)
        halo__context_no_vectors(&context);
    _Static_assert(sizeof(head->vectors.state) == HALO_XSAVE_HEADER, "FXSAVE's part");
    memcpy(head->vectors.state, context.xsave, HALO_XSAVE_HEADER);
    memset(head->vectors.state + XSAVE_SOFTWARE, 0, HALO_XSAVE_HEADER - XSAVE_SOFTWARE);
    memcpy(head->all_vectors.state, context.xsave, HALO_XSAVE_LEN);
    memset(head->all_vectors.state + XSAVE_SOFTWARE, 0, HALO_XSAVE_HEADER - XSAVE_SOFTWARE);
    memcpy(head->all_vectors.state + XSAVE_SOFTWARE, &parts, sizeof(parts));
}

static struct note make_note(uint32_t type, size_t len)
{
    return (struct note){{sizeof(NAME), (Elf64_Word)len, type}, NAME};
}

static void order_ranges(struct core *core)
{
    const struct halo_layout *layout = &core->box->machine.layout;

    for (uint32_t i = 0; i < layout->range_count; i++) {
        uint32_t at = core->range_count++;

        for (; at > 0 && core->ranges[at - 1].base > layout->ranges[i].base; at--)
            core->ranges[at] = core->ranges[at - 1];
        core->ranges[at] = layout->ranges[i];
    }
}

static uint64_t make_head(const struct core *core, struct head *head,
                          const struct halo_processor *at)
{
    const uint64_t notes = offsetof(struct head, processor);
    uint64_t offset =
        (sizeof(*head) - sizeof(head->unused) + HALO_PAGE - 1) / HALO_PAGE * HALO_PAGE;
    const uint64_t len = offset;

    memset(head, 0, sizeof(*head));
    head->header = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = offsetof(struct head, segments),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (Elf64_Half)(1 + core->range_count),
    };
    head->segments[0] = (Elf64_Phdr){
        .p_type = PT_NOTE,
        .p_offset = notes,
        .p_filesz = offsetof(struct head, unused) - notes,
        .p_align = 4,
    };
    for (uint32_t i = 0; i < core->range_count; i++) {
        const struct halo_range *range = &core->ranges[i];

        head->segments[1 + i] = (Elf64_Phdr){
            .p_type = PT_LOAD,
            .p_flags = (range->prot & HALO_PROT_READ ? PF_R : 0u) |
                       (range->prot & HALO_PROT_WRITE ? PF_W : 0u) |
                       (range->prot & HALO_PROT_EXEC ? PF_X : 0u),
            .p_offset = offset,
            .p_vaddr = range->base,
            .p_filesz = range->len,
            .p_memsz = range->len,
            .p_align = HALO_PAGE,
        };
        offset += range->len;
    }
    head->processor.note = make_note(NT_PRSTATUS, sizeof(head->processor.status));
    fill_status(core->box, at, head->processor.status);
    head->vectors.note = make_note(NT_FPREGSET, sizeof(head->vectors.state));
    head->all_vectors.note =
        (struct note){{sizeof("LINUX"), sizeof(head->all_vectors.state), NT_X86_XSTATE}, "LINUX"};
    fill_vectors(&core->box->machine, head);
    head->program.note = make_note(NT_AUXV, sizeof(head->program.values));
    /* Where a program lies that has no fixed place: gdb compares its entry with its file's. */
    halo__debug_values(&core->box->machine.layout, head->program.values);
    return len;
}

static int write_core(struct halo_sandbox *box, int fd)
{
    struct core core = {.box = box, .fd = fd, .keeps_holes = is_empty_file(fd)};
    struct halo_processor processor;
    struct head head;
    uint64_t len;
    int error = look(box, &processor);

    if (!error)
        error = halo__ram_look(&box->machine.ram);
    if (error)
        return error;
    order_ranges(&core);
    len = make_head(&core, &head, &processor);
    error = put(&core, &head, len);
    for (uint32_t i = 0; i < core.range_count && !error; i++)
        error = put_range(&core, &core.ranges[i]);
    return error;
}

int halo_core(struct halo_sandbox *box, int fd)
{
    struct halo_signals signals = {.are_blocked = false};
    int error = halo__box_enter(box);

    if (error)
        return error;
    /* Of a pipe that nobody reads, and of a limit of files. Inside of what runs the guest they are
     * borrowed until that is over: one that is to end the run must not be dropped here. */
    if (box->run_depth > 0) {
        halo__signals_borrow(&box->signals);
        return halo__box_leave(box, write_core(box, fd));
    }
    halo__signals_borrow(&signals);
    error = write_core(box, fd);
    halo__signals_return(&signals);
    return halo__box_leave(box, error);
}

/* --- A debugger ------------------------------------------------------------------------------- */

/* Where a guest that has not run is to be held first; 0: it has, or is from a snapshot. */
static uint64_t start_of(const struct halo_sandbox *box)
{
    const struct halo_layout *layout = &box->machine.layout;

    if (box->loop.state != HALO_STATE_READY || box->is_restored)
        return 0;
    return layout->is_linux ? layout->program.entry : layout->entry;
}

static int debug(struct halo_sandbox *box, int connection)
{
    int fd = -1;

    if (box->run_depth > 0)
        return halo__fail(&box->words, HALO_ESTATE,
                          "a debugger comes and goes between two functions that run the guest");
    if (box->loop.state != HALO_STATE_READY && box->loop.state != HALO_STATE_RUNNING)
        return halo__fail(&box->words, HALO_ESTATE, "this sandbox has no guest that could go on");
    if (connection >= 0) {
        fd = halo__fd_high(fcntl(connection, F_DUPFD_CLOEXEC, 0));
        if (fd < 0)
            return halo__fail(&box->words, HALO_EHOST, "cannot keep a debugger's socket: %s",
                              strerror(errno));
    }
    halo__debug_free(box->loop.debug);
    box->loop.debug = NULL;
    if (fd < 0)
        return 0;
    box->loop.debug = halo__debug_new(&box->machine, fd, start_of(box), box->is_restored);
    if (box->loop.debug)
        return 0;
    (void)close(fd);
    return halo__fail(&box->words, HALO_ENOMEM, "no memory for a debugger");
}

int halo_gdb(struct halo_sandbox *box, int connection)
{
    const int error = halo__box_enter(box);

    return error ? error : halo__box_leave(box, debug(box, connection));
}

/* --- The guest's log -------------------------------------------------------------------------- */

int halo_log(struct halo_sandbox *box, enum halo_log_level level, uint32_t lines_per_second,
             halo_logger *logger, void *context)
{
    int error = halo__box_enter(box);

    if (error)
        return error;
    if (level < HALO_LOG_ERROR || level > HALO_LOG_DEBUG)
        error = halo__fail(&box->words, HALO_EINVAL, "there is no level %d of a log", (int)level);
    else
        halo__log_listen(&box->log, level, lines_per_second, logger, context);
    return halo__box_leave(box, error);
}
