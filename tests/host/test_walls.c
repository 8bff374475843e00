/* What a guest's process has given up, and what it cannot forge. */
#define _GNU_SOURCE
#include "hosts.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static void host_that_looks_at_its_guest(void *argument)
{
    struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, "loop");
    const pid_t guest = process_guest_of(getpid());
    const char *const caps[] = {"CapInh:", "CapPrm:", "CapEff:", "CapAmb:"};
    const char *const limits[] = {
        "Max file size",  "Max data size",     "Max stack size",    "Max core file size",
        "Max processes",  "Max open files",    "Max locked memory", "Max address space",
        "Max file locks", "Max msgqueue size", "Max nice priority", "Max realtime priority",
    };

    (void)argument;
    must(guest > 0);
    for (size_t i = 0; i < 4; i++)
        must(strcmp(process_line(guest, "status", caps[i]), "\t0000000000000000") == 0);
    if (geteuid() == 0) /* or where it has a user namespace, as may be refused to others */
        must(strcmp(process_line(guest, "status", "CapBnd:"), "\t0000000000000000") == 0);
    must(atoi(process_line(guest, "status", "NoNewPrivs:")) == 1);
    must(atoi(process_line(guest, "status", "Seccomp:")) == 2);
    must(atoi(process_line(guest, "status", "Uid:")) != 0);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        char soft[24] = "", hard[24] = "";

        must(sscanf(process_line(guest, "limits", limits[i]), "%23s %23s", soft, hard) == 2);
        must(strcmp(soft, "0") == 0 && strcmp(hard, "0") == 0); /* not "unlimited" */
    }
    must(atoi(process_line(guest, "oom_score_adj", "")) == 1000); /* COST-03 */
    if (geteuid() == 0) {
        char ours[64] = "", its[64] = "", path[64];

        must(process_line(guest, "status", "Groups:")[1] <= ' ');
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", guest);
        must(readlink("/proc/self/ns/user", ours, 63) > 0 && readlink(path, its, 63) > 0);
        must(strcmp(ours, its) != 0);
        (void)snprintf(path, sizeof(path), "/proc/%d/root", guest);
        must(readlink(path, its, 63) > 1);
        (void)snprintf(path, sizeof(path), "/proc/%d/cwd", guest);
        must(readlink(path, its, 63) > 1);
    }
    halo_close(box);
}

static void host_10_a_guests_process_has_no_right_that_can_be_given_up(void **state)
{
    (void)state;
    in_host(host_that_looks_at_its_guest, NULL);
}

/* Whichever of the other walls is refused, no capability is left that a program could gain. */
static void host_whose_guest_has_fewer_walls(void *argument)
{
    struct halo_sandbox *box;
    pid_t guest;

    filter_around(argument);
    box = opened(HALO_BACKEND_PROCESS, "loop");
    guest = process_guest_of(getpid());
    must(strcmp(process_line(guest, "status", "CapBnd:"), "\t0000000000000000") == 0);
    must(strcmp(process_line(guest, "status", "CapPrm:"), "\t0000000000000000") == 0);
    must(strcmp(process_line(guest, "status", "CapEff:"), "\t0000000000000000") == 0);
    halo_close(box);
}

static void host_10_without_namespaces_no_capability_can_be_gained_either(void **state)
{
    const uint32_t calls[] = {SYS_unshare, SYS_setresuid, SYS_setgroups};

    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        in_host(host_whose_guest_has_fewer_walls,
                &(struct around){calls[i], calls[i], SECCOMP_RET_ERRNO | EPERM, 0});
}

/* A pipe that was not to be closed at exec: only the host holds its writing end. */
static void host_of_a_pipe(void *argument)
{
    struct halo_sandbox *box;
    int ends[2], high;
    struct pollfd pollfd;

    (void)argument;
    must(pipe(ends) == 0);
    high = fcntl(ends[1], F_DUPFD, 40); /* no number that the child has itself */
    must(high >= 40);
    box = opened(HALO_BACKEND_PROCESS, "loop");
    close(ends[1]);
    close(high);
    pollfd = (struct pollfd){.fd = ends[0], .events = POLLIN};
    must(poll(&pollfd, 1, 5000) == 1 && pollfd.revents == POLLHUP);
    halo_close(box);
}

static void host_10_no_descriptor_of_the_host_is_held_by_keeper_or_guest(void **state)
{
    (void)state;
    in_host(host_of_a_pipe, NULL);
}

