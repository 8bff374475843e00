/* Signals that a host's terminal or others send it, beside the guest that it runs. */
#define _GNU_SOURCE
#include "hosts.h"
#include <fcntl.h>
#include <halo/snapshot.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

static char copies[320]; /* the guest cat */

/* --- In the background of a terminal ---------------------------------------------------------- */

struct background {
    enum halo_backend_choice backend;
    int terminal;
};

static struct halo_sandbox *copier(const struct background *host, struct halo_end from,
                                   struct halo_end to)
{
    struct halo_sandbox *box;

    must(open_guest(&box, host->backend, copies, "") == 0);
    must(halo_attach(box, HALO_STDIN, from) == 0 && halo_attach(box, HALO_STDOUT, to) == 0);
    return box;
}

static void read_from_terminal(const struct background *host)
{
    char bytes[16];
    struct halo_sandbox *box =
        copier(host, halo_end_fd(host->terminal), halo_end_memory(NULL, 0, bytes, sizeof(bytes)));
    int code = 0;

    must(halo_run(box, 20000 * MS, &code) == 0 && code != 0); /* the guest sees EIO */
    halo_close(box);
}

static void write_to_terminal(const struct background *host)
{
    struct halo_sandbox *box =
        copier(host, halo_end_memory("some", 4, NULL, 0), halo_end_fd(host->terminal));
    int code = 1;

    must(halo_run(box, 20000 * MS, &code) == 0 && code == 0);
    halo_close(box);
}

/* It must end by itself, and not be stopped. */
static void in_background(void (*work)(const struct background *host),
                          const struct background *host)
{
    const pid_t pid = fork();
    int status;

    if (pid == 0) {
        must(setpgid(0, 0) == 0);
        alarm(HOST_SECONDS);
        work(host);
        _exit(0);
    }
    (void)setpgid(pid, pid);
    must(waitpid(pid, &status, WUNTRACED) == pid);
    if (WIFSTOPPED(status))
        kill(pid, SIGKILL);
    must(status == 0);
}

