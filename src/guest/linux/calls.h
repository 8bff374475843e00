/* What the files of the table share. */
#ifndef HALO_SRC_GUEST_LINUX_CALLS_H
#define HALO_SRC_GUEST_LINUX_CALLS_H

#include "linux.h"

/* Not from Linux's headers, which a guest does not need; the same numbers. */
enum linux_error {
    L_EPERM = 1,
    L_ENOENT = 2,
    L_ESRCH = 3,
    L_EINTR = 4,
    L_EIO = 5,
    L_ENXIO = 6,
    L_EBADF = 9,
    L_EAGAIN = 11,
    L_ENOMEM = 12,
    L_EACCES = 13,
    L_EFAULT = 14,
    L_EBUSY = 16,
    L_EEXIST = 17,
    L_EXDEV = 18,
    L_ENODEV = 19,
    L_ENOTDIR = 20,
    L_EISDIR = 21,
    L_EINVAL = 22,
    L_EMFILE = 24,
    L_ENFILE = 23,
    L_ENOTTY = 25,
    L_EFBIG = 27,
    L_ENOSPC = 28,
    L_ESPIPE = 29,
    L_EPIPE = 32,
    L_ERANGE = 34,
    L_EDEADLK = 35,
    L_ENAMETOOLONG = 36,
    L_ENOSYS = 38,
    L_ENOTEMPTY = 39,
    L_ELOOP = 40,
    L_EOPNOTSUPP = 95,
    L_ETIMEDOUT = 110,
    /* Never told to a program: it has waited, and something has changed: look again. */
    L_AGAIN_FROM_START = 600,
    /* Nor these: a call that a signal interrupted, to be made again if its handler
       was set so, or to be EINTR in any case. */
    L_ERESTARTSYS = 512,
    L_ERESTARTNOHAND = 514,
};

#define LINUX_AT_FDCWD (-100)
#define LINUX_PID 1000
#define LINUX_UID 1000
#define LINUX_SIGNAL_BIT(signal) (1ull << ((signal)-1))
#define LINUX_UNBLOCKABLE (LINUX_SIGNAL_BIT(9) | LINUX_SIGNAL_BIT(19)) /* SIGKILL, SIGSTOP */
#define LINUX_ALARM LINUX_TIMERS /* of the timers, the one of alarm and setitimer */

typedef int64_t linux_function(struct linux_table *table, const uint64_t *args);

/* pointers.c: all of this is memory of the program's, whatever it may do with it. */
bool linux_has(const struct linux_table *table, uint64_t address, uint64_t len);
/* A string of the program's, of fewer than `room` bytes, copied: its length or a negative
 * errno. */
int64_t linux_take_string(const struct linux_table *table, uint64_t address, char *to, size_t room);
/* memory.c: pages for the table's own use, zeroed, or NULL; and back. */
void *linux_pages_take(struct linux_table *table, uint64_t len);
void linux_pages_give(struct linux_table *table, void *base, uint64_t len);
/* Copy to and from the program: 0 or -EFAULT. */
int64_t linux_give(const struct linux_table *table, uint64_t address, const void *from, size_t len);
int64_t linux_give_pair(struct linux_table *table, uint64_t address, const int64_t pair[2]);
int64_t linux_take(const struct linux_table *table, uint64_t address, void *to, size_t len);
void linux_memory_init(struct linux_table *table, void *base, uint64_t len);

/*
 * paging.c: is that one of its addresses; how many bytes from there on can be so used; and the
 * calls, with whole pages and addresses that are its own. `prot` is PROT_READ and PROT_WRITE.
 */
static inline bool linux_is_far(const struct linux_table *table, uint64_t address)
{
    return table->paging && address >= table->far_base &&
           address - table->far_base < table->far_len;
}
uint64_t linux_far_run(const struct linux_table *table, uint64_t address, unsigned need);
int64_t linux_far_map(struct linux_table *table, uint64_t base, uint64_t len, int prot);
/* At an address that is free, if possible this one. */
int64_t linux_far_find(struct linux_table *table, uint64_t hint, uint64_t len, int prot);
int64_t linux_far_unmap(struct linux_table *table, uint64_t base, uint64_t len);
int64_t linux_far_protect(struct linux_table *table, uint64_t base, uint64_t len, int prot);
int64_t linux_far_clear(struct linux_table *table, uint64_t base, uint64_t len);
int64_t linux_far_move(struct linux_table *table, uint64_t base, uint64_t old, uint64_t new,
                       bool may_move);
