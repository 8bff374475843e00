/*
 * A thread cannot be cancelled where the compiler's library for that cannot be loaded, as in a
 * chroot or under a filter: trying to would end the process. dlopen is this test's own, and
 * refuses.
 */
#define _GNU_SOURCE
#include "box.h"

#include <dirent.h>
#include <dlfcn.h>
#include <sys/eventfd.h>

#define LIMIT 300000000ll  /* of a run, in ns */
#define BOUND 3000000000ll /* by which it has returned, on a machine that has much to do */

static bool was_asked;

void *dlopen(const char *name, int mode)
{
    (void)mode;
    was_asked = was_asked || (name && strcmp(name, "libgcc_s.so.1") == 0);
    return NULL;
}

static uint32_t threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    const struct dirent *entry;
    uint32_t count = 0;

    while ((entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* It is left alone when its stream is closed, and ends when what it waits for has come. */
static void what_cannot_be_cancelled_is_left_behind(void **state)
{
    const char *const args[] = {"streams", "filter"};
    const int event = eventfd(0, EFD_CLOEXEC);
    const uint32_t before = threads();
    const int64_t start = now();
    const uint64_t one = 1;
    int code;

    open_box(state, args, 2);
    offer("in", halo_end_fd(event), HALO_IN);
    offer("out", halo_end_host(), HALO_OUT);
    assert_int_equal(halo_run(box, LIMIT, &code), HALO_ETIMEDOUT);
    close_box();
    assert_true(now() - start < BOUND);
    assert_true(was_asked);
    while (threads() > before + 1 && now() - start < BOUND) /* which closes the descriptor */
        usleep(1000);
    assert_int_equal(threads(), before + 1);
    assert_int_equal(write(event, &one, sizeof(one)), sizeof(one));
    while (threads() > before)
        usleep(1000);
    close(event);
}

static int close_guest(void **state)
{
    (void)state;
    close_box();
    return 0;
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(what_cannot_be_cancelled_is_left_behind),
    };

    return run_every_way("no unwinder", tests, sizeof(tests) / sizeof(tests[0]), NULL, close_guest);
}
