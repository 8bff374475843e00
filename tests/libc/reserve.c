/*
 * Addresses that have no memory: reservations of many GiB, pieces of which are used, given back,
 * protected and moved. What is printed is what Linux prints.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB 1024ul
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define RESERVE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static void say(const char *what, long result)
{
    printf("%s: %ld %d\n", what, result, result < 0 ? errno : 0);
}

static char *reserve(size_t len, int prot)
{
    char *at = mmap(NULL, len, prot, RESERVE, -1, 0);

    if (at == MAP_FAILED)
        perror("mmap");
    return at == MAP_FAILED ? NULL : at;
}

/* Whether so many bytes from there on are all this one. */
static int all(const char *at, size_t len, char byte)
{
    for (size_t i = 0; i < len; i++) {
        if (at[i] != byte)
            return 0;
    }
    return 1;
}

static void pieces(void)
{
    char *at = reserve(16 * GIB, PROT_NONE);

    say("write from it", write(1, at, 1));
    for (size_t i = 0; i < 16; i++) {
        char *piece = at + i * GIB + i * 12345 / 4096 * 4096;

        say("commit", mprotect(piece, 200 * KIB, PROT_READ | PROT_WRITE));
        printf("%d", all(piece, 200 * KIB, 0));
        memset(piece, (int)('a' + i), 200 * KIB);
    }
    for (size_t i = 0; i < 16; i++)
        printf("%d", all(at + i * GIB + i * 12345 / 4096 * 4096, 200 * KIB, (char)('a' + i)));
    printf("\n");
    say("over it",
        mmap(at, 4096, PROT_READ | PROT_WRITE, RESERVE | MAP_FIXED, -1, 0) == at ? 0 : -1);
    printf("%d %c\n", all(at, 4096, 0), at[4096]);
    say("not over it",
        mmap(at, 4096, PROT_READ, RESERVE | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED ? -1 : 0);
    say("read-only", mprotect(at + 4096, 4096, PROT_READ));
    say("getcwd to it", getcwd(at + 4096, 4096) ? 0 : -1);
    say("getcwd beside it", getcwd(at + 8192, 4096) ? 0 : -1);
    say("write from it", write(1, at + 4096, 3) + (write(1, "\n", 1) == 0));
    say("writable again", mprotect(at + 4096, 4096, PROT_READ | PROT_WRITE));
    at[4097] = 'z';
    say("executable", 0 * mprotect(at + 4096, 4096, PROT_READ));
    say("a hole", munmap(at + 8192, 4096));
    say("write from the hole", write(1, at + 8192, 1));
    say("beyond it", write(1, at + 12288, 2) + (write(1, "\n", 1) == 0));
    say("mprotect over the hole", mprotect(at, 16384, PROT_READ));
    say("madvise over the hole", madvise(at, 16384, MADV_DONTNEED));
    say("munmap", munmap(at, 16 * GIB));
    say("write from it", write(1, at, 1));
}

/* More than all memory, one after the other, in the same area. */
static void give_back(void)
{
    char *at = reserve(GIB, PROT_READ | PROT_WRITE);
    int wrong = 0;

    for (size_t i = 0; i < 256; i++) {
        char *piece = at + i * 4 * MIB;

        wrong += !all(piece, MIB, 0);
        memset(piece, (int)i + 1, MIB);
        wrong += madvise(piece, MIB, i % 2 ? MADV_DONTNEED : MADV_FREE) != 0;
        wrong += i % 2 && !all(piece, MIB, 0);
        wrong += i % 2 && madvise(piece, MIB, MADV_DONTNEED) != 0;
    }
    for (size_t i = 0; i < 256; i++) {
        char *piece = mmap(NULL, 3 * MIB + 4096, PROT_READ | PROT_WRITE, RESERVE, -1, 0);

        wrong += piece == MAP_FAILED || !all(piece, 3 * MIB, 0);
        memset(piece, 1, 3 * MIB + 4096);
        wrong += munmap(piece, 3 * MIB + 4096) != 0;
    }
    /* Parts of what was given as one. */
    memset(at, 'x', 256 * KIB);
    wrong += madvise(at + 4096, 4096, MADV_DONTNEED) != 0;
    wrong += !all(at, 4096, 'x') || !all(at + 4096, 4096, 0) || !all(at + 8192, 248 * KIB, 'x');
    wrong += madvise(at + 60 * KIB, 136 * KIB, MADV_DONTNEED) != 0;
    wrong += !all(at + 8192, 52 * KIB, 'x') || !all(at + 60 * KIB, 136 * KIB, 0) ||
             !all(at + 196 * KIB, 60 * KIB, 'x');
    wrong += munmap(at, GIB) != 0;
    printf("%d wrong\n", wrong);
}

static void move(void)
{
    char *at = reserve(64 * MIB, PROT_READ | PROT_WRITE), *to, *after;
    int wrong = 0;

    memset(at, 'm', 3 * MIB);
    after = mmap(at + 8 * MIB, 4096, PROT_READ | PROT_WRITE, RESERVE | MAP_FIXED, -1, 0);
    *after = 'b';
    say("too far", mremap(at, 8 * MIB, 16 * MIB, 0) == MAP_FAILED ? -1 : 0);
    to = mremap(at, 8 * MIB, 16 * MIB, MREMAP_MAYMOVE);
    wrong += to == MAP_FAILED || !all(to, 3 * MIB, 'm') || !all(to + 3 * MIB, 13 * MIB, 0);
    say("write from where it was", write(1, at, 1));
    wrong += *after != 'b';
    to = mremap(to, 16 * MIB, MIB, 0);
    wrong += to == MAP_FAILED || !all(to, MIB, 'm');
    to = mremap(to, MIB, 2 * MIB, MREMAP_MAYMOVE);
    wrong += !all(to, MIB, 'm') || !all(to + MIB, MIB, 0);
    /* A part of it, from and to the middle of what is shared. */
    memset(to, 'p', 256 * KIB);
    at = mremap(to + 20 * KIB, 100 * KIB, 8 * MIB, MREMAP_MAYMOVE);
    wrong += at == MAP_FAILED || !all(at, 100 * KIB, 'p') || !all(at + 100 * KIB, 8092 * KIB, 0);
    wrong += !all(to, 20 * KIB, 'p') || !all(to + 120 * KIB, 136 * KIB, 'p');
    wrong += munmap(at, 8 * MIB) != 0;
    say("what is no longer there", mremap(at, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
    /* From what was mapped as ordinary memory. */
    at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(at, 'o', MIB);
    at = mremap(at, MIB, 24 * MIB, MREMAP_MAYMOVE);
    wrong += at == MAP_FAILED || !all(at, MIB, 'o') || !all(at + MIB, 23 * MIB, 0);
    wrong += munmap(at, 24 * MIB) != 0;
    printf("%d wrong\n", wrong);
}

/* Many areas, with guards between them, as the stacks of threads have. */
static void guards(void)
{
    enum { COUNT = 200 };
    static char *stacks[COUNT];
    int wrong = 0;

    for (int i = 0; i < COUNT; i++) {
        stacks[i] = mmap(NULL, 8 * MIB, PROT_NONE, RESERVE | MAP_STACK, -1, 0);
        wrong += stacks[i] == MAP_FAILED ||
                 mprotect(stacks[i] + 4096, 8 * MIB - 4096, PROT_READ | PROT_WRITE) != 0;
        memset(stacks[i] + 8 * MIB - 20000, i, 20000);
    }
    for (int i = 0; i < COUNT; i++)
        wrong += !all(stacks[i] + 8 * MIB - 20000, 20000, (char)i);
    say("a guard", write(1, stacks[7], 1));
    for (int i = 0; i < COUNT; i++)
        wrong += munmap(stacks[i], 8 * MIB) != 0;
    printf("%d wrong\n", wrong);
}

/* Files, brk and malloc beside it. */
static void beside(void)
{
    char *at = reserve(2 * GIB, PROT_READ | PROT_WRITE), *blocks[64];
    int wrong = 0;

    for (size_t i = 0; i < 64; i++) {
        blocks[i] = malloc(40000 * (i % 7 + 1));
        memset(blocks[i], (int)i, 40000);
        memset(at + i * 32 * MIB, (int)(100 + i), 70000);
        if (i % 3 == 0)
            free(blocks[i]);
    }
    for (size_t i = 0; i < 64; i++) {
        wrong += i % 3 && !all(blocks[i], 40000, (char)i);
        wrong += !all(at + i * 32 * MIB, 70000, (char)(100 + i));
    }
    printf("%d wrong\n", wrong);
}

__attribute__((noinline)) static void deepest(volatile int *at)
{
    *at = 1;
    *at = 2;
}

__attribute__((noinline)) static void deeper(void)
{
    deepest(NULL);
    say("not reached", 0);
}

/* A fault on a stack in such memory, as a thread has one. */
static void on_stack(char *top)
{
    __asm__ volatile("mov %%rsp, %%rbx\n\t"
                     "mov %0, %%rsp\n\t"
                     "call *%1\n\t"
                     "mov %%rbx, %%rsp"
                     :
                     : "r"(top), "r"(deeper)
                     : "rbx", "memory");
}

/* With an argument it does what ends it, more memory or more places than there are among them:
 * PAGE-04. */
int main(int argc, char **argv)
{
    volatile char *at;

    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc == 1) {
        pieces();
        give_back();
        move();
        guards();
        beside();
        return 0;
    }
    at = reserve(GIB, argv[1][0] == 'n' ? PROT_NONE : PROT_READ | PROT_WRITE);
    at[GIB / 2] = 1;
    if (strcmp(argv[1], "read-only") == 0) {
        (void)!mprotect((void *)at, GIB, PROT_READ);
        at[GIB / 2] = at[GIB / 2];
    } else if (strcmp(argv[1], "gone") == 0) {
        munmap((void *)at, GIB);
        at[GIB / 2] = 1;
    } else if (strcmp(argv[1], "guard") == 0) {
        (void)!mprotect((void *)(at + GIB / 2 - 4096), 4096, PROT_NONE);
        at[GIB / 2 - 1] = 1;
    } else if (strcmp(argv[1], "full") == 0) {
        for (size_t i = 0; i < GIB; i += 4096)
            at[i] = 1;
    } else if (strcmp(argv[1], "tables") == 0) {
        char *far = reserve(32 * GIB, PROT_READ | PROT_WRITE);

        for (size_t i = 0; i < 32 * GIB; i += 2 * MIB) {
            far[i] = 1;
            (void)madvise(far + i, 4096, i % (64 * MIB) ? MADV_NORMAL : MADV_DONTNEED);
        }
    } else if (strcmp(argv[1], "stack") == 0) {
        on_stack((char *)at + GIB / 2);
    } else if (strcmp(argv[1], "code") == 0) {
        ((void (*)(void))(uintptr_t)(at + GIB / 2))();
    }
    return 0;
}
