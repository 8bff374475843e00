/* Whose a sandbox is: see owner.h. */
#define _GNU_SOURCE
#include "owner.h"
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

/* The kernel may know no MADV_WIPEONFORK, or a filter refuse it: then nothing is said of forks. */
static unsigned char no_mark = 1;

static unsigned char *make_mark(void)
{
    unsigned char *mark =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (mark == MAP_FAILED)
        return &no_mark;
    if (madvise(mark, PAGE, MADV_WIPEONFORK) < 0) {
        munmap(mark, PAGE);
        return &no_mark;
    }
    *mark = 1;
    return mark;
}

void halo__owner_init(struct halo_owner *owner)
{
    *owner = (struct halo_owner){.mark = make_mark()};
}

void halo__owner_free(struct halo_owner *owner)
{
    if (owner->mark != &no_mark)
        munmap(owner->mark, PAGE);
}
