/*
 * What a guest may cost its host: group COST, on every backend. Where memory lacks, fallocate is
 * the test's own, or guest memory lies in a file system that is full.
 */
#define _GNU_SOURCE
#include "ways.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MIB (1u << 20)
#define NONE 77 /* exit code: what is to be tried is not to be had here */

static struct halo_sandbox *box;
static uint32_t taken;
static bool no_memory;

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    if (no_memory) {
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

static int small = -1; /* a file system for guest memory */

int memfd_create(const char *name, unsigned flags)
{
    return small < 0 || strcmp(name, "halo-ram") != 0
               ? (int)syscall(SYS_memfd_create, name, flags)
               : openat(small, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* A file there cannot be sealed. */
int fcntl(int fd, int command, ...)
{
    va_list arguments;
    long argument;

    va_start(arguments, command);
    argument = va_arg(arguments, long);
    va_end(arguments);
    if (small >= 0 && command == F_ADD_SEALS)
        return 0;
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

static void take(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call;
    (void)args;
    (void)context;
    taken++;
}

static void open_guest(void **state, struct halo_options options)
{
    static const struct halo_signature type = HALO_FN(HALO_VOID, HALO_BYTES);
    const struct halo_options way = way_options(state);

    options.backend = way.backend;
    options.plain_ring = way.plain_ring;
    options.transport = way.transport;
    options.ram_len = 64ull << 20;
    taken = 0;
    if (halo_open(&box, COSTS, &options))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(halo_provide(box, "host.take", &type, take, NULL), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
}

static int close_guest(void **state)
{
    (void)state;
    no_memory = false;
    halo_close(box);
    box = NULL;
    return 0;
}

static int answer(struct halo_future *future, uint32_t len)
{
    static const struct halo_signature type = HALO_FN(HALO_BYTES, HALO_U32);

    return halo_call(box, future, halo_lookup(box, "answer", &type), HALO_FOREVER, halo_u32(len));
}

/* How many of so many answers, all of the same bytes of the guest's, the host takes. */
static uint32_t take_answers(struct halo_future *futures, uint32_t count, uint32_t len)
{
    uint32_t good = 0;

    for (uint32_t i = 0; i < count; i++) {
        const int error = answer(&futures[i], len);

        if (error && error != HALO_ENOMEM)
            fail_msg("%s: %s", halo_errname(error), halo_errmsg(box));
        if (error)
            assert_non_null(strstr(halo_errmsg(box), "held_max"));
        good += error == 0;
    }
    return good;
}

/* Of this process, in MiB. */
static long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long all = 0, pages = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &all, &pages), 2);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE) / MIB;
}

/* What is held, the guest's own 16 MiB, and room for what the allocator keeps; not 2400 MiB. */
static void cost_01_answers_that_are_held_are_bounded(void **state)
{
    static struct halo_future futures[150];
    const long before = resident();

    open_guest(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    assert_int_equal(take_answers(futures, 150, 16 * MIB - 4096), 4);
    assert_in_range(resident() - before, 64, 64 + 16 + 40);
    for (int i = 0; i < 150; i++)
        halo_future_free(&futures[i]);
    assert_int_equal(take_answers(futures, 5, 16 * MIB - 4096), 4); /* there is room again */
    close_guest(state);
    for (int i = 0; i < 5; i++)
        halo_future_free(&futures[i]); /* they outlive their sandbox */
}

static void cost_01_the_bound_is_the_hosts_choice(void **state)
{
    static struct halo_future futures[10];

    open_guest(state, (struct halo_options){.held_max = 4 * MIB});
    assert_int_equal(take_answers(futures, 10, MIB - 100), 4);
    for (int i = 0; i < 10; i++)
        halo_future_free(&futures[i]);
    assert_int_equal(answer(&futures[0], 4 * MIB), HALO_ENOMEM);
    halo_future_free(&futures[0]);
}

static int run_calls(uint32_t count, uint32_t len, struct halo_future *future)
{
    static const struct halo_signature type = HALO_FN(HALO_U32, HALO_U32, HALO_U32);

    return halo_call(box, future, halo_lookup(box, "calls", &type), HALO_FOREVER, halo_u32(count),
                     halo_u32(len));
}

static uint32_t served_of(uint32_t count, uint32_t len)
{
    struct halo_future future;

    if (run_calls(count, len, &future))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(future.result.u32, taken);
    return future.result.u32;
}

/* 85 calls of 16 MiB go out together: the host copies what one exit may cost, and no more. */
static void cost_02_what_one_exit_copies_is_bounded(void **state)
{
    open_guest(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    assert_int_equal(served_of(85, 16 * MIB - 4096), 16);
    taken = 0;
    assert_int_equal(served_of(10, 1000), 10); /* the guest, and its host, go on */
    close_guest(state);
    open_guest(state, (struct halo_options){.exit_max = 10 * MIB});
    assert_int_equal(served_of(85, MIB - 100), 10);
}

static void cost_01_arguments_are_held_while_they_are_served(void **state)
{
    open_guest(state, (struct halo_options){.held_max = MIB});
    assert_int_equal(served_of(3, 2 * MIB), 0);
    assert_int_equal(served_of(3, MIB / 2), 3);
}

static void cost_03_memory_that_is_not_there_is_an_error(void **state)
{
    struct halo_options options = way_options(state);

    no_memory = true;
    assert_int_equal(halo_open(&box, COSTS, &options), HALO_ENOMEM);
    assert_non_null(strstr(halo_errmsg(box), "there is no memory for"));
    assert_non_null(strstr(halo_errmsg(box), "Cannot allocate memory"));
}

/* What the guest names, and never touched, is asked for before the host touches it. */
static void cost_03_memory_that_lacks_later_is_an_error(void **state)
{
    struct halo_future future;

    open_guest(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    assert_int_equal(answer(&future, 100), 0); /* its buffers are there */
    no_memory = true;
    assert_int_equal(answer(&future, 1 * MIB), HALO_ENOMEM);
    assert_non_null(strstr(halo_errmsg(box), "there is no memory for"));
    halo_future_free(&future);
    close_guest(state);
    open_guest(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    no_memory = true;
    assert_int_equal(run_calls(1, 1 * MIB, &future), HALO_ENOMEM);
    assert_int_equal(taken, 0);
    assert_non_null(strstr(halo_errmsg(box), "there is no memory for"));
}

static int64_t read_zeros(void *context, void *to, size_t max)
{
    (void)context;
    memset(to, 0, max);
    return (int64_t)max;
}

static int64_t write_nowhere(void *context, const void *from, size_t len)
{
    (void)context;
    (void)from;
    return (int64_t)len;
}

static int move(uint32_t len, bool out, struct halo_future *future)
{
    static const struct halo_signature type = HALO_FN(HALO_U32, HALO_U32, HALO_BOOL);

    return halo_call(box, future, halo_lookup(box, "move", &type), HALO_FOREVER, halo_u32(len),
                     halo_bool(out));
}

/* Streams as well: those that the host itself moves, of a request that is looked at as a whole, and
 * of one that is too long for that. */
static void cost_03_streams_touch_no_memory_that_is_not_there(void **state)
{
    static unsigned char memory[4 * MIB];
    static const struct halo_end_functions functions = {.read = read_zeros, .write = write_nowhere};
    static const uint32_t lens[] = {100000, 1 * MIB};

    for (int i = 0; i < 8; i++) {
        const struct halo_end end =
            i & 4 ? halo_end_functions(&functions, NULL, -1)
                  : halo_end_memory(memory, sizeof(memory), memory, sizeof(memory));
        const bool out = i & 1;
        struct halo_future future;

        open_guest(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
        assert_int_equal(halo_attach(box, out ? HALO_STDOUT : HALO_STDIN, end), 0);
        assert_int_equal(move(16, out, &future), 0);
        assert_int_equal(future.result.u32, 16);
        no_memory = true;
        assert_int_equal(move(lens[i >> 1 & 1], out, &future), HALO_ENOMEM);
        assert_non_null(strstr(halo_errmsg(box), "there is no memory for"));
        close_guest(state);
    }
}

static void cost_03_all_memory_can_be_had_at_open(void **state)
{
    struct halo_future future;

    open_guest(state, (struct halo_options){.reserve = true});
    no_memory = true; /* it is asked for nothing more */
    assert_int_equal(answer(&future, 16 * MIB - 4096), 0);
    halo_future_free(&future);
}

static void cost_03_what_cannot_be_had_at_open_is_an_error(void **state)
{
    struct halo_options options = way_options(state);

    options.reserve = true;
    no_memory = true;
    assert_int_equal(halo_open(&box, COSTS, &options), HALO_ENOMEM);
    assert_string_equal(
        halo_errmsg(box),
        "there is no memory for all 16384 KiB of guest memory: Cannot allocate memory");
}

/* --- A file ------------------------------------------------------------------------------------
 */

/* A program of version 99 of the contract, whose note lies behind so many bytes of other notes. */
static unsigned char *make_file(size_t before, size_t *len)
{
    static const struct {
        Elf64_Nhdr head;
        char name[8];
        uint32_t version;
    } note = {{5, 4, HALO_NOTE_ABI}, "Halo", 99};
    const Elf64_Ehdr header = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_entry = HALO_PROGRAM_BASE,
        .e_phoff = sizeof(header),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 2,
    };
    const Elf64_Phdr headers[2] = {
        {.p_type = PT_LOAD, .p_flags = PF_X, .p_vaddr = HALO_PROGRAM_BASE, .p_memsz = 1},
        {.p_type = PT_NOTE,
         .p_offset = sizeof(header) + sizeof(headers),
         .p_filesz = before + sizeof(note)},
    };
    unsigned char *file;

    *len = sizeof(header) + sizeof(headers) + before + sizeof(note);
    file = calloc(1, *len); /* notes without name and description */
    memcpy(file, &header, sizeof(header));
    memcpy(file + sizeof(header), headers, sizeof(headers));
    memcpy(file + *len - sizeof(note), &note, sizeof(note));
    return file;
}

/* Headers may name the same 64 MiB of notes 64 times: what is far behind is no note of Halo's. */
static void cost_04_lists_of_a_file_are_not_looked_at_for_ever(void **state)
{
    const struct halo_options options = way_options(state);
    size_t len;
    unsigned char *near = make_file(12 * 1000, &len), *far;

    assert_int_equal(halo_open_memory(&box, near, len, &options), HALO_EGUEST);
    assert_non_null(strstr(halo_errmsg(box), "version 99 of the contract"));
    halo_close(box);
    far = make_file(12 * 6000, &len);
    if (halo_open_memory(&box, far, len, &options))
        fail_msg("%s", halo_errmsg(box));
    free(near);
    free(far);
}

/* A program without notes that names a library behind so many bytes of what a linker is told. */
static unsigned char *make_dynamic_file(size_t before, size_t *len)
{
    static const Elf64_Dyn needed = {.d_tag = DT_NEEDED};
    unsigned char *file = make_file(before, len);
    Elf64_Phdr *const dynamic = (Elf64_Phdr *)(file + sizeof(Elf64_Ehdr)) + 1;

    dynamic->p_type = PT_DYNAMIC;
    for (size_t at = 0; at < before; at += sizeof(Elf64_Dyn))
        file[dynamic->p_offset + at] = DT_DEBUG; /* zeros would end it */
    memcpy(file + dynamic->p_offset + before, &needed, sizeof(needed));
    return file;
}

static void cost_04_what_a_linker_is_told_is_not_looked_at_for_ever(void **state)
{
    const struct halo_options options = way_options(state);
    size_t len;
    unsigned char *near = make_dynamic_file(63 << 10, &len), *far;

    assert_int_equal(halo_open_memory(&box, near, len, &options), HALO_EGUEST);
    assert_non_null(strstr(halo_errmsg(box), "it needs shared libraries"));
    halo_close(box);
    far = make_dynamic_file(64 << 10, &len);
    if (halo_open_memory(&box, far, len, &options))
        fail_msg("%s", halo_errmsg(box));
    free(near);
    free(far);
}

/* --- A limit of memory around the host ---------------------------------------------------------
 */

static bool write_setting(const char *group, const char *file, const char *text)
{
    char path[200];
    int fd;
    bool written;

    (void)snprintf(path, sizeof(path), "%s/%s", group, file);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return written;
}

/* What root alone may do elsewhere; files need an owner that has a name there. */
static bool enter_namespace(void)
{
    const unsigned user = getuid(), group = getgid();
    char users[32], groups[32];

    (void)snprintf(users, sizeof(users), "0 %u 1", user);
    (void)snprintf(groups, sizeof(groups), "0 %u 1", group);
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
           write_setting("/proc/self", "uid_map", users) &&
           write_setting("/proc/self", "setgroups", "deny") &&
           write_setting("/proc/self", "gid_map", groups);
}

/* From now on guest memory lies where there are 12 MiB. False where that is not to be had. */
static bool have_small_memory(void)
{
    int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

    if (fs < 0 && enter_namespace())
        fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
    if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "size", "12m", 0) < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return false;
    small = fsmount(fs, FSMOUNT_CLOEXEC, 0);
    return small >= 0;
}

/* Into a group where nobody is killed: who touches what is not there sleeps for ever. False where
 * there are no such groups to be had. */
static bool join(const char *group)
{
    return mkdir(group, 0700) == 0 && write_setting(group, "memory.oom_control", "1") &&
           write_setting(group, "tasks", "0");
}

/* One where the kernel kills for memory, as it does in all groups of version 2. */
static bool join_where_it_kills(const char *group)
{
    return mkdir(group, 0700) == 0 && write_setting(group, "memory.oom_control", "0") &&
           write_setting(group, "tasks", "0");
}

/* From now on there are 8 MiB more than what is in use. */
static bool limit_memory(const char *group)
{
    char path[200], text[32];
    unsigned long long used = 0;
    FILE *file;
    int got;

    (void)snprintf(path, sizeof(path), "%s/memory.usage_in_bytes", group);
    file = fopen(path, "re");
    if (!file)
        return false;
    got = fscanf(file, "%llu", &used);
    fclose(file);
    (void)snprintf(text, sizeof(text), "%llu", used + 8 * MIB);
    return got == 1 && write_setting(group, "memory.limit_in_bytes", text);
}

/* 16 MiB that were never touched: there is not as much. */
static int read_beyond(void)
{
    struct halo_future future;
    const int error = answer(&future, 16 * MIB - 4096);

    return error == HALO_ENOMEM && strstr(halo_errmsg(box), "there is no memory for") ? 0 : 1;
}

static int read_beyond_the_group(void **state, const char *group)
{
    if (!join(group))
        return NONE;
    open_guest(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    return limit_memory(group) ? read_beyond() : 2;
}

static int read_beyond_the_file_system(void **state, const char *group)
{
    (void)group;
    if (!have_small_memory())
        return NONE;
    open_guest(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    return read_beyond();
}

/* All of it at once, and there is not as much: the host is told, and lives. */
static int reserve_beyond(void **state, const char *words)
{
    struct halo_options options = way_options(state);

    options.ram_len = 64ull << 20;
    options.reserve = true;
    if (halo_open(&box, COSTS, &options) != HALO_ENOMEM || !strstr(halo_errmsg(box), words))
        return 1;
    halo_close(box); /* what was found of it is given back: there is room for another */
    options.reserve = false;
    return halo_open(&box, COSTS, &options) == 0 ? 0 : 3;
}

static int reserve_beyond_the_group(void **state, const char *group)
{
    if (!join_where_it_kills(group))
        return NONE;
    return limit_memory(group) ? reserve_beyond(state, "the kernel killed who asked for it") : 2;
}

static int reserve_beyond_the_file_system(void **state, const char *group)
{
    (void)group;
    if (!have_small_memory())
        return NONE;
    return reserve_beyond(state, "No space left on device");
}

/* What a host of its own comes to: NONE where there is no such limit to be had. */
static int host_within(void **state, int (*limit)(void **state, const char *group))
{
    char group[100];
    int status = 0;
    pid_t host;

    (void)snprintf(group, sizeof(group), "/sys/fs/cgroup/memory/halo-test-%d", (int)getpid());
    host = fork();
    if (host == 0) {
        (void)mallopt(M_PERTURB, 0); /* as MALLOC_PERTURB_ has it: that touches what is freed */
        _exit(limit(state, group));
    }
    for (int i = 0; waitpid(host, &status, WNOHANG) == 0; i++) {
        if (i == 6000) /* of 10 ms: it sleeps */
            kill(host, SIGKILL);
        usleep(10000);
    }
    while (rmdir(group) < 0 && errno == EBUSY) /* the guest's processes are ending */
        usleep(10000);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/*
 * By a group of processes (those of version 2 cannot be told to refuse: there the kernel kills),
 * and by a full file system, which any host has that may have a user namespace: SIGBUS is for who
 * touches what is not there.
 */
static void cost_03_a_limit_around_the_host_is_an_error(void **state)
{
    const int in_group = host_within(state, read_beyond_the_group);

    assert_true(in_group == 0 || in_group == NONE);
    assert_int_equal(host_within(state, read_beyond_the_file_system), 0);
}

/* By a group where the kernel kills, and by a full file system. */
static void cost_03_a_limit_kills_who_asks_at_open_and_not_the_host(void **state)
{
    const int in_group = host_within(state, reserve_beyond_the_group);

    assert_true(in_group == 0 || in_group == NONE);
    assert_int_equal(host_within(state, reserve_beyond_the_file_system), 0);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(cost_01_answers_that_are_held_are_bounded),
        RINGS(cost_01_the_bound_is_the_hosts_choice),
        RINGS(cost_02_what_one_exit_copies_is_bounded),
        RINGS(cost_01_arguments_are_held_while_they_are_served),
        TEST(cost_03_memory_that_is_not_there_is_an_error),
        TEST(cost_04_lists_of_a_file_are_not_looked_at_for_ever),
        TEST(cost_04_what_a_linker_is_told_is_not_looked_at_for_ever),
        RINGS(cost_03_memory_that_lacks_later_is_an_error),
        RINGS(cost_03_streams_touch_no_memory_that_is_not_there),
        RINGS(cost_03_a_limit_around_the_host_is_an_error),
        RINGS(cost_03_all_memory_can_be_had_at_open),
        TEST(cost_03_what_cannot_be_had_at_open_is_an_error),
        RINGS(cost_03_a_limit_kills_who_asks_at_open_and_not_the_host),
    };

    return run_every_way("costs", tests, sizeof(tests) / sizeof(tests[0]), NULL, close_guest);
}
