/* A guest and its keeper are invisible to what the host does about its own children. */
#define _GNU_SOURCE
#include "hosts.h"
#include <errno.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static volatile sig_atomic_t child_signals;

static void count_signal(int signal)
{
    (void)signal;
    child_signals++;
}

static void expect_end(const char *mode, int kill_with, const char *words)
{
    struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, mode);
    int code;

    must(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    must(wait(NULL) < 0 && errno == ECHILD);
    if (kill_with)
        kill(process_child_of(process_child_of(getpid())), kill_with);
    must(halo_run(box, 20000 * MS, &code) == HALO_EFAULT);
    if (!strstr(halo_errmsg(box), words))
        fprintf(stderr, "%s\n", halo_errmsg(box));
    must(strstr(halo_errmsg(box), words));
    must(wait(NULL) < 0 && errno == ECHILD);
    halo_close(box);
    must(wait(NULL) < 0 && errno == ECHILD);
    must(process_child_of(getpid()) == 0);
    must(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
}

static void waiting_host(void *argument)
{
    struct halo_sandbox *box;

    (void)argument;
    expect_end("syscall", 0, "made system call 39");
    if (geteuid() == 0)
        expect_end("exit-7", SIGTERM, "signal 15");
    run_to_exit_7(HALO_BACKEND_PROCESS);
    box = opened(HALO_BACKEND_PROCESS, "loop");
    must(halo_serve_begin(box, 20 * MS) == HALO_ETIMEDOUT);
    must(wait(NULL) < 0 && errno == ECHILD);
    halo_close(box);
    must(wait(NULL) < 0 && errno == ECHILD);
    must(child_signals == 0);
}

static void counting_host(void *argument)
{
    must(signal(SIGCHLD, count_signal) != SIG_ERR);
    waiting_host(argument);
}

static void ignoring_host(void *argument)
{
    must(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    waiting_host(argument);
}

static void subreaper_host(void *argument)
{
    must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    counting_host(argument);
}

static void first_process_host(void *argument)
{
    pid_t pid;
    int status;

    /* Not by unshare, which makes no user namespace where a sanitizer has a thread. */
    pid = (pid_t)syscall(SYS_clone,
                         CLONE_NEWPID | CLONE_NEWNS | SIGCHLD | (geteuid() ? CLONE_NEWUSER : 0), 0,
                         0, 0, 0);
    if (pid == 0) {
        must(getpid() == 1);
        /* /proc shows the processes of the namespace that it was mounted in. */
        must(syscall(SYS_mount, "none", "/", NULL, 0x44000ul, NULL) == 0);
        must(syscall(SYS_mount, "proc", "/proc", "proc", 0ul, NULL) == 0 || geteuid() != 0);
        if (argument)
            run_to_exit_7(HALO_BACKEND_PROCESS);
        else
            counting_host(NULL);
        _exit(0);
    }
    must(waitpid(pid, &status, 0) == pid && status == 0);
}

static void *wait_for_all(void *stop)
{
    while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED))
        (void)waitpid(-1, NULL, WNOHANG | __WALL);
    return NULL;
}

/* What asks for guest memory, too; and where somebody waits for everything, it is there all the
 * same. */
static void host_that_reserves(void *backend)
{
    const char *args[] = {"guest", "exit-7"};
    const struct halo_options options = {.backend = *(enum halo_backend_choice *)backend,
                                         .args = args,
                                         .arg_count = 2,
                                         .reserve = true};
    struct halo_sandbox *box;
    bool stop = false;
    pthread_t other;
    int code;

    child_signals = 0;
    must(signal(SIGCHLD, count_signal) != SIG_ERR);
    must(halo_open(&box, trouble, &options) == 0);
    must(child_signals == 0 && wait(NULL) < 0 && errno == ECHILD);
    must(halo_run(box, HALO_FOREVER, &code) == 0 && code == 7);
    halo_close(box);
    must(child_signals == 0 && process_child_of(getpid()) == 0);
    must(pthread_create(&other, NULL, wait_for_all, &stop) == 0);
    for (int i = 0; i < 5; i++) {
        const int error = halo_open(&box, trouble, &options);

        must(error == 0 || options.backend == HALO_BACKEND_PROCESS); /* it needs its keeper */
        halo_close(box);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    must(pthread_join(other, NULL) == 0);
}

static void host_06_what_asks_for_memory_is_never_met_in_wait(void **state)
{
    (void)state;
    on_every_backend(host_that_reserves);
}

static void host_06_a_host_never_meets_the_guest_in_wait(void **state)
{
    (void)state;
    in_host(counting_host, NULL);
}

static void host_06_a_host_that_ignores_its_children_is_told_every_end_truly(void **state)
{
    (void)state;
    in_host(ignoring_host, NULL);
}

static void host_06_a_subreaper_never_meets_the_guest_in_wait(void **state)
{
    (void)state;
    in_host(subreaper_host, NULL);
}

static void host_06_process_1_never_meets_the_guest_in_wait(void **state)
{
    (void)state;
    in_host(first_process_host, NULL);
}

static void host_that_takes_all(void *argument)
{
    struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, "syscall");
    int code;

    (void)argument;
    must(halo_run(box, 20000 * MS, &code) == HALO_EFAULT);
    must(strstr(halo_errmsg(box), "made system call 39"));
    halo_close(box);
    box = opened(HALO_BACKEND_PROCESS, "syscall");
    kill(process_guest_of(getpid()), SIGKILL);
    while (waitpid(-1, NULL, __WALL) < 0 && errno == EINTR)
        continue; /* it has taken the keeper */
    must(halo_run(box, 20000 * MS, &code) == HALO_EFAULT || geteuid() != 0);
    must(strstr(halo_errmsg(box), "signal 9") || geteuid() != 0);
    halo_close(box);
}

