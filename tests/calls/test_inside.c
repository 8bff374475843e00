/*
 * However a guest ends, its registers and the calls by which it came there can be read; and
 * whatever it has made of its stack, a back trace ends and names nothing but its code. On every
 * backend.
 */
#include "ways.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <halo/inside.h>
#include <halo/snapshot.h>
#include <signal.h>
#include <sys/procfs.h>
#include <sys/user.h>

#define SECONDS (1000000000ll)
#define FN(...) ((struct halo_signature)HALO_FN(__VA_ARGS__))
#define FRAMES 64
#define FUNCTION_LEN 1024 /* none of the guest's is longer */

enum function { HERE, MIDDLE, OUTER, DEEP, FUNCTIONS };

static struct halo_sandbox *box;
static uint64_t begins[FUNCTIONS];
static struct halo_frame frames[FRAMES];
static int count, looks;

static int function(const char *name, struct halo_signature signature)
{
    const int found = halo_lookup(box, name, &signature);

    if (found < 0)
        fail_msg("%s", halo_errmsg(box));
    return found;
}

/* The guest is inside of a call of the host's. */
static void look(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    looks++;
    count = halo_backtrace(halo_call_sandbox(call), frames, FRAMES);
}

static void open_guest(void **state)
{
    static const struct halo_signature look_type = HALO_FN(HALO_VOID);
    const struct halo_options options = way_options(state);

    if (halo_open(&box, TRACE, &options) || halo_provide(box, "look", &look_type, look, NULL) ||
        halo_serve_begin(box, 30 * SECONDS))
        fail_msg("%s", halo_errmsg(box));
    for (uint64_t i = 0; i < FUNCTIONS; i++) {
        struct halo_future future;

        assert_int_equal(halo_call(box, &future, function("where", FN(HALO_U64, HALO_U64)),
                                   30 * SECONDS, halo_u64(i)),
                         0);
        begins[i] = future.result.u64;
        assert_int_not_equal(begins[i], 0);
    }
}

static int no_box(void **state)
{
    (void)state;
    box = NULL;
    count = looks = 0;
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    halo_close(box);
    return 0;
}

/* Have it end in this way, and take the back trace. */
static void run_into(void **state, const char *way, int error)
{
    struct halo_future future;

    open_guest(state);
    assert_int_equal(halo_call(box, &future, function("end", FN(HALO_VOID, HALO_STR)),
                               error == HALO_ETIMEDOUT ? SECONDS / 5 : 30 * SECONDS, halo_str(way)),
                     error);
    if (!looks)
        count = halo_backtrace(box, frames, FRAMES);
    halo_future_free(&future);
    assert_in_range(count, 1, FRAMES);
}

/* Of the functions, this is the last that begins before it. */
static bool is_in(uint64_t address, enum function which)
{
    for (int i = 0; i < FUNCTIONS; i++) {
        if (begins[i] > begins[which] && begins[i] <= address)
            return false;
    }
    return address >= begins[which] && address - begins[which] < FUNCTION_LEN;
}

/* From a frame on: here, middle and outer, by frame pointers. */
static void expect_calls(int at)
{
    assert_true(at + 2 < count);
    for (int i = 0; i < 3; i++) {
        if (!is_in(frames[at + i].address, (enum function)i))
            fail_msg("frame %d is 0x%llx", at + i, (unsigned long long)frames[at + i].address);
        assert_int_equal(frames[at + i].kind, at + i == 0 ? HALO_FRAME_AT : HALO_FRAME_CALLER);
        assert_true(at + i == 0 || frames[at + i].stack >= frames[at + i - 1].stack + (at + i > 1));
    }
}

/* The first frame in `here`, behind what the guest's library has called. */
static int first_here(void)
{
    for (int i = 0; i < count; i++) {
        if (is_in(frames[i].address, HERE))
            return i;
    }
    return count;
}

/* All of them, to the guest's first function: none is missing, and none is guessed. */
static void expect_whole(void)
{
    for (int i = 1; i < count; i++)
        assert_int_equal(frames[i].kind, HALO_FRAME_CALLER);
}

