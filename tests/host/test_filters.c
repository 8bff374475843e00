/* Hosts inside a seccomp filter: the doorbell rings, or opening refuses and says why. */
#define _GNU_SOURCE
#include "hosts.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void filtered_host(void *argument)
{
    filter_around(argument);
    run_to_exit_7(HALO_BACKEND_PROCESS);
    must(wait(NULL) < 0 && errno == ECHILD);
}

static void host_04_a_filter_that_refuses_unknown_calls_leaves_a_doorbell_that_rings(void **state)
{
    const uint32_t actions[] = {SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ERRNO | ENOSYS,
                                SECCOMP_RET_TRAP, SECCOMP_RET_KILL_PROCESS};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        in_host(filtered_host, &(struct around){470, 0x3fffffff, actions[i], 0});
}

static void host_04_a_filter_that_refuses_a_second_wall_costs_that_wall_alone(void **state)
{
    const uint32_t calls[] = {SYS_unshare, SYS_chroot, 444 /* landlock_create_ruleset */,
                              SYS_setgroups, SYS_setresuid};

    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        in_host(filtered_host, &(struct around){calls[i], calls[i], SECCOMP_RET_ERRNO | EPERM, 0});
        in_host(filtered_host, &(struct around){calls[i], calls[i], SECCOMP_RET_KILL_PROCESS, 0});
    }
    in_host(filtered_host,
            &(struct around){SYS_close_range, SYS_close_range, SECCOMP_RET_ERRNO | EPERM, 0});
}

static void refused_host(void *argument)
{
    struct halo_sandbox *box;

    filter_around(argument);
    must(open_guest(&box, HALO_BACKEND_PROCESS, trouble, "exit-7") == HALO_EHOST);
    must(strstr(halo_errmsg(box), "seccomp"));
    halo_close(box);
    must(process_child_of(getpid()) == 0);
}

static void host_04_where_no_doorbell_can_be_had_opening_refuses_and_says_why(void **state)
{
    (void)state;
    in_host(refused_host, &(struct around){SYS_seccomp, SYS_seccomp, SECCOMP_RET_ERRNO | EPERM, 0});
}

static void host_without_random_bytes(void *argument)
{
    struct halo_sandbox *box;

    filter_around(argument);
    must(open_guest(&box, HALO_BACKEND_PROCESS, trouble, "exit-7") == HALO_EHOST);
    must(strstr(halo_errmsg(box), "random bytes"));
    halo_close(box);
}

static void host_04_a_guest_without_random_bytes_is_none(void **state)
{
    (void)state;
    in_host(host_without_random_bytes,
            &(struct around){SYS_getrandom, SYS_getrandom, SECCOMP_RET_ERRNO | ENOSYS, 0});
}

static void host_of_a_deadly_filter(void *argument)
{
    struct halo_sandbox *box;

    filter_around(argument);
    must(open_guest(&box, HALO_BACKEND_PROCESS, trouble, "exit-7") == HALO_EHOST);
    must(strstr(halo_errmsg(box), "seccomp filter around this process"));
    halo_close(box);
    must(process_child_of(getpid()) == 0);
}

static void host_04_where_a_call_that_is_needed_is_deadly_opening_refuses_and_says_why(void **state)
{
    (void)state;
    in_host(host_of_a_deadly_filter,
            &(struct around){SYS_seccomp, SYS_seccomp, SECCOMP_RET_KILL_PROCESS, 0});
    in_host(host_of_a_deadly_filter,
            &(struct around){SYS_setsid, SYS_setsid, SECCOMP_RET_KILL_PROCESS, 0});
}

static void host_of_a_silent_doorbell(void *argument)
{
    const char *const guests[] = {trouble, syscalls};
    struct halo_sandbox *box;

    filter_around(argument);
    for (size_t i = 0; i < 2; i++) {
        must(open_guest(&box, HALO_BACKEND_PROCESS, guests[i], "exit-7") == HALO_EHOST);
        must(strstr(halo_errmsg(box), "the doorbell cannot ring"));
        halo_close(box);
        must(process_child_of(getpid()) == 0);
    }
}

/* The first argument of a doorbell of the child's own is 0x100. */
static void host_04_where_the_doorbell_is_refused_opening_refuses_and_says_why(void **state)
{
    const uint32_t actions[] = {SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_TRAP,
                                SECCOMP_RET_KILL_PROCESS};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        in_host(host_of_a_silent_doorbell, &(struct around){SYS_read, SYS_read, actions[i], 0x100});
}