static void host_that_looks_at_the_keeper(void *argument)
{
    struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, "loop");
    const pid_t keeper = process_child_of(getpid());

    (void)argument;
    usleep(50000);
    must(strcmp(process_line(keeper, "status", "Name:"), "\thalo-keeper") == 0);
    must(strcmp(process_line(keeper, "status", "CapPrm:"), "\t0000000000000000") == 0);
    must(strcmp(process_line(keeper, "status", "CapEff:"), "\t0000000000000000") == 0);
    must(atoi(process_line(keeper, "status", "Seccomp:")) == 2);
    must(atoi(process_line(keeper, "status", "NoNewPrivs:")) == 1);
    halo_close(box);
}

static void host_10_the_keeper_has_no_right_either(void **state)
{
    (void)state;
    in_host(host_that_looks_at_the_keeper, NULL);
}

static void host_that_does_not_run(void *argument)
{
    struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, "loop");
    const pid_t guest = process_guest_of(getpid());

    (void)argument;
    for (int i = 0; i < 20; i++) {
        must(process_state(guest) == 'S');
        usleep(5000);
    }
    if (geteuid() == 0) {
        kill(guest, SIGSTOP);
        usleep(20000);
        kill(guest, SIGCONT); /* it rings once more, and still does not begin */
        usleep(20000);
        must(process_state(guest) == 'S');
    }
    must(halo_serve_begin(box, 20 * MS) == HALO_ETIMEDOUT);
    halo_close(box);
    run_to_exit_7(HALO_BACKEND_PROCESS);
}

static void host_11_nothing_of_the_guest_runs_before_the_host_runs_it(void **state)
{
    (void)state;
    in_host(host_that_does_not_run, NULL);
}

static void forged(void *argument)
{
    const char *const mode = argument;
    const bool is_stopped = strcmp(mode, "forge-later") == 0;
    const char *const guest = is_stopped || strcmp(mode, "forge") == 0 ? syscalls : trouble;
    struct halo_sandbox *box;
    int code;

    must(open_guest(&box, HALO_BACKEND_PROCESS, guest, mode) == 0);
    must(!is_stopped || halo_serve_begin(box, 10 * MS) == HALO_ETIMEDOUT);
    must(halo_run(box, 20000 * MS, &code) == HALO_EPOISONED);
    must(strstr(halo_errmsg(box), "unknown 0x101") && !halo_fault(box));
    halo_close(box);
}

/* PAGE-07. Told that there is no memory there, or no debugger, it goes on, and what happens then is
 * what is reported. */
static void claimed(void *argument)
{
    struct halo_sandbox *box;
    int code;

    must(open_guest(&box, HALO_BACKEND_PROCESS, syscalls, argument) == 0);
    must(halo_run(box, 2000 * MS, &code) != 0);
    must(!strstr(halo_errmsg(box), "0x10000001234") && !strstr(halo_errmsg(box), "0x4567"));
    halo_close(box);
}

static void host_09_a_guest_cannot_forge_its_fault_report(void **state)
{
    (void)state;
    in_host(claimed, (void *)(uintptr_t) "claim");
    in_host(claimed, (void *)(uintptr_t) "trap");
    in_host(forged, (void *)(uintptr_t) "forged-report");
    in_host(forged, (void *)(uintptr_t) "stolen-report");
    in_host(forged, (void *)(uintptr_t) "forge");
    in_host(forged, (void *)(uintptr_t) "forge-later");
}

/* PAGE-08. */
static void rings_on(void *argument)
{
    const char *const args[] = {"syscalls", argument};
    const struct halo_options options = {
        .backend = HALO_BACKEND_PROCESS, .args = args, .arg_count = 2, .exits_per_second = 100};
    struct halo_sandbox *box;
    int code;

    must(halo_open(&box, syscalls, &options) == 0);
    must(halo_run(box, 20000 * MS, &code) == HALO_ELIMIT);
    must(strstr(halo_errmsg(box), "more than 100 times a second"));
    halo_close(box);
}

static void host_09_what_the_child_says_unasked_counts_as_exits(void **state)
{
    (void)state;
    in_host(rings_on, (void *)(uintptr_t) "where");
    in_host(rings_on, (void *)(uintptr_t) "map");
}