/* Have units that nothing is in any more be free: false where there are none. */
bool linux_far_reclaim(struct linux_table *table);
/* There is memory for so much, now: who asks for it at once may have it. */
bool linux_far_fits(struct linux_table *table, uint64_t len);
/* All of these addresses are of areas; one of them is. */
bool linux_far_covers(const struct linux_table *table, uint64_t base, uint64_t len);
bool linux_far_has_any(const struct linux_table *table, uint64_t base, uint64_t len);
/* The unit in which that address of memory lies, or none: unit_count. Has it another address? */
uint64_t linux_unit_of(const struct linux_table *table, uint64_t address);
bool linux_unit_is_lent(const struct linux_table *table, uint64_t unit);

/* descriptors.c: the open file of a descriptor, or NULL. */
struct linux_open *linux_open_of(struct linux_table *table, uint64_t descriptor);
/* A new descriptor, the lowest from `least` on, for something new of this kind, or -errno. */
int64_t linux_descriptor_make(struct linux_table *table, enum linux_kind kind, uint32_t flags,
                              struct linux_open **open);
struct linux_descriptor *linux_descriptor_of(struct linux_table *table, uint64_t number);
/* The lowest number that is free, from `least` on, or -EMFILE. */
int64_t linux_lowest(const struct linux_table *table, uint64_t least);
void linux_streams_init(struct linux_table *table);

/* tree.c: what an absolute path without . and .. names, or NULL. */
struct linux_name *linux_tree_entry(struct linux_table *table, const char *path);
struct linux_file *linux_tree_find(struct linux_table *table, const char *path);
/* A name of this file, which has some; that of a directory. Else NULL. */
const char *linux_tree_path(const struct linux_table *table, const struct linux_file *file);
/* One more name of a file: false where there is no room. And one less. */
bool linux_tree_name(struct linux_table *table, const char *path, struct linux_file *file);
void linux_tree_forget(struct linux_table *table, struct linux_name *name);
/* A new one, or NULL where there is no room. */
struct linux_file *linux_tree_make(struct linux_table *table, const char *path, uint32_t mode,
                                   bool is_directory);
/* What a descriptor leads to, or NULL, is a directory that is still there: 0, or why not. */
int64_t linux_tree_check_directory(const struct linux_open *open);
/* Cut the last component off; of "/a" remains "/". */
void linux_tree_cut(char *path);
/* The directory of this path has changed. */
void linux_tree_touch_folder(struct linux_table *table, const char *path);
bool linux_tree_is_empty(const struct linux_table *table, const char *path);
/* How many directories lie right in this one. */
uint64_t linux_tree_folders(const struct linux_table *table, const struct linux_file *directory);
/* Forget a file that has neither a name nor a descriptor any more. */
void linux_tree_let_go(struct linux_table *table, struct linux_file *file);
/* What a path names that is no file; LINUX_FREE where it is none of those. */
enum linux_kind linux_tree_device(const char *path);
void linux_tree_init(struct linux_table *table);

/* walk.c: what becomes of a symbolic link that stands at the end of a name. */
enum linux_last {
    LINUX_FOLLOW,
    LINUX_MAKE,   /* followed, unless a slash follows: then nothing can be made there */
    LINUX_KEEP,   /* itself is meant, unless a slash follows */
    LINUX_PARENT, /* itself in any case: what is asked for is its directory */
};

/*
 * The absolute path of a name of the program's, without . and .., all directories on the way being
 * there. `is_dir` where it must be one, because of a slash at the end.
 */
int64_t linux_tree_resolve(struct linux_table *table, uint64_t address, char *path, bool *is_dir,
                           enum linux_last last);
/* The same of *at functions, whose first two arguments are a directory's descriptor and a name. */
int64_t linux_tree_resolve_at(struct linux_table *table, const uint64_t *args, char *path,
                              bool *is_dir, enum linux_last last);

/* files.c */
int64_t linux_file_read(struct linux_file *file, int64_t offset, void *to, uint64_t len);
int64_t linux_file_write(struct linux_table *table, struct linux_file *file, int64_t offset,
                         const void *from, uint64_t len);
int64_t linux_file_resize(struct linux_table *table, struct linux_file *file, uint64_t len);
/* The last descriptor is gone. */
void linux_file_closed(struct linux_table *table, struct linux_file *file);
/* struct stat, at an address of the program's. */
int64_t linux_stat_give(struct linux_table *table, uint64_t address, const struct linux_open *open);