static void host_without_signals(void *argument)
{
    struct halo_sandbox *box;
    pid_t guest;

    filter_around(argument);
    box = opened(HALO_BACKEND_PROCESS, "loop");
    guest = process_guest_of(getpid());
    must(halo_serve_begin(box, 50 * MS) == HALO_EFAULT);
    must(strstr(halo_errmsg(box), "at its time limit it had to be killed"));
    must(process_await_gone(guest));
    halo_close(box);
}

static void host_04_a_guest_that_cannot_be_stopped_at_its_limit_ends(void **state)
{
    const uint32_t call = SYS_pidfd_send_signal;

    (void)state;
    in_host(host_without_signals, &(struct around){call, call, SECCOMP_RET_ERRNO | EPERM, 0});
    in_host(host_without_signals, &(struct around){call, call, SECCOMP_RET_ERRNO | ENOSYS, 0});
}

static void host_with_a_listener(void *argument)
{
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const struct sock_fprog program = {1, code};
    struct halo_sandbox *box;

    (void)argument;
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                 &program) >= 0);
    must(open_guest(&box, HALO_BACKEND_PROCESS, trouble, "exit-7") == HALO_EHOST);
    must(strstr(halo_errmsg(box), "no other listener"));
    halo_close(box);
}

static void host_04_where_another_listens_already_opening_refuses_and_says_why(void **state)
{
    (void)state;
    in_host(host_with_a_listener, NULL);
}

/* --- Any filter ---------------------------------------------------------------------------------
 */

enum outcome { NOTHING, WORKED, REFUSED, LOST };

static enum outcome *outcome; /* shared with the host, which may be unable to tell otherwise */

static void host_to_be_refused(const struct around *around)
{
    struct halo_sandbox *box = NULL;
    int code = 0, error;

    filter_around(around);
    error = open_guest(&box, HALO_BACKEND_PROCESS, trouble, "exit-7");
    if (error)
        *outcome = halo_errmsg(box)[0] ? REFUSED : LOST;
    else if (halo_run(box, 20000 * MS, &code) == 0)
        *outcome = code == 7 ? WORKED : LOST;
    else
        *outcome = halo_errmsg(box)[0] ? REFUSED : LOST;
    halo_close(box);
    _exit(0);
}

/* All that a host left behind becomes ours, and must end. */
static void expect_nothing_left(uint32_t call)
{
    for (int i = 0; waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD; i++) {
        if (i == 5000)
            fail_msg("call %u: a process is left", call);
        usleep(1000);
    }
}

/* A host that makes the call itself: its filter kills it, or the runtime of a sanitizer gives up.
 */
static bool may_end_by_itself(int status)
{
#if defined(__SANITIZE_ADDRESS__)
    if (status != 0)
        return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    if (status != 0)
        return true;
#endif
#endif
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static void sweep(uint32_t call, uint32_t action)
{
    const struct around around = {call, call, action, 0};
    pid_t pid;
    int status;

    *outcome = NOTHING;
    pid = fork();
    if (pid == 0) {
        alarm(8); /* it takes a few milliseconds */
        host_to_be_refused(&around);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        fail_msg("call %u, action %x: it hangs", call, action);
    if (*outcome == LOST || (*outcome == NOTHING && !may_end_by_itself(status)))
        fail_msg("call %u, action %x: outcome %d, status %x", call, action, *outcome, status);
    expect_nothing_left(call);
}

static void host_04_whatever_call_a_filter_refuses_a_guest_runs_or_it_is_said_why(void **state)
{
    const uint32_t actions[] = {SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_KILL_PROCESS};

    (void)state;
    outcome =
        mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(outcome, MAP_FAILED);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    for (uint32_t call = 0; call < 470; call++) {
        for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
            sweep(call, actions[i]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_04_a_filter_that_refuses_unknown_calls_leaves_a_doorbell_that_rings),
        cmocka_unit_test(host_04_a_filter_that_refuses_a_second_wall_costs_that_wall_alone),
        cmocka_unit_test(host_04_where_no_doorbell_can_be_had_opening_refuses_and_says_why),
        cmocka_unit_test(host_04_a_guest_without_random_bytes_is_none),
        cmocka_unit_test(
            host_04_where_a_call_that_is_needed_is_deadly_opening_refuses_and_says_why),
        cmocka_unit_test(host_04_where_the_doorbell_is_refused_opening_refuses_and_says_why),
        cmocka_unit_test(host_04_a_guest_that_cannot_be_stopped_at_its_limit_ends),
        cmocka_unit_test(host_04_where_another_listens_already_opening_refuses_and_says_why),
        cmocka_unit_test(host_04_whatever_call_a_filter_refuses_a_guest_runs_or_it_is_said_why),
    };

    return hosts_find_guests(argc, argv) ? cmocka_run_group_tests(tests, NULL, NULL) : 2;
}
