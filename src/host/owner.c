/* Whose a sandbox is: see owner.h. */
#define _GNU_SOURCE
#include "owner.h"
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

/* The kernel may know no MADV_WIPEONFORK, or a filter refuse it: then nothing is said of forks. */
static unsigned char *make_mark(void)
{
    unsigned char *mark =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (mark == MAP_FAILED)
        return NULL;
    if (madvise(mark, PAGE, MADV_WIPEONFORK) < 0) {
        munmap(mark, PAGE);
        return NULL;
    }
    *mark = 1;
    return mark;
}

void halo__owner_init(struct halo_owner *owner)
{
    pthread_mutexattr_t kind;

    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&owner->inside, &kind);
    pthread_mutexattr_destroy(&kind);
    owner->mark = make_mark();
}

void halo__owner_free(struct halo_owner *owner)
{
    if (owner->mark)
        munmap(owner->mark, PAGE);
    pthread_mutex_destroy(&owner->inside);
}

int halo__owner_take(struct halo_owner *owner, struct halo_words *words)
{
    if (halo__owner_is_fork(owner))
        return halo__fail(words, HALO_ESTATE,
                          "this sandbox is of the process that opened it, not of its fork, which "
                          "can only close it");
    return pthread_mutex_trylock(&owner->inside) ? HALO_EBUSY : 0;
}

void halo__owner_release(struct halo_owner *owner)
{
    pthread_mutex_unlock(&owner->inside);
}