static void leader_of_a_session(void *argument)
{
    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct background host = {.backend = *(enum halo_backend_choice *)argument};
    struct termios modes;
    char bytes[4];

    must(master >= 0 && setsid() >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    host.terminal = open(ptsname(master), O_RDWR | O_CLOEXEC);
    must(host.terminal >= 0);
    (void)ioctl(host.terminal, TIOCSCTTY, 0); /* its opening may have done so */
    must(tcgetattr(host.terminal, &modes) == 0);
    modes.c_lflag |= TOSTOP;
    must(tcsetattr(host.terminal, TCSANOW, &modes) == 0);
    must(tcgetpgrp(host.terminal) == getpgrp());
    in_background(read_from_terminal, &host);
    in_background(write_to_terminal, &host);
    must(read(master, bytes, sizeof(bytes)) == 4 && memcmp(bytes, "some", 4) == 0);
}

static void host_19_a_terminal_stops_no_host_in_its_background(void **state)
{
    (void)state;
    on_every_backend(leader_of_a_session);
}

/* --- After a run with a time limit ------------------------------------------------------------ */

static void ended_host(void *argument)
{
    const sigset_t told = {{1ul << (SIGUSR1 - 1)}};
    struct halo_sandbox *box;
    int code, status;
    pid_t pid;

    must(sigprocmask(SIG_BLOCK, &told, NULL) == 0);
    pid = fork();
    if (pid == 0) {
        box = opened(*(enum halo_backend_choice *)argument, "loop");
        must(halo_serve_begin(box, 30 * MS) == HALO_ETIMEDOUT);
        must(kill(getppid(), SIGUSR1) == 0);
        (void)halo_run(box, HALO_FOREVER, &code);
        _exit(1);
    }
    must(sigwaitinfo(&told, NULL) == SIGUSR1);
    usleep(20000);
    must(kill(pid, SIGTERM) == 0);
    must(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void host_02_a_signal_ends_a_later_run_without_a_deadline(void **state)
{
    (void)state;
    on_every_backend(ended_host);
}

/* --- Around a function of the host's ---------------------------------------------------------- */

/* A signal whose disposition would end the host, and that would be its own function's doing. */
static int64_t is_not_blocked(void *context, void *to, size_t len)
{
    bool *was_called = context;
    sigset_t set;

    (void)to;
    (void)len;
    must(pthread_sigmask(SIG_SETMASK, NULL, &set) == 0);
    must(!sigismember(&set, SIGPIPE) && !sigismember(&set, SIGXFSZ) &&
         !sigismember(&set, SIGTTIN) && !sigismember(&set, SIGTTOU));
    must(sigismember(&set, SIGUSR1) == 1);
    *was_called = true;
    return 0;
}

static void host_with_a_function(void *argument)
{
    static const struct halo_end_functions functions = {.read = is_not_blocked};
    const struct background host = {.backend = *(enum halo_backend_choice *)argument};
    const sigset_t usr1 = {{1ul << (SIGUSR1 - 1)}};
    bool was_called = false;
    struct halo_sandbox *box;
    char bytes[16];
    int code = 1;

    must(sigprocmask(SIG_BLOCK, &usr1, NULL) == 0);
    box = copier(&host, halo_end_functions(&functions, &was_called, -1),
                 halo_end_memory(NULL, 0, bytes, sizeof(bytes)));
    must(halo_run(box, 20000 * MS, &code) == 0 && code == 0 && was_called);
    halo_close(box);
}

static void host_02_a_function_of_the_hosts_has_the_hosts_signals(void **state)
{
    (void)state;
    on_every_backend(host_with_a_function);
}

/* --- After a run that caused some ------------------------------------------------------------- */

static void host_of_a_broken_pipe(void *argument)
{
    const struct background host = {.backend = *(enum halo_backend_choice *)argument};
    struct halo_sandbox *box;
    sigset_t before, after;
    int pipe_[2], code = 0;

    must(pipe(pipe_) == 0 && close(pipe_[0]) == 0);
    must(sigprocmask(SIG_SETMASK, NULL, &before) == 0 && !sigismember(&before, SIGPIPE));
    for (int i = 0; i < 3; i++) { /* again, for what was borrowed is given back once */
        box = copier(&host, halo_end_memory("some", 4, NULL, 0), halo_end_fd(pipe_[1]));
        must(halo_run(box, 20000 * MS, &code) == HALO_EIO); /* the guest was told */
        must(sigprocmask(SIG_SETMASK, NULL, &after) == 0);
        must(memcmp(&before, &after, 8) == 0);
        must(sigpending(&after) == 0 && sigisemptyset(&after));
        halo_close(box);
    }
}

static void host_02_a_broken_pipe_leaves_no_signal_behind(void **state)
{
    (void)state;
    on_every_backend(host_of_a_broken_pipe);
}

/* --- Of files and pipes ----------------------------------------------------------------------- */

/* A pipe that nobody reads, and a file that may grow no further, are errors and end nobody. */
static void keeper_of_snapshots(void *argument)
{
    struct halo_sandbox *box = opened(*(enum halo_backend_choice *)argument, "exit-7");
    const int whole = memfd_create("whole", MFD_CLOEXEC), part = memfd_create("part", MFD_CLOEXEC);
    struct halo_snapshot *snapshot, *another;
    sigset_t pending;
    int ends[2], code;

    must(pipe(ends) == 0 && close(ends[0]) == 0);
    must(halo_snapshot(box, &snapshot) == 0);
    must(halo_snapshot_save_fd(snapshot, whole) == 0);
    must(halo_snapshot_save_fd(snapshot, ends[1]) == HALO_EFILE && errno == EPIPE);
    must(setrlimit(RLIMIT_FSIZE, &(struct rlimit){4096, 4096}) == 0);
    must(halo_snapshot_save_fd(snapshot, part) == HALO_EFILE && errno == EFBIG);
    halo_snapshot_free(snapshot);
    must(halo_snapshot(box, &snapshot) == 0);
    must(halo_snapshot_load_fd(&another, whole, NULL, 0) == 0);
    must(halo_restore(box, another) == 0);
    must(halo_run(box, 20000 * MS, &code) == 0 && code == 7);
    must(sigpending(&pending) == 0 && sigisemptyset(&pending));
    halo_snapshot_free(another);
    halo_snapshot_free(snapshot);
    halo_close(box);
}

static void snapshots_cause_no_signal(void **state)
{
    (void)state;
    on_every_backend(keeper_of_snapshots);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_19_a_terminal_stops_no_host_in_its_background),
        cmocka_unit_test(host_02_a_signal_ends_a_later_run_without_a_deadline),
        cmocka_unit_test(host_02_a_function_of_the_hosts_has_the_hosts_signals),
        cmocka_unit_test(host_02_a_broken_pipe_leaves_no_signal_behind),
        cmocka_unit_test(snapshots_cause_no_signal),
    };

    if (!hosts_find_guests(argc, argv))
        return 2;
    (void)snprintf(copies, sizeof(copies), "%s/cat.halo", argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