static void host_of_system_calls(void *argument)
{
    struct halo_sandbox *box;
    int code = 0;

    must(open_guest(&box, *(enum halo_backend_choice *)argument, syscalls, "") == 0);
    must(halo_run(box, 20000 * MS, &code) == 0 && code == 7);
    halo_close(box);
}

static void host_09_a_system_call_of_the_guests_own_rings_no_doorbell(void **state)
{
    (void)state;
    on_every_backend(host_of_system_calls);
}

static FILE *maps_of(pid_t guest)
{
    char path[64];
    FILE *maps;

    (void)snprintf(path, sizeof(path), "/proc/%d/maps", guest);
    maps = fopen(path, "re");
    must(maps);
    return maps;
}

/* The next of the mappings that are the child's own. */
static bool next_of_child(FILE *maps, unsigned long *start, unsigned long *end, char rights[8])
{
    char line[512];

    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx %7s", start, end, rights) == 3 && *start >= 0x600000000000 &&
            *start <= 0x700000000000)
            return true;
    }
    return false;
}

/* The pages of the child's data, before the guest has begun: nothing but an address of guest
 * memory. */
static void host_that_reads_the_child(void *argument)
{
    struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, "loop");
    const pid_t guest = process_guest_of(getpid());
    char rights[8], path[64];
    unsigned long start, end, total = 0;
    FILE *maps = maps_of(guest);
    int memory;

    (void)argument;
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", guest);
    memory = open(path, O_RDONLY);
    must(memory >= 0);
    while (next_of_child(maps, &start, &end, rights)) {
        if (rights[2] == 'x')
            continue;
        for (; start < end; start += 8) {
            uint64_t word = 1;

            must(pread(memory, &word, 8, (off_t)start) == 8);
            must(word < HALO_RAM_BASE + HALO_RAM_DEFAULT);
            total++;
        }
    }
    must(total > 0);
    halo_close(box);
}

static void host_09_what_the_child_was_told_is_wiped(void **state)
{
    (void)state;
    in_host(host_that_reads_the_child, NULL);
}

/* The child lies at the same place in each sandbox. */
static void guest_that_writes_at(unsigned long address)
{
    struct halo_sandbox *box;
    char mode[32];
    int code;

    (void)snprintf(mode, sizeof(mode), "write-at-%lx", address);
    box = opened(HALO_BACKEND_PROCESS, mode);
    must(halo_run(box, 20000 * MS, &code) == HALO_EFAULT);
    must(halo_fault(box)->vector == 14 && halo_fault(box)->address == address);
    halo_close(box);
}

static void host_that_looks_for_writable_pages(void *argument)
{
    struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, "loop");
    FILE *maps = maps_of(process_guest_of(getpid()));
    unsigned long start, end, writable = 0, others = 0;
    char rights[8];

    (void)argument;
    while (next_of_child(maps, &start, &end, rights)) {
        if (rights[1] == 'w') {
            writable += end - start;
            continue;
        }
        for (; start < end; start += 4096) {
            guest_that_writes_at(start);
            others++;
        }
    }
    must(others > 3 && writable == 0);
    must(fclose(maps) == 0);
    halo_close(box);
}

static void host_20_what_the_child_keeps_for_itself_is_read_only(void **state)
{
    (void)state;
    in_host(host_that_looks_for_writable_pages, NULL);
}

/* Before its guest stood at a time limit, or after; or it was stopped otherwise meanwhile. */
static void host_that_gives_up_root(void *argument)
{
    const char *const when = argument;
    struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, "loop");
    const pid_t guest = process_guest_of(getpid());
    int error, code;

    if (*when)
        must(halo_serve_begin(box, 50 * MS) == HALO_ETIMEDOUT);
    if (*when == 's')
        must(kill(guest, SIGSTOP) == 0);
    must(geteuid() != 0 || setresuid(1234, 1234, 1234) == 0);
    error = *when ? halo_run(box, 50 * MS, &code) : halo_serve_begin(box, 50 * MS);
    must(error == HALO_ETIMEDOUT || error == HALO_EFAULT);
    halo_close(box);
    must(process_await_gone(guest));
    must(process_child_of(getpid()) == 0);
}

static void host_10_a_host_that_gives_up_root_still_ends_its_guest(void **state)
{
    (void)state;
    in_host(host_that_gives_up_root, (void *)(uintptr_t) "");
    in_host(host_that_gives_up_root, (void *)(uintptr_t) "at a limit");
    in_host(host_that_gives_up_root, (void *)(uintptr_t) "stopped");
}

