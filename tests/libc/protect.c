/* Protections: what becomes of pointers to what may not be read or written; and faults. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEN 16384

static char variables[LEN] __attribute__((aligned(4096)));
static int value;
static int *const volatile relocated[2] __attribute__((section(".data.rel.ro"))) = {&value, &value};

static void say(const char *what, long result)
{
    printf("%s: %ld %d\n", what, result, result < 0 ? errno : 0);
}

/* `at` is LEN bytes that are readable and writable. */
static void change(char *at)
{
    memset(at, 'x', LEN);
    say("read-only", mprotect(at + 4096, 4096, PROT_READ));
    say("getcwd to it", getcwd(at + 4096, 4096) ? 0 : -1);
    say("write from it", write(1, at + 4096, 1) + (write(1, "\n", 1) == 0));
    say("none", mprotect(at + 4096, 4096, PROT_NONE));
    say("write from it", write(1, at + 4096, 1));
    say("again", mprotect(at + 4096, 8192, PROT_READ | PROT_WRITE));
    printf("%c%c\n", at[4096], at[8191]);
    at[4096] = 'y';
    say("odd", mprotect(at + 1, 4096, PROT_READ));
    say("nothing", mprotect(at, 0, PROT_READ));
    say("no such", mprotect(at, 4096, 64));
    say("nowhere", mprotect((void *)(1ull << 45), 4096, PROT_READ));
    say("a part of a page", mprotect(at, 1, PROT_READ));
    say("all", mprotect(at, LEN, PROT_READ | PROT_WRITE));
    at[0] = at[LEN - 1] = 'z';
}

static void many(char *at)
{
    int wrong = 0;

    for (int i = 0; i < 40; i++) {
        wrong += mprotect(at + i % 4 * 4096, 4096, i % 3 ? PROT_READ : PROT_NONE) != 0;
        wrong += mprotect(at + i % 4 * 4096, 4096, PROT_READ | PROT_WRITE) != 0;
        at[i % 4 * 4096] = 'w';
    }
    printf("%d wrong\n", wrong);
}

static void maps(void)
{
    char *at = mmap(NULL, 8 * LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    say("reserved", at == MAP_FAILED ? -1 : 0);
    say("write from it", write(1, at, 1));
    say("a part", mprotect(at + LEN, LEN, PROT_READ | PROT_WRITE));
    memset(at + LEN, 1, LEN);
    say("read-only", mprotect(at + LEN, LEN, PROT_READ));
    say("munmap", munmap(at, 8 * LEN));
    at = mmap(NULL, 8 * LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 8 * LEN; i++)
        value += at[i];
    printf("%d\n", value);
    munmap(at, 8 * LEN);
}

int main(int argc, char **argv)
{
    char *at = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc == 1) {
        change(at);
        change(variables);
        many(at);
        many(variables);
        maps();
        return 0;
    }
    mprotect(argv[1][0] == 'v' ? variables : at, 4096, argv[1][0] == 'r' ? PROT_NONE : PROT_READ);
    if (strcmp(argv[1], "read") == 0)
        value = *(volatile char *)at;
    else if (strcmp(argv[1], "write") == 0)
        *(volatile char *)at = 1;
    else if (strcmp(argv[1], "variable") == 0)
        *(volatile char *)variables = 1;
    else if (strcmp(argv[1], "relro") == 0)
        *(int *volatile *)(uintptr_t)&relocated[0] = NULL;
    return 0;
}
