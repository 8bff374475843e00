/* Memory: 64 MiB in small pieces, given back and taken again; deep recursion. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECES 560000

static unsigned char *pieces[PIECES];

static size_t len_of(size_t i)
{
    return 16 + i * 7919 % 220;
}

static int deep(int depth)
{
    volatile char here[64];

    here[depth % 64] = (char)depth;
    return depth == 0 ? 0 : 1 + deep(depth - 1) + here[(depth + 1) % 64] * 0;
}

static size_t fill(size_t step)
{
    size_t total = 0;

    for (size_t i = 0; i < PIECES; i += step) {
        pieces[i] = malloc(len_of(i));
        if (!pieces[i]) {
            printf("no memory after %zu\n", i);
            exit(1);
        }
        memset(pieces[i], (int)(i % 251), len_of(i));
        total += len_of(i);
    }
    return total;
}

static void check(void)
{
    size_t wrong = 0;

    for (size_t i = 0; i < PIECES; i++)
        wrong += pieces[i][0] != i % 251 || pieces[i][len_of(i) - 1] != i % 251;
    printf("%zu wrong\n", wrong);
}

static void maps(void)
{
    unsigned char *at =
        mmap(NULL, 100000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *more;
    size_t dirty = 0;

    memset(at, 1, 100000);
    more = mremap(at, 100000, 5000000, MREMAP_MAYMOVE);
    for (size_t i = 0; i < 5000000; i++)
        dirty += more[i];
    printf("mremap %zu\n", dirty);
    printf("munmap %d %d\n", munmap(more, 5000000), munmap((void *)1, 4096));
    at = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    dirty = 0;
    for (size_t i = 0; i < 8 << 20; i++)
        dirty += at[i];
    printf("fresh %zu\n", dirty);
    printf("%d %d\n",
           mmap(NULL, (size_t)1 << 50, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED,
           errno);
}

int main(void)
{
    unsigned char *large;
    size_t total = fill(1);

    printf("%zu MiB\n", total >> 20);
    check();
    for (size_t i = 0; i < PIECES; i += 2)
        free(pieces[i]);
    fill(2);
    check();
    for (size_t i = 0; i < PIECES; i++)
        free(pieces[i]);
    large = calloc(30, 1 << 20);
    total = 0;
    for (size_t i = 0; large && i < 30 << 20; i++)
        total += large[i];
    printf("calloc %d %zu\n", large != NULL, total);
    large = realloc(large, 40 << 20);
    printf("realloc %d\n", large != NULL);
    free(large);
    errno = 0;
    printf("too much %d %d\n", malloc((size_t)1 << 62) == NULL, errno);
    maps();
    printf("deep %d\n", deep(5000));
    return 0;
}
