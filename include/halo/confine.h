/*
 * Confine the process that hosts sandboxes, once they are open: a second wall behind each guest's
 * own, for the case that the host's half, or the kernel's KVM, has a flaw. `halo run` does it.
 *
 *     error = halo_open(&box, "plugin.halo", NULL);
 *     …                                       connect streams, open files, start threads
 *     if (!error)
 *         error = halo_confine(HALO_CONFINE_KVM | HALO_CONFINE_STREAMS, &walls);
 *     if (!error)
 *         error = halo_run(box, HALO_FOREVER, &code);
 */
#ifndef HALO_CONFINE_H
#define HALO_CONFINE_H

#include <halo/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/*
 * What this process goes on to do. Whatever is not named is refused (EPERM); what every process
 * needs is allowed: memory that is not executable, locks, clocks, signals to itself, reading,
 * writing and closing descriptors that are open, and ending.
 */
enum halo_confine_feature {
    HALO_CONFINE_KVM = 1,       /* run and close sandboxes of backend "kvm" */
    HALO_CONFINE_PROCESS = 2,   /* the same of backend "process" */
    HALO_CONFINE_STREAMS = 4,   /* move streams that are connected */
    HALO_CONFINE_THREADS = 8,   /* make threads, as Halo does for files, and for ends that can only
                                   block: without it such a stream fails */
    HALO_CONFINE_TERMINAL = 16, /* ask a terminal for its size and its foreground job */
    HALO_CONFINE_FILES_ALONE = 32, /* no system call is refused: Landlock alone */
};

/* The walls that are there afterwards. */
enum halo_wall {
    HALO_WALL_CALLS = 1, /* seccomp: system calls, of all threads of the process */
    HALO_WALL_FILES =
        2, /* Landlock: no path can be opened, made or removed, and from Linux 6.7 on
              no TCP port; of the calling thread and those that it makes from now on, so not of one
              that a sandbox has already (struct halo_options, threaded) */
};

/*
 * Confine the process. For good: there is no way back, and it may be called again for less. What
 * no longer works: opening a sandbox or anything else by a path, connecting a stream, executing a
 * program, forking, sockets, executable memory (so loading libraries), another process's memory,
 * sending signals to others; and halo_restore where it has to replace the machine (HALO_EHOST).
 * What is open stays open, and works as before. The process can gain no rights by executing
 * (PR_SET_NO_NEW_PRIVS), also where this fails.
 *
 * Call it when all sandboxes are open and all streams connected, before other threads have filters
 * of their own, not while one is being started, and while nothing else of the program needs what is
 * refused: a C library opens files for locales, time zones and names of hosts when they are first
 * needed.
 *
 * Where there is no Landlock, it is done without, and `walls` (enum halo_wall; may be NULL) says
 * so. Returns 0, or
 *   HALO_EINVAL  a feature that there is not
 *   HALO_EHOST   the kernel, or a filter around this process, lets it install no filter; errno
 *                tells. With FILES_ALONE, that there is no Landlock.
 */
int halo_confine(uint32_t features, uint32_t *walls);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