/* pipes.c: one end of a pipe. Reads and writes give a count or a negative errno. */
int64_t linux_pipe_read(struct linux_table *table, const struct linux_open *open, void *to,
                        uint64_t len);
int64_t linux_pipe_write(struct linux_table *table, const struct linux_open *open, const void *from,
                         uint64_t len);
int64_t linux_pipe_ioctl(struct linux_table *table, const struct linux_open *open, uint64_t request,
                         uint64_t address);
/* POLL… bits that hold of it. */
int16_t linux_pipe_poll(const struct linux_open *open);
/* The last descriptor of this end is gone. */
void linux_pipe_closed(struct linux_table *table, const struct linux_open *open);

/* random.c */
void linux_random(struct linux_table *table, void *to, uint64_t len);

/* clock.c: a clock of the program's in nanoseconds; -EINVAL for one that there is not. */
int64_t linux_clock(struct linux_table *table, uint32_t clock, int64_t *ns);
/* The clocks REALTIME and MONOTONIC, which are always there. */
int64_t linux_now(struct linux_table *table);
int64_t linux_monotonic(struct linux_table *table);

linux_function linux_brk, linux_mmap, linux_munmap, linux_mremap, linux_madvise, linux_mprotect;
linux_function linux_read, linux_write, linux_readv, linux_writev, linux_pread, linux_pwrite,
    linux_poll, linux_ppoll, linux_select, linux_pselect, linux_lseek, linux_ioctl, linux_fcntl,
    linux_close, linux_make_pipe, linux_make_pipe2, linux_dup, linux_dup2, linux_dup3, linux_fstat;
linux_function linux_open_path, linux_openat, linux_stat, linux_lstat, linux_newfstatat,
    linux_access, linux_faccessat, linux_faccessat2, linux_unlink, linux_unlinkat, linux_mkdir,
    linux_chdir, linux_fchdir, linux_getdents, linux_rmdir, linux_rename, linux_ftruncate,
    linux_truncate, linux_fsync, linux_getcwd, linux_readlink, linux_readlinkat, linux_symlink,
    linux_symlinkat, linux_link, linux_linkat, linux_umask, linux_chmod, linux_fchmod,
    linux_fchmodat, linux_mkdirat, linux_renameat, linux_renameat2, linux_chown, linux_lchown,
    linux_fchown, linux_fchownat, linux_utimensat, linux_statfs, linux_fstatfs;
linux_function linux_clock_gettime, linux_clock_getres, linux_gettimeofday, linux_time,
    linux_nanosleep, linux_clock_nanosleep;
linux_function linux_exit, linux_exit_group, linux_clone, linux_sched_yield, linux_gettid,
    linux_set_robust_list, linux_get_robust_list, linux_getcpu, linux_getpid, linux_getppid,
    linux_getuid, linux_uname, linux_prlimit, linux_getrlimit, linux_arch_prctl, linux_prctl,
    linux_futex, linux_set_tid_address, linux_uprobe, linux_sched_getaffinity, linux_sysinfo,
    linux_getrusage;
/* signals.c: a signal to the thread that runs, from itself. */
void linux_raise(struct linux_table *table, uint32_t signal);
/* To a thread, or, without one, to the program, with what its handler is told: false where there is
 * no room for one more. */
bool linux_send(struct linux_table *table, struct linux_thread *thread, uint32_t signal,
                const struct linux_note *note);
/* Give what was sent to the program to threads that do not block it. */
void linux_signals_spread(struct linux_table *table);
/* The thread that runs ends: what was sent to it goes. */
void linux_signals_drop(struct linux_table *table);
/* Is there a handler to run, or does one wait to be run, so that a call has to end? */
bool linux_is_interrupted(const struct linux_table *table);
/* Would it be noticed if it came now: is it neither ignored nor blocked by all threads? */
bool linux_is_noticed(const struct linux_table *table, uint32_t signal);
/* A signal may come from outside that would be noticed: a wait for ever may end. */
bool linux_may_be_raised(const struct linux_table *table);
/* It was raised, if so, and is sent to the program now. */
void linux_outside_look(struct linux_table *table);
/* Handlers or masks have changed: say outside what is taken. */
void linux_outside_tell(struct linux_table *table);
/* Take one that is pending and in this set, which has such a one. */
struct linux_note linux_take_pending(struct linux_table *table, uint64_t set);
/* A mask for the time of a call, of 0 or 8 bytes at an address; a handler finds the old one. */
int64_t linux_mask_for_now(struct linux_table *table, uint64_t address, uint64_t len);
int64_t linux_unmask(struct linux_table *table, int64_t result);

