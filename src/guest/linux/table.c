/* Which function answers which number. */
#include "calls.h"
#include <string.h>

struct entry {
    const char *name;
    linux_function *function; /* NULL: known by name alone */
};

static const struct entry entries[] = {
    [0] = {"read", linux_read},
    [1] = {"write", linux_write},
    [2] = {"open", linux_open_path},
    [3] = {"close", linux_close},
    [4] = {"stat", linux_stat},
    [5] = {"fstat", linux_fstat},
    [6] = {"lstat", linux_stat},
    [7] = {"poll", linux_poll},
    [8] = {"lseek", linux_lseek},
    [9] = {"mmap", linux_mmap},
    [10] = {"mprotect", linux_mprotect},
    [11] = {"munmap", linux_munmap},
    [12] = {"brk", linux_brk},
    [13] = {"rt_sigaction", linux_rt_sigaction},
    [14] = {"rt_sigprocmask", linux_rt_sigprocmask},
    [16] = {"ioctl", linux_ioctl},
    [17] = {"pread64", linux_pread},
    [18] = {"pwrite64", linux_pwrite},
    [19] = {"readv", linux_readv},
    [20] = {"writev", linux_writev},
    [21] = {"access", linux_access},
    [22] = {"pipe", NULL},
    [23] = {"select", NULL},
    [24] = {"sched_yield", linux_nothing},
    [25] = {"mremap", linux_mremap},
    [28] = {"madvise", linux_madvise},
    [32] = {"dup", linux_dup},
    [33] = {"dup2", linux_dup2},
    [34] = {"pause", NULL},
    [35] = {"nanosleep", linux_nanosleep},
    [37] = {"alarm", NULL},
    [38] = {"setitimer", NULL},
    [39] = {"getpid", linux_getpid},
    [40] = {"sendfile", NULL},
    [41] = {"socket", NULL},
    [42] = {"connect", NULL},
    [53] = {"socketpair", NULL},
    [56] = {"clone", NULL},
    [57] = {"fork", NULL},
    [58] = {"vfork", NULL},
    [59] = {"execve", NULL},
    [60] = {"exit", linux_exit},
    [61] = {"wait4", NULL},
    [62] = {"kill", linux_kill},
    [63] = {"uname", linux_uname},
    [72] = {"fcntl", linux_fcntl},
    [74] = {"fsync", linux_fsync},
    [75] = {"fdatasync", linux_fsync},
    [76] = {"truncate", linux_truncate},
    [77] = {"ftruncate", linux_ftruncate},
    [78] = {"getdents", NULL},
    [79] = {"getcwd", linux_getcwd},
    [80] = {"chdir", NULL},
    [82] = {"rename", linux_rename},
    [83] = {"mkdir", linux_mkdir},
    [84] = {"rmdir", linux_rmdir},
    [86] = {"link", NULL},
    [87] = {"unlink", linux_unlink},
    [88] = {"symlink", NULL},
    [89] = {"readlink", linux_readlink},
    [90] = {"chmod", linux_chmod},
    [91] = {"fchmod", linux_fchmod},
    [95] = {"umask", linux_umask},
    [96] = {"gettimeofday", linux_gettimeofday},
    [97] = {"getrlimit", linux_getrlimit},
    [98] = {"getrusage", linux_getrusage},
    [99] = {"sysinfo", linux_sysinfo},
    [100] = {"times", NULL},
    [102] = {"getuid", linux_getuid},
    [104] = {"getgid", linux_getuid},
    [107] = {"geteuid", linux_getuid},
    [108] = {"getegid", linux_getuid},
    [110] = {"getppid", linux_getppid},
    [127] = {"rt_sigpending", linux_rt_sigpending},
    [130] = {"rt_sigsuspend", NULL},
    [131] = {"sigaltstack", linux_sigaltstack},
    [157] = {"prctl", linux_prctl},
    [158] = {"arch_prctl", linux_arch_prctl},
    [160] = {"setrlimit", NULL},
    [186] = {"gettid", linux_getpid},
    [200] = {"tkill", linux_tkill},
    [201] = {"time", linux_time},
    [202] = {"futex", linux_futex},
    [204] = {"sched_getaffinity", linux_sched_getaffinity},
    [217] = {"getdents64", NULL},
    [218] = {"set_tid_address", linux_set_tid_address},
    [228] = {"clock_gettime", linux_clock_gettime},
    [229] = {"clock_getres", linux_clock_getres},
    [230] = {"clock_nanosleep", linux_clock_nanosleep},
    [231] = {"exit_group", linux_exit},
    [234] = {"tgkill", linux_tgkill},
    [257] = {"openat", linux_openat},
    [262] = {"newfstatat", linux_newfstatat},
    [263] = {"unlinkat", linux_unlinkat},
    [269] = {"faccessat", linux_faccessat},
    [271] = {"ppoll", linux_ppoll},
    [273] = {"set_robust_list", linux_nothing},
    [292] = {"dup3", linux_dup3},
    [293] = {"pipe2", NULL},
    [302] = {"prlimit64", linux_prlimit},
    [318] = {"getrandom", linux_getrandom},
    [332] = {"statx", NULL},
    [334] = {"rseq", NULL},
    [435] = {"clone3", NULL},
    [439] = {"faccessat2", linux_faccessat},
};

static const struct entry *entry_of(uint64_t number)
{
    return number < sizeof(entries) / sizeof(entries[0]) ? &entries[number] : NULL;
}

const char *linux_name(uint64_t number)
{
    const struct entry *entry = entry_of(number);

    return entry ? entry->name : NULL;
}

void linux_init(struct linux_table *table, const struct linux_host *host, void *base, uint64_t len,
                uint64_t seed[4])
{
    int64_t real;

    memset(table, 0, sizeof(*table));
    table->host = host;
    memcpy(table->key, seed, sizeof(table->key));
    memset(seed, 0, sizeof(table->key));
    host->now(host->context, &table->start_ns, &real);
    linux_memory_init(table, base, len);
    linux_streams_init(table);
    linux_files_init(table);
}

int64_t linux_call(struct linux_table *table, uint64_t number, const uint64_t args[6])
{
    const struct entry *entry = entry_of(number);

    table->calls++;
    if (entry && entry->function)
        return entry->function(table, args);
    if (number < LINUX_CALLS)
        table->unknown[number]++;
    return -L_ENOSYS;
}
