/*
 * Hosts whose kernel, or what is around them, does not tell which pages were written: a restore of
 * a large guest compares all of them then, and nothing else changes. SNP-14.
 */
#define _GNU_SOURCE
#include "hosts.h"
#include <halo/confine.h>
#include <halo/snapshot.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cmocka.h>

#define PATIENCE (HOST_SECONDS * 1000 * MS)
#define PAGES 700u

static char large[300];
static struct halo_sandbox *box;

static uint64_t ask(const char *name, uint32_t first, uint32_t then, uint32_t count)
{
    const struct halo_value args[] = {halo_u32(first), halo_u32(then)};
    struct halo_signature signature;
    struct halo_future future;
    const char *exported;
    uint64_t result;
    uint32_t i = 0;

    while (halo_exported(box, i, &exported, &signature) && strcmp(exported, name) != 0)
        i++;
    (void)halo_call_start(box, &future, (int)i + 1, args, count);
    if (halo_wait(&future, PATIENCE))
        fprintf(stderr, "%s: %s\n", name, halo_errmsg(box));
    must(future.done && future.error == 0);
    result = future.result.u64;
    halo_future_free(&future);
    return result;
}

static void text(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    (void)halo_return(call, halo_str("none"));
}

static int try_open(enum halo_backend_choice backend)
{
    static const struct halo_signature type = HALO_FN(HALO_STR, HALO_U32);
    const struct halo_options options = {.backend = backend, .ram_len = 24 << 20};
    int error = halo_open(&box, large, &options);

    if (!error)
        error = halo_provide(box, "host.text", &type, text, NULL);
    return error ? error : halo_serve_begin(box, PATIENCE);
}

/* What a guest wrote is undone, whoever tells what that was; also where its process was replaced.
 */
static void restore_often(bool kills)
{
    struct halo_snapshot *snapshot;
    uint64_t sum;

    (void)ask("touch", PAGES, 0, 1);
    sum = ask("sum", 0, 0, 0);
    must(halo_snapshot(box, &snapshot) == 0);
    for (uint32_t i = 0; i < 6; i++) {
        must(ask("sum", 0, 0, 0) == sum);
        (void)ask("stamp", i, 100, 2);
        must(ask("sum", 0, 0, 0) != sum);
        if (kills && i % 5 == 4) {
            const pid_t pid = process_guest_of(getpid());

            must(pid > 0 && kill(pid, SIGKILL) == 0 && process_await_gone(pid));
        }
        must(halo_restore(box, snapshot) == 0);
        if (i % 3 == 2)
            must(halo_restore(box, snapshot) == 0);
    }
    must(ask("sum", 0, 0, 0) == sum);
    halo_snapshot_free(snapshot);
}

static void restores(void)
{
    restore_often(false);
}

static void plain_host(void *argument)
{
    const enum halo_backend_choice *backend = argument;

    must(try_open(*backend) == 0);
    restores();
    halo_close(box);
}

static void snp_14_a_large_guest_is_restored(void **state)
{
    (void)state;
    on_every_backend(plain_host);
}

static void filtered_host(void *argument)
{
    const enum halo_backend_choice backends[] = {HALO_BACKEND_AUTO, HALO_BACKEND_PROCESS};

    filter_around(argument);
    for (size_t i = 0; i < 2; i++) {
        must(try_open(backends[i]) == 0);
        restores();
        halo_close(box);
    }
}

static void snp_14_a_filter_that_refuses_it_or_kills_for_it_costs_time_alone(void **state)
{
    const uint32_t actions[] = {SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ERRNO | ENOSYS,
                                SECCOMP_RET_KILL_PROCESS};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        in_host(filtered_host, &(struct around){SYS_userfaultfd, SYS_userfaultfd, actions[i], 0});
}

/* One that came when the sandbox was open. Its process may be replaced in it. */
static void late_filter_host(void *argument)
{
    const enum halo_backend_choice backends[] = {HALO_BACKEND_AUTO, HALO_BACKEND_PROCESS};

    for (size_t i = 0; i < 2; i++) {
        must(try_open(backends[i]) == 0);
        if (i == 1)
            filter_around(argument);
        restore_often(i == 1);
        halo_close(box);
    }
}

static void snp_14_a_filter_may_come_later(void **state)
{
    const uint32_t actions[] = {SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_KILL_PROCESS};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        in_host(late_filter_host,
                &(struct around){SYS_userfaultfd, SYS_userfaultfd, actions[i], 0});
}

static void confined_host(void *argument)
{
    const enum halo_backend_choice *backend = argument;

    must(try_open(*backend) == 0);
    must(halo_confine(*backend == HALO_BACKEND_KVM ? HALO_CONFINE_KVM : HALO_CONFINE_PROCESS,
                      NULL) == 0);
    restores();
    _exit(0);
}

static void snp_14_a_confined_host_restores_a_large_guest(void **state)
{
    (void)state;
    on_every_backend(confined_host);
}

/* With so few descriptors it opens, or says why not; then it is restored. */
static void poor_host(void *argument)
{
    const enum halo_backend_choice *backend = argument;
    uint32_t opened_count = 0;

    for (rlim_t most = 5; most < 38; most += 2) {
        const struct rlimit limit = {most, 64};

        must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        if (try_open(*backend) == 0) {
            restores();
            opened_count++;
        }
        halo_close(box);
        box = NULL;
    }
    must(opened_count > 6);
}

static void snp_14_few_descriptors_cost_time_alone(void **state)
{
    (void)state;
    on_every_backend(poor_host);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snp_14_a_large_guest_is_restored),
        cmocka_unit_test(snp_14_a_filter_that_refuses_it_or_kills_for_it_costs_time_alone),
        cmocka_unit_test(snp_14_a_filter_may_come_later),
        cmocka_unit_test(snp_14_a_confined_host_restores_a_large_guest),
        cmocka_unit_test(snp_14_few_descriptors_cost_time_alone),
    };

    if (!hosts_find_guests(argc, argv))
        return 2;
    (void)snprintf(large, sizeof(large), "%s/large.halo", argv[1]);
    /* Where an ioctl fails, the first tells it. */
    return _cmocka_run_group_tests("hosts of large guests", tests,
                                   getenv("FAILING_IOCTL") ? 1 : sizeof(tests) / sizeof(tests[0]),
                                   NULL, NULL);
}