static void a_fault_shows_the_calls_that_led_there(void **state)
{
    run_into(state, "fault", HALO_EFAULT);
    assert_true(frames[0].address == halo_fault(box)->rip);
    expect_calls(0);
    expect_whole();
}

static void a_time_limit_shows_where_the_guest_was(void **state)
{
    run_into(state, "loop", HALO_ETIMEDOUT);
    expect_calls(0);
    expect_whole();
}

static void a_panic_shows_who_gave_up(void **state)
{
    run_into(state, "panic", HALO_EPANIC);
    expect_calls(first_here());
    expect_whole();
}

static void a_broken_rule_shows_who_broke_it(void **state)
{
    run_into(state, "doorbell", HALO_EPOISONED);
    assert_int_equal(first_here(), 1); /* 0 is the doorbell's page */
    expect_calls(1);
    expect_whole();
}

/* And the sandbox goes on. */
static void a_function_of_the_host_s_sees_who_calls_it(void **state)
{
    run_into(state, "ask", 0);
    assert_int_equal(looks, 1);
    expect_calls(first_here());
    expect_whole();
}

static void a_jump_to_nowhere_shows_from_where(void **state)
{
    run_into(state, "nothing", HALO_EFAULT);
    assert_int_equal(frames[0].address, 0);
    expect_calls(1);
}

static void a_fault_shows_each_register(void **state)
{
    struct halo_processor at;

    run_into(state, "registers", HALO_EFAULT);
    assert_int_equal(halo_processor(box, &at), 0);
    assert_int_equal(at.known, HALO_PROCESSOR_ALL);
    assert_int_equal(at.rax, 0x101);
    assert_int_equal(at.rbx, 0x102);
    assert_int_equal(at.rcx, 0x103);
    assert_int_equal(at.rdx, 0x104);
    assert_int_equal(at.rsi, 0x105);
    assert_int_equal(at.rdi, 0x106);
    assert_int_equal(at.r8, 0x108);
    assert_int_equal(at.r9, 0x109);
    assert_int_equal(at.r10, 0x10a);
    assert_int_equal(at.r11, 0x10b);
    assert_int_equal(at.r12, 0x10c);
    assert_int_equal(at.r13, 0x10d);
    assert_int_equal(at.r14, 0x10e);
    assert_int_equal(at.r15, 0x10f);
    assert_true(at.rip == halo_fault(box)->rip && at.rsp == halo_fault(box)->rsp);
    assert_true(at.rbp >= at.rsp && at.rbp < at.rsp + 4096);
    assert_true(at.rflags & 2); /* which is always set */
}

static void res_13_frame_pointers_that_lead_anywhere_end(void **state)
{
    static const char *const ways[] = {"short", "circle", "header"};

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        bool is_guessed = false;

        run_into(state, ways[i], HALO_EFAULT);
        assert_true(is_in(frames[0].address, HERE));
        for (int k = 1; k < count; k++)
            is_guessed |= is_in(frames[k].address, OUTER) && frames[k].kind == HALO_FRAME_GUESS;
        assert_true(is_guessed); /* the stack is as good as it was */
        for (int k = 2; k < count; k++)
            assert_true(frames[k].stack > frames[k - 1].stack);
        halo_close(box);
        box = NULL;
    }
}

static void res_13_no_more_frames_than_asked_for(void **state)
{
    struct halo_frame many[HALO_BACKTRACE_MAX + 1];
    struct halo_future future;

    open_guest(state);
    many[HALO_BACKTRACE_MAX].address = 0x4711;
    assert_int_equal(halo_call(box, &future, function("deep", FN(HALO_VOID, HALO_U64)),
                               30 * SECONDS, halo_u64(2000)),
                     HALO_EFAULT);
    assert_int_equal(halo_backtrace(box, many, HALO_BACKTRACE_MAX + 1), HALO_BACKTRACE_MAX);
    assert_int_equal(many[HALO_BACKTRACE_MAX].address, 0x4711);
    for (uint32_t i = 0; i < HALO_BACKTRACE_MAX; i++)
        assert_true(is_in(many[i].address, DEEP));
    assert_int_equal(halo_backtrace(box, many, 3), 3);
    assert_int_equal(halo_backtrace(box, NULL, 0), 0);
    halo_future_free(&future);
}