static void host_06_a_host_that_waits_for_processes_of_every_kind_is_told_the_end(void **state)
{
    (void)state;
    in_host(host_that_takes_all, NULL);
}

static void host_whose_guest_is_sent_a_fault(void *argument)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    char words[64];

    (void)argument;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, "loop");
        int code;

        must(kill(process_guest_of(getpid()), signals[i]) == 0 || geteuid() != 0);
        must(halo_run(box, geteuid() == 0 ? 20000 * MS : 10 * MS, &code) != 0);
        (void)snprintf(words, sizeof(words), "somebody sent its process signal %d", signals[i]);
        must(strstr(halo_errmsg(box), words) || geteuid() != 0);
        halo_close(box);
    }
}

static void host_06_a_signal_that_somebody_sent_is_told_as_no_fault(void **state)
{
    (void)state;
    in_host(host_whose_guest_is_sent_a_fault, NULL);
}

static void *open_and_close(void *argument)
{
    (void)argument;
    for (int i = 0; i < 20; i++)
        run_to_exit_7(HALO_BACKEND_PROCESS);
    return NULL;
}

static void host_of_threads(void *argument)
{
    pthread_t threads[8];

    (void)argument;
    for (size_t i = 0; i < 8; i++)
        must(pthread_create(&threads[i], NULL, open_and_close, NULL) == 0);
    for (size_t i = 0; i < 8; i++)
        must(pthread_join(threads[i], NULL) == 0);
    must(process_child_of(getpid()) == 0);
}

static void host_08_threads_open_sandboxes_at_the_same_time(void **state)
{
    (void)state;
    in_host(host_of_threads, NULL);
}

static void host_that_unloads_a_library(void *argument)
{
    (void)argument;
    for (int i = 0; i < 5; i++) {
        void *library = dlopen(plugin, RTLD_NOW);
        int (*run)(const char *path, const char *mode);

        must(library);
        *(void **)&run = dlsym(library, "plugin_run");
        must(run && run(trouble, "exit-7") == 7 && run(trouble, "syscall") == -1);
        must(dlclose(library) == 0);
        must(process_child_of(getpid()) == 0);
    }
}

static void host_08_a_library_that_is_unloaded_leaves_no_process(void **state)
{
    (void)state;
    in_host(host_that_unloads_a_library, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_06_what_asks_for_memory_is_never_met_in_wait),
        cmocka_unit_test(host_06_a_host_never_meets_the_guest_in_wait),
        cmocka_unit_test(host_06_a_host_that_ignores_its_children_is_told_every_end_truly),
        cmocka_unit_test(host_06_a_subreaper_never_meets_the_guest_in_wait),
        cmocka_unit_test(host_06_process_1_never_meets_the_guest_in_wait),
        cmocka_unit_test(host_06_a_host_that_waits_for_processes_of_every_kind_is_told_the_end),
        cmocka_unit_test(host_06_a_signal_that_somebody_sent_is_told_as_no_fault),
        cmocka_unit_test(host_08_threads_open_sandboxes_at_the_same_time),
        cmocka_unit_test(host_08_a_library_that_is_unloaded_leaves_no_process),
    };

    return hosts_find_guests(argc, argv) ? cmocka_run_group_tests(tests, NULL, NULL) : 2;
}