/* threads.c: the thread of this id, or NULL. */
struct linux_thread *linux_thread_of(const struct linux_table *table, uint32_t id);
static inline bool linux_thread_is_there(const struct linux_thread *thread)
{
    return thread->id && !thread->has_ended;
}
/* What it blocks, and what is pending for it alone. */
static inline uint64_t linux_blocked_of(const struct linux_table *table,
                                        const struct linux_thread *thread)
{
    return thread == table->current ? table->blocked : thread->blocked;
}
static inline uint64_t linux_own_of(const struct linux_table *table,
                                    const struct linux_thread *thread)
{
    return thread == table->current ? table->own : thread->own;
}
uint64_t linux_blocked_by_all(const struct linux_table *table);
/* What each of them blocks or waits for: it does nothing by itself. */
uint64_t linux_withheld_by_all(const struct linux_table *table);
/* A thread waits no longer; nor do all those that wait for one of these. */
void linux_thread_wake(struct linux_thread *thread);
void linux_threads_wake(struct linux_table *table, unsigned waits);
/* A pipe has changed: who waits for one looks again. */
void linux_threads_stir(struct linux_table *table);
/* Who has waited for the longest time for this word, its address as futex.c has it, or NULL. */
struct linux_thread *linux_futex_waiter(struct linux_table *table, uint64_t address,
                                        uint32_t bitset);
/* Wake so many of them. */
int64_t linux_futex_wake(struct linux_table *table, uint64_t address, int32_t count,
                         uint32_t bitset);
/* The number of threads or timers has changed: whether the program is to be interrupted. */
void linux_threads_tick(struct linux_table *table);
void linux_threads_init(struct linux_table *table);

/* clone.c: say that another process cannot be had: -ENOSYS. */
int64_t linux_no_process(struct linux_table *table);

/* turns.c: what the table has of the thread that runs goes to its own structure, too. */
void linux_turn_put_away(struct linux_table *table);
/* Go on with whoever is next; back when it is this one's turn again. */
void linux_turn_over(struct linux_table *table);
/*
 * Let others run until the thread is woken, a signal comes for it, or that time has come of the
 * monotonic clock; INT64_MAX: it never does. `waits` is a set of enum linux_wait. The program may
 * have done anything meanwhile, even with the memory and descriptors of the call.
 */
enum linux_end linux_thread_wait(struct linux_table *table, unsigned waits, uint64_t address,
                                 int64_t until);
/* Whether a wait has others that can run meanwhile. */
static inline bool linux_has_threads(const struct linux_table *table)
{
    return table->thread_count > 1;
}
/* timers.c: nanoseconds until a timer's signal would be noticed; INT64_MAX: none will. */
int64_t linux_timers_next(struct linux_table *table);

/* expiry.c: have it run, and be due at a time of the monotonic clock; 0: stop it. */
void linux_timer_set(struct linux_table *table, struct linux_timer *timer, int64_t at,
                     int64_t interval);
/* Put it behind `time`: how many of its times have gone by besides the first. */
uint32_t linux_timer_forward(struct linux_timer *timer, int64_t time);
/* The signal of a timer is taken: it runs on. */
void linux_timer_taken(struct linux_table *table, struct linux_note *note);

/* wait.c: sleep for so long: 0, or what was left when a signal came, which is at least 1. */
int64_t linux_sleep(struct linux_table *table, int64_t ns);
/* Wait for what only a signal can end: `interrupted`, or `never` if none will come. */
int64_t linux_wait_for_signal(struct linux_table *table, int64_t interrupted, int64_t never);

linux_function linux_rt_sigaction, linux_rt_sigprocmask, linux_kill, linux_tkill, linux_tgkill,
    linux_sigaltstack, linux_rt_sigpending, linux_rt_sigsuspend, linux_rt_sigtimedwait,
    linux_rt_sigqueueinfo, linux_rt_tgsigqueueinfo, linux_pause;
linux_function linux_alarm, linux_getitimer, linux_setitimer, linux_timer_create,
    linux_timer_settime, linux_timer_gettime, linux_timer_getoverrun, linux_timer_delete;
linux_function linux_getrandom;

#endif