/* A file that nobody else sees. */
static int make_file(void)
{
    char name[] = "/tmp/backtrace-XXXXXX";
    const int fd = mkstemp(name);

    assert_true(fd >= 0);
    unlink(name);
    return fd;
}

/* What a core file has of guest memory, by its segments. */
static void read_core(int fd, uint64_t address, void *to, size_t len)
{
    Elf64_Ehdr header;

    assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
    assert_int_equal(header.e_type, ET_CORE);
    for (int i = 1; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        const off_t at = (off_t)(header.e_phoff + (uint64_t)i * sizeof(segment));

        assert_int_equal(pread(fd, &segment, sizeof(segment), at), sizeof(segment));
        assert_int_equal(segment.p_type, PT_LOAD);
        if (address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz)
            continue;
        assert_int_equal(
            pread(fd, to, len, (off_t)(segment.p_offset + (address - segment.p_vaddr))), len);
        return;
    }
    fail_msg("0x%llx is in no segment", (unsigned long long)address);
}

static void expect_core(int fd, int signal)
{
    struct user_regs_struct registers;
    struct halo_processor at;
    prstatus_t status;
    Elf64_Phdr notes;
    uint64_t word;

    assert_int_equal(pread(fd, &notes, sizeof(notes), sizeof(Elf64_Ehdr)), sizeof(notes));
    assert_int_equal(notes.p_type, PT_NOTE);
    assert_int_equal(pread(fd, &status, sizeof(status), (off_t)notes.p_offset + 20),
                     sizeof(status)); /* behind the first note's name */
    assert_int_equal(status.pr_cursig, signal);
    memcpy(&registers, &status.pr_reg, sizeof(registers));
    assert_int_equal(halo_processor(box, &at), 0);
    assert_true(registers.rip == at.rip && registers.rsp == at.rsp && registers.rbp == at.rbp);
    assert_true(registers.rbx == at.rbx && registers.rdi == at.rdi && registers.r15 == at.r15);
    /* The stack of the core has the addresses that the back trace found there. */
    for (int i = 1; i < count; i++) {
        read_core(fd, frames[i].stack, &word, sizeof(word));
        assert_true(word == frames[i].address);
    }
}

static void a_core_file_has_registers_and_memory(void **state)
{
    static const struct {
        const char *way;
        int error, signal;
    } ends[] = {{"fault", HALO_EFAULT, SIGSEGV},
                {"registers", HALO_EFAULT, SIGILL},
                {"panic", HALO_EPANIC, SIGABRT},
                {"doorbell", HALO_EPOISONED, SIGSYS},
                {"loop", HALO_ETIMEDOUT, 0}};

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        const int fd = make_file();

        run_into(state, ends[i].way, ends[i].error);
        assert_int_equal(halo_core(box, fd), 0);
        expect_core(fd, ends[i].signal);
        close(fd);
        halo_close(box);
        box = NULL;
    }
}

/* Where there is something, no hole is left: bytes of others must not be taken for the guest's. */
static void a_core_file_behind_other_bytes_has_all_zeroes(void **state)
{
    const int fd = make_file(), other = make_file();
    static char ones[65536], read_back[65536];
    off_t len;

    memset(ones, 1, sizeof(ones));
    for (int i = 0; i < 512; i++)
        assert_int_equal(write(fd, ones, sizeof(ones)), sizeof(ones));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    run_into(state, "fault", HALO_EFAULT);
    assert_int_equal(halo_core(box, fd), 0);
    assert_int_equal(halo_core(box, other), 0);
    len = lseek(other, 0, SEEK_CUR);
    assert_true(len > 1 << 20 && len == lseek(fd, 0, SEEK_CUR));
    for (off_t at = 0; at < len; at += (off_t)sizeof(ones)) {
        const ssize_t n = pread(fd, ones, sizeof(ones), at);

        assert_true(n >= 0);
        if (n > len - at)
            memset(ones + (len - at), 0, sizeof(ones) - (size_t)(len - at));
        memset(read_back, 0, sizeof(read_back));
        assert_true(pread(other, read_back, sizeof(read_back), at) > 0);
        assert_memory_equal(ones, read_back, sizeof(ones));
    }
    close(fd);
    close(other);
}

