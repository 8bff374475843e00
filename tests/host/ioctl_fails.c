/*
 * Preloaded: the ioctl with the number in $FAILING_IOCTL fails, as on a device that is no KVM, with
 * $FAILING_AFTER but for so many of its first calls; and
 * with $OLD_KERNEL no answer to a seccomp notification has flags, as before Linux 5.5, which it
 * says that it is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

__attribute__((visibility("default"))) int ioctl(int fd, unsigned long request, ...)
{
    const char *failing = getenv("FAILING_IOCTL"), *after = getenv("FAILING_AFTER");
    static long calls;
    va_list arguments;
    void *argument;

    va_start(arguments, request);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    if (failing && request == strtoul(failing, NULL, 0) &&
        __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED) >= (after ? atol(after) : 0)) {
        errno = ENOTTY;
        return -1;
    }
    if (getenv("OLD_KERNEL") && request == SECCOMP_IOCTL_NOTIF_SEND &&
        ((const struct seccomp_notif_resp *)argument)->flags) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_ioctl, fd, request, argument);
}

__attribute__((visibility("default"))) int uname(struct utsname *name)
{
    const int result = (int)syscall(SYS_uname, name);

    if (result == 0 && getenv("OLD_KERNEL"))
        strcpy(name->release, "5.4.0-test");
    return result;
}
