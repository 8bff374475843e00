/* The end of a host, and its forks: no guest is left behind. */
#define _GNU_SOURCE
#include "hosts.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void await_state(pid_t process, char state)
{
    for (int i = 0; process_state(process) != state; i++) {
        must(i < 1000);
        usleep(1000);
    }
}

/* Run the guest for a moment and tell its process id through the pipe. */
static pid_t hold_guest(const int *pipe, int64_t timeout_ns)
{
    struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, "loop");
    const pid_t guest = process_guest_of(getpid());

    must(guest > 0);
    must(halo_serve_begin(box, timeout_ns) == HALO_ETIMEDOUT);
    await_state(guest, 'S'); /* it stands in its doorbell */
    must(write(pipe[1], &guest, sizeof(guest)) == sizeof(guest));
    return guest;
}

static void waiting_guest_host(void *argument)
{
    (void)hold_guest(argument, 50 * MS);
    raise(SIGKILL);
}

/* As is one that did not say in time where it is. */
static void stopped_guest_host(void *argument)
{
    const pid_t guest = hold_guest(argument, 50 * MS);

    must(kill(guest, SIGSTOP) == 0);
    await_state(guest, 'T');
    raise(SIGKILL);
}

static void forking_host(void *argument)
{
    const int *pipe = argument;
    pid_t child;

    (void)hold_guest(pipe, 50 * MS);
    child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    must(write(pipe[1], &child, sizeof(child)) == sizeof(child));
    raise(SIGKILL);
}

static void running_host(void *argument)
{
    const int *pipe = argument;
    struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, "loop");
    const pid_t guest = process_guest_of(getpid());
    const pid_t host = getpid();
    int code;

    if (fork() == 0) {
        usleep(50000);
        must(write(pipe[1], &guest, sizeof(guest)) == sizeof(guest));
        kill(host, SIGKILL);
        _exit(0);
    }
    (void)halo_run(box, HALO_FOREVER, &code);
}

static void execing_host(void *argument)
{
    (void)hold_guest(argument, 50 * MS);
    execl("/bin/sleep", "sleep", "3", (char *)NULL);
}

static void leaving_host(void *argument)
{
    (void)hold_guest(argument, 50 * MS);
    exit(0);
}

static void *open_in_thread(void *argument)
{
    *(struct halo_sandbox **)argument = opened(HALO_BACKEND_PROCESS, "exit-7");
    return NULL;
}

/* The guest of a host that ended must end; `forked` is a child of the host's that lives on. */
static void expect_no_guest(void (*host)(void *argument), bool has_fork)
{
    int pipe[2];
    pid_t pid, guest, forked = 0;
    bool has_gone, fork_lives = true;

    assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        alarm(HOST_SECONDS);
        host(pipe);
        _exit(1);
    }
    close(pipe[1]);
    assert_int_equal(read(pipe[0], &guest, sizeof(guest)), sizeof(guest));
    if (has_fork)
        assert_int_equal(read(pipe[0], &forked, sizeof(forked)), sizeof(forked));
    has_gone = process_await_gone(guest);
    if (forked) {
        fork_lives = process_state(forked) != 0;
        kill(forked, SIGKILL);
    }
    kill(guest, SIGKILL);
    assert_true(has_gone);
    assert_true(fork_lives);
    waitpid(pid, NULL, 0);
    close(pipe[0]);
}

static void host_05_a_guest_that_is_stopped_by_a_time_limit_ends_with_its_host(void **state)
{
    (void)state;
    expect_no_guest(waiting_guest_host, false);
    expect_no_guest(stopped_guest_host, false);
    expect_no_guest(leaving_host, false);
}

static void host_05_a_guest_that_runs_ends_with_its_host(void **state)
{
    (void)state;
    expect_no_guest(running_host, false);
}

static void host_05_a_fork_of_the_host_keeps_no_guest_of_a_dead_host_alive(void **state)
{
    (void)state;
    expect_no_guest(forking_host, true);
}

static void host_05_a_guest_ends_where_its_host_becomes_another_program(void **state)
{
    (void)state;
    expect_no_guest(execing_host, false);
}

static void host_whose_thread_ends(void *argument)
{
    struct halo_sandbox *box;
    pthread_t thread;
    int code;

    (void)argument;
    must(pthread_create(&thread, NULL, open_in_thread, &box) == 0);
    must(pthread_join(thread, NULL) == 0);
    usleep(100000);
    must(halo_run(box, 20000 * MS, &code) == 0 && code == 7);
    halo_close(box);
}

static void host_08_a_guest_outlives_the_thread_that_opened_it(void **state)
{
    (void)state;
    in_host(host_whose_thread_ends, NULL);
}

static void host_whose_fork_closes(void *argument)
{
    struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, "exit-7");
    pid_t child = fork();
    int code, status;

    (void)argument;
    if (child == 0) {
        halo_close(box);
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child && status == 0);
    must(halo_run(box, 20000 * MS, &code) == 0 && code == 7);
    halo_close(box);
}

static void host_07_a_fork_of_the_host_that_closes_its_copy_leaves_the_guest_alone(void **state)
{
    (void)state;
    in_host(host_whose_fork_closes, NULL);
}

static void host_whose_fork_runs(void *argument)
{
    const enum halo_backend_choice backend = *(enum halo_backend_choice *)argument;
    struct halo_sandbox *box = opened(backend, "exit-7");
    pid_t child = fork();
    int code, status;

    if (child == 0) {
        must(halo_run(box, 20000 * MS, &code) == HALO_ESTATE);
        must(strstr(halo_errmsg(box), "not of its fork"));
        halo_close(box);
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child && status == 0);
    must(halo_run(box, 20000 * MS, &code) == 0 && code == 7);
    halo_close(box);
}

static void host_07_a_fork_of_the_host_cannot_run_its_guest(void **state)
{
    (void)state;
    on_every_backend(host_whose_fork_runs);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_05_a_guest_that_is_stopped_by_a_time_limit_ends_with_its_host),
        cmocka_unit_test(host_05_a_fork_of_the_host_keeps_no_guest_of_a_dead_host_alive),
        cmocka_unit_test(host_05_a_guest_ends_where_its_host_becomes_another_program),
        cmocka_unit_test(host_08_a_guest_outlives_the_thread_that_opened_it),
        cmocka_unit_test(host_07_a_fork_of_the_host_that_closes_its_copy_leaves_the_guest_alone),
        cmocka_unit_test(host_05_a_guest_that_runs_ends_with_its_host),
        cmocka_unit_test(host_07_a_fork_of_the_host_cannot_run_its_guest),
    };

    return hosts_find_guests(argc, argv) ? cmocka_run_group_tests(tests, NULL, NULL) : 2;
}
