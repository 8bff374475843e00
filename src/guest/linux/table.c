/* Which function answers which number. */
#include "calls.h"
#include <string.h>

enum { FORK = 57, VFORK = 58, EXECVE = 59, EXECVEAT = 322 };

static linux_function *const functions[] = {
    [0] = linux_read,
    [1] = linux_write,
    [2] = linux_open_path,
    [3] = linux_close,
    [4] = linux_stat,
    [5] = linux_fstat,
    [6] = linux_lstat,
    [7] = linux_poll,
    [8] = linux_lseek,
    [9] = linux_mmap,
    [10] = linux_mprotect,
    [11] = linux_munmap,
    [12] = linux_brk,
    [13] = linux_rt_sigaction,
    [14] = linux_rt_sigprocmask,
    [16] = linux_ioctl,
    [17] = linux_pread,
    [18] = linux_pwrite,
    [19] = linux_readv,
    [20] = linux_writev,
    [21] = linux_access,
    [22] = linux_make_pipe,
    [23] = linux_select,
    [24] = linux_sched_yield,
    [25] = linux_mremap,
    [28] = linux_madvise,
    [32] = linux_dup,
    [33] = linux_dup2,
    [34] = linux_pause,
    [35] = linux_nanosleep,
    [36] = linux_getitimer,
    [37] = linux_alarm,
    [38] = linux_setitimer,
    [39] = linux_getpid,
    [56] = linux_clone,
    [60] = linux_exit,
    [62] = linux_kill,
    [63] = linux_uname,
    [72] = linux_fcntl,
    [74] = linux_fsync,
    [75] = linux_fsync,
    [76] = linux_truncate,
    [77] = linux_ftruncate,
    [79] = linux_getcwd,
    [80] = linux_chdir,
    [81] = linux_fchdir,
    [82] = linux_rename,
    [83] = linux_mkdir,
    [84] = linux_rmdir,
    [86] = linux_link,
    [87] = linux_unlink,
    [88] = linux_symlink,
    [89] = linux_readlink,
    [90] = linux_chmod,
    [91] = linux_fchmod,
    [92] = linux_chown,
    [93] = linux_fchown,
    [94] = linux_lchown,
    [95] = linux_umask,
    [96] = linux_gettimeofday,
    [97] = linux_getrlimit,
    [98] = linux_getrusage,
    [99] = linux_sysinfo,
    [102] = linux_getuid,
    [104] = linux_getuid,
    [107] = linux_getuid,
    [108] = linux_getuid,
    [110] = linux_getppid,
    [127] = linux_rt_sigpending,
    [128] = linux_rt_sigtimedwait,
    [129] = linux_rt_sigqueueinfo,
    [130] = linux_rt_sigsuspend,
    [131] = linux_sigaltstack,
    [137] = linux_statfs,
    [138] = linux_fstatfs,
    [157] = linux_prctl,
    [158] = linux_arch_prctl,
    [186] = linux_gettid,
    [200] = linux_tkill,
    [201] = linux_time,
    [202] = linux_futex,
    [204] = linux_sched_getaffinity,
    [217] = linux_getdents,
    [218] = linux_set_tid_address,
    [222] = linux_timer_create,
    [223] = linux_timer_settime,
    [224] = linux_timer_gettime,
    [225] = linux_timer_getoverrun,
    [226] = linux_timer_delete,
    [228] = linux_clock_gettime,
    [229] = linux_clock_getres,
    [230] = linux_clock_nanosleep,
    [231] = linux_exit_group,
    [234] = linux_tgkill,
    [257] = linux_openat,
    [258] = linux_mkdirat,
    [260] = linux_fchownat,
    [262] = linux_newfstatat,
    [263] = linux_unlinkat,
    [264] = linux_renameat,
    [265] = linux_linkat,
    [266] = linux_symlinkat,
    [267] = linux_readlinkat,
    [268] = linux_fchmodat,
    [269] = linux_faccessat,
    [270] = linux_pselect,
    [271] = linux_ppoll,
    [273] = linux_set_robust_list,
    [274] = linux_get_robust_list,
    [280] = linux_utimensat,
    [292] = linux_dup3,
    [293] = linux_make_pipe2,
    [297] = linux_rt_tgsigqueueinfo,
    [302] = linux_prlimit,
    [309] = linux_getcpu,
    [316] = linux_renameat2,
    [318] = linux_getrandom,
    [336] = linux_uprobe,
    [439] = linux_faccessat2,
};

void linux_init(struct linux_table *table, const struct linux_host *host, void *base, uint64_t len,
                uint64_t seed[4])
{
    int64_t real;

    memset(table, 0, sizeof(*table));
    table->host = host;
    memcpy(table->key, seed, sizeof(table->key));
    memset(seed, 0, sizeof(table->key));
    linux_threads_init(table);
    host->now(host->context, &table->start_ns, &real);
    linux_memory_init(table, base, len);
    linux_streams_init(table);
    linux_tree_init(table);
}

int64_t linux_call(struct linux_table *table, uint64_t number, const uint64_t args[6])
{
    int64_t result;

    table->calls++;
    if (table->timer_count > 0)
        linux_timers_look(table);
    if (number < sizeof(functions) / sizeof(functions[0]) && functions[number]) {
        result = functions[number](table, args);
        if (result != -L_ENOSYS)
            return result;
    }
    if (number < LINUX_CALLS && table->unknown)
        table->unknown[number]++;
    if (number == FORK || number == VFORK || number == EXECVE || number == EXECVEAT)
        return linux_no_process(table);
    return -L_ENOSYS;
}
