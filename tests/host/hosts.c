/* Hosts of a test's making. */
#define _GNU_SOURCE
#include "hosts.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

char trouble[300], syscalls[300], plugin[300];

bool hosts_find_guests(int argc, char **argv)
{
    if (argc != 2)
        return false;
    (void)snprintf(trouble, sizeof(trouble), "%s/trouble.halo", argv[1]);
    (void)snprintf(syscalls, sizeof(syscalls), "%s/syscalls.halo", argv[1]);
    (void)snprintf(plugin, sizeof(plugin), "%s/plugin.so", argv[1]);
    return true;
}

void in_host(void (*host)(void *argument), void *argument)
{
    const pid_t pid = fork();
    int status;

    if (pid == 0) {
        alarm(HOST_SECONDS);
        host(argument);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int open_guest(struct halo_sandbox **box, enum halo_backend_choice backend, const char *path,
               const char *mode)
{
    const char *args[] = {"guest", mode};
    const struct halo_options options = {.backend = backend, .args = args, .arg_count = 2};

    return halo_open(box, path, &options);
}

struct halo_sandbox *opened(enum halo_backend_choice backend, const char *mode)
{
    struct halo_sandbox *box;
    const int error = open_guest(&box, backend, trouble, mode);

    if (error)
        fprintf(stderr, "%s\n", halo_errmsg(box));
    must(error == 0);
    return box;
}

void run_to_exit_7(enum halo_backend_choice backend)
{
    struct halo_sandbox *box = opened(backend, "exit-7");
    int code = 0;
    const int error = halo_run(box, 20000 * MS, &code);

    if (error)
        fprintf(stderr, "%s\n", halo_errmsg(box));
    must(error == 0 && code == 7);
    halo_close(box);
}

void on_every_backend(void (*host)(void *argument))
{
    static enum halo_backend_choice choices[] = {HALO_BACKEND_PROCESS, HALO_BACKEND_KVM};

    in_host(host, &choices[0]);
    if (access("/dev/kvm", R_OK | W_OK) == 0)
        in_host(host, &choices[1]);
}

void filter_around(const struct around *around)
{
    const uint8_t any = around->argument == 0;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, around->first, 0, 4),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, around->last, 3, any ? 2 : 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, around->argument, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, around->action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}