static void a_core_file_that_cannot_be_written_is_an_error(void **state)
{
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int ends[2];

    run_into(state, "fault", HALO_EFAULT);
    assert_int_equal(halo_core(box, full), HALO_EIO);
    assert_non_null(strstr(halo_errmsg(box), strerror(ENOSPC)));
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(halo_core(box, ends[1]), HALO_EIO); /* and no signal has come */
    assert_non_null(strstr(halo_errmsg(box), strerror(EPIPE)));
    assert_int_equal(halo_core(box, -1), HALO_EIO);
    close(ends[1]);
    close(full);
}

static void expect_nothing(void)
{
    struct halo_processor processor;

    assert_int_equal(halo_processor(box, &processor), 0);
    assert_int_equal(processor.known, HALO_PROCESSOR_NOTHING);
    assert_int_equal(processor.rip | processor.rsp | processor.rdi, 0);
    assert_int_equal(halo_backtrace(box, frames, FRAMES), 0);
}

/* What the machine has is nobody's, or that of the guest before. */
static void one_that_has_yet_to_run_has_no_registers(void **state)
{
    const struct halo_options options = way_options(state);
    struct halo_processor processor;
    struct halo_snapshot *snapshot;

    if (halo_open(&box, TRACE, &options))
        fail_msg("%s", halo_errmsg(box));
    expect_nothing();
    halo_close(box);
    open_guest(state);
    assert_int_equal(halo_snapshot(box, &snapshot), 0);
    assert_int_equal(halo_processor(box, &processor), 0);
    assert_int_not_equal(processor.known, HALO_PROCESSOR_NOTHING);
    assert_int_equal(halo_restore(box, snapshot), 0);
    expect_nothing();
    function("where", FN(HALO_U64, HALO_U64));
    halo_snapshot_free(snapshot);
}

static void one_that_was_never_opened_has_none(void **state)
{
    struct halo_processor at;

    (void)state;
    assert_true(halo_open(&box, "/dev/null", NULL) < 0);
    assert_int_equal(halo_backtrace(box, frames, FRAMES), HALO_ESTATE);
    assert_int_equal(halo_processor(box, &at), HALO_ESTATE);
    assert_int_equal(halo_core(box, STDERR_FILENO), HALO_ESTATE);
    assert_int_equal(at.known, HALO_PROCESSOR_NOTHING);
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(a_fault_shows_the_calls_that_led_there),
        TEST(a_time_limit_shows_where_the_guest_was),
        TEST(a_panic_shows_who_gave_up),
        TEST(a_broken_rule_shows_who_broke_it),
        WAY_TEST(a_function_of_the_host_s_sees_who_calls_it, WAY_THREADED),
        TEST(a_jump_to_nowhere_shows_from_where),
        TEST(a_fault_shows_each_register),
        TEST(res_13_frame_pointers_that_lead_anywhere_end),
        TEST(res_13_no_more_frames_than_asked_for),
        TEST(a_core_file_has_registers_and_memory),
        TEST(a_core_file_behind_other_bytes_has_all_zeroes),
        TEST(a_core_file_that_cannot_be_written_is_an_error),
        TEST(one_that_has_yet_to_run_has_no_registers),
        TEST(one_that_was_never_opened_has_none),
    };

    return run_every_way("inside", tests, sizeof(tests) / sizeof(tests[0]), no_box, close_box);
}