/* It cannot say where it is, and is stopped by the host, too; a later run lets it go on. */
static void host_of_a_stopped_guest(void *argument)
{
    struct halo_sandbox *box = opened(HALO_BACKEND_PROCESS, "exit-7");
    int code;

    (void)argument;
    must(kill(process_guest_of(getpid()), SIGSTOP) == 0);
    must(halo_serve_begin(box, 50 * MS) == HALO_ETIMEDOUT);
    must(strstr(halo_errmsg(box), "the guest runs") && !strstr(halo_errmsg(box), "0x"));
    must(halo_run(box, HALO_FOREVER, &code) == 0 && code == 7);
    halo_close(box);
}

static void host_11_a_guest_that_somebody_stopped_goes_on_when_it_is_run(void **state)
{
    (void)state;
    in_host(host_of_a_stopped_guest, NULL);
}

static int open_strict(struct halo_sandbox **box)
{
    const char *args[] = {"guest", "exit-7"};
    const struct halo_options options = {
        .backend = HALO_BACKEND_PROCESS, .args = args, .arg_count = 2, .strict = true};

    return halo_open(box, trouble, &options);
}

static void strict_host(void *argument)
{
    static const char *const names[] = {"user", "net", "mnt", "ipc"};
    struct halo_sandbox *box;
    const int error = open_strict(&box);
    const pid_t guest = error ? 0 : process_guest_of(getpid());
    int code = 0;

    (void)argument;
    if (error) /* an ordinary user may be refused a user namespace */
        must(geteuid() != 0 && strstr(halo_errmsg(box), "namespaces"));
    for (size_t i = 0; i < 4 && !error && geteuid() == 0; i++) {
        char ours[64] = "", its[64] = "", path[64];

        (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
        must(readlink(path, ours, 63) > 0);
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", guest, names[i]);
        must(readlink(path, its, 63) > 0);
        must(strcmp(ours, its) != 0);
    }
    if (!error)
        must(halo_run(box, 20000 * MS, &code) == 0 && code == 7);
    halo_close(box);
}

static void strict_host_that_is_refused(void *argument)
{
    struct halo_sandbox *box;

    filter_around(argument);
    must(open_strict(&box) == HALO_EHOST);
    must(strstr(halo_errmsg(box), "namespaces") || strstr(halo_errmsg(box), "seccomp filter"));
    halo_close(box);
    must(process_child_of(getpid()) == 0);
}

static void host_10_where_it_is_strict_there_are_all_namespaces_or_no_guest(void **state)
{
    (void)state;
    in_host(strict_host, NULL);
    in_host(strict_host_that_is_refused,
            &(struct around){SYS_unshare, SYS_unshare, SECCOMP_RET_ERRNO | EPERM, 0});
    in_host(strict_host_that_is_refused,
            &(struct around){SYS_unshare, SYS_unshare, SECCOMP_RET_KILL_PROCESS, 0});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_10_a_guests_process_has_no_right_that_can_be_given_up),
        cmocka_unit_test(host_10_no_descriptor_of_the_host_is_held_by_keeper_or_guest),
        cmocka_unit_test(host_10_the_keeper_has_no_right_either),
        cmocka_unit_test(host_11_nothing_of_the_guest_runs_before_the_host_runs_it),
        cmocka_unit_test(host_09_a_guest_cannot_forge_its_fault_report),
        cmocka_unit_test(host_09_what_the_child_says_unasked_counts_as_exits),
        cmocka_unit_test(host_09_a_system_call_of_the_guests_own_rings_no_doorbell),
        cmocka_unit_test(host_10_a_host_that_gives_up_root_still_ends_its_guest),
        cmocka_unit_test(host_11_a_guest_that_somebody_stopped_goes_on_when_it_is_run),
        cmocka_unit_test(host_10_where_it_is_strict_there_are_all_namespaces_or_no_guest),
    };
    const struct CMUnitTest of_root[] = {
        /* nobody else may see where the child lies */
        cmocka_unit_test(host_10_without_namespaces_no_capability_can_be_gained_either),
        cmocka_unit_test(host_09_what_the_child_was_told_is_wiped),
        cmocka_unit_test(host_20_what_the_child_keeps_for_itself_is_read_only),
    };
    int failed;

    if (!hosts_find_guests(argc, argv))
        return 2;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    return geteuid() == 0 ? failed + cmocka_run_group_tests(of_root, NULL, NULL) : failed;
}
