/* Hosts that confine themselves: HOST-21. On every backend; where Landlock is, and where not. */
#define _GNU_SOURCE
#include "hosts.h"
#include <fcntl.h>
#include <halo/confine.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define SECONDS 1000000000ll

static bool has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

static uint32_t features_of(enum halo_backend_choice backend)
{
    return HALO_CONFINE_STREAMS |
           (backend == HALO_BACKEND_KVM ? HALO_CONFINE_KVM : HALO_CONFINE_PROCESS);
}

static void confined_host(void *backend)
{
    const enum halo_backend_choice choice = *(const enum halo_backend_choice *)backend;
    struct halo_sandbox *box = opened(choice, "exit-7"), *other;
    const uint32_t expected = HALO_WALL_CALLS | (has_landlock() ? HALO_WALL_FILES : 0u);
    uint32_t walls;
    int code = -1;

    must(halo_confine(features_of(choice), &walls) == 0);
    must(walls == expected);
    must(open("/dev/null", O_RDONLY) < 0 && errno == EPERM);
    must(halo_run(box, 30 * SECONDS, &code) == 0 && code == 7);
    halo_close(box);
    must(open_guest(&other, choice, trouble, "exit-7") < 0);
    must(*halo_errmsg(other));
    halo_close(other);
    must(halo_confine(0, NULL) < 0); /* it cannot install a filter any more */
}

static void host_21_a_confined_host_runs_its_guest_and_opens_no_other(void **state)
{
    (void)state;
    on_every_backend(confined_host);
}

static void without_landlock(void *backend)
{
    filter_around(&(struct around){SYS_landlock_create_ruleset, SYS_landlock_restrict_self,
                                   SECCOMP_RET_ERRNO | ENOSYS, 0});
    must(!has_landlock());
    confined_host(backend);
}

static void host_21_without_landlock_the_calls_are_refused_all_the_same(void **state)
{
    (void)state;
    on_every_backend(without_landlock);
}

static void files_alone(void *nothing)
{
    uint32_t walls;

    (void)nothing;
    must(halo_confine(HALO_CONFINE_FILES_ALONE, &walls) == 0);
    must(walls == HALO_WALL_FILES);
    must(open("/dev/null", O_RDONLY) < 0 && errno == EACCES);
    must(getppid() > 0);
}

static void host_21_landlock_alone_forbids_files_and_no_call(void **state)
{
    (void)state;
    if (has_landlock())
        in_host(files_alone, NULL);
}

static void no_filter(void *nothing)
{
    uint32_t walls = 99;

    (void)nothing;
    filter_around(&(struct around){SYS_seccomp, SYS_seccomp, SECCOMP_RET_ERRNO | ENOSYS, 0});
    must(halo_confine(HALO_CONFINE_KVM, &walls) == HALO_EHOST && errno == ENOSYS);
    must(!(walls & HALO_WALL_CALLS));
    must(halo_confine(64, &walls) == HALO_EINVAL && walls == 0);
}

static void what_cannot_be_had_is_told(void **state)
{
    (void)state;
    in_host(no_filter, NULL);
}

static pthread_barrier_t barrier;

static void *other_thread(void *unused)
{
    pthread_barrier_wait(&barrier); /* it has begun: what a C library does for that is over */
    pthread_barrier_wait(&barrier);
    must(open("/dev/null", O_RDONLY) < 0 && errno == EPERM);
    return unused;
}

static void two_threads(void *nothing)
{
    pthread_t thread;

    (void)nothing;
    must(pthread_barrier_init(&barrier, NULL, 2) == 0);
    must(pthread_create(&thread, NULL, other_thread, NULL) == 0);
    pthread_barrier_wait(&barrier);
    must(halo_confine(HALO_CONFINE_KVM, NULL) == 0);
    pthread_barrier_wait(&barrier);
    must(pthread_join(thread, NULL) == 0);
    must(pthread_create(&thread, NULL, other_thread, NULL) != 0);
}

static void host_21_threads_from_before_are_confined_and_none_comes(void **state)
{
    (void)state;
    in_host(two_threads, NULL);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_21_a_confined_host_runs_its_guest_and_opens_no_other),
        cmocka_unit_test(host_21_without_landlock_the_calls_are_refused_all_the_same),
        cmocka_unit_test(host_21_landlock_alone_forbids_files_and_no_call),
        cmocka_unit_test(what_cannot_be_had_is_told),
        cmocka_unit_test(host_21_threads_from_before_are_confined_and_none_comes),
    };

    if (!hosts_find_guests(argc, argv))
        return 2;
    return cmocka_run_group_tests_name("hosts that confine themselves", tests, NULL, NULL);
}
