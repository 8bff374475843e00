/* What every program relies on, printed; the same program run by Linux prints the same. */
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static _Thread_local int counter = 40;
static _Thread_local char zeros[300];

__attribute__((constructor(101))) static void first(void)
{
    counter++;
}

__attribute__((constructor(102))) static void second(void)
{
    counter *= 2;
}

__attribute__((destructor)) static void last(void)
{
    puts("destructor");
}

static void one(void)
{
    puts("atexit 1");
}

static void two(void)
{
    puts("atexit 2");
    atexit(one);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void numbers(void)
{
    static const char *const texts[] = {"0",
                                        "1e308",
                                        "-2.5e-310",
                                        "0x1.8p3",
                                        "inf",
                                        "nan(1)",
                                        "1e400",
                                        " 42abc",
                                        ".5",
                                        "x",
                                        "1.7976931348623157e308",
                                        "123456789012345678901234567890"};
    char *end;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        errno = 0;
        printf("%s: %.17g", texts[i], strtod(texts[i], &end));
        printf(" %s %d %ld %d\n", end, errno, strtol(texts[i], NULL, 0), errno);
    }
    printf("%d %i %u %o %x %X %c %s %p %%\n", -1, INT_MIN, UINT_MAX, 8, 255, 255, 'c', "text",
           (void *)0x1234);
    printf("%5d|%-5d|%05d|%+d|% d|%.3d|%*d|%-*d|\n", 42, 42, 42, 42, 42, 7, 6, 42, 6, 42);
    printf("%hhd %hd %ld %lld %zu %td %jd\n", 300, 70000, LONG_MIN, LLONG_MAX, SIZE_MAX,
           (ptrdiff_t)-3, INTMAX_MIN);
    printf("%f %e %g %a %.0f %.10g %10.2f|%-10.2f|%+.1e\n", 3.14159, 1e100, 1e-5, 1.0, 2.5, M_PI,
           -1.005, 1.005, DBL_MIN);
    printf("%Lf %Lg %.3s|%10s|%-10s|%ls\n", 1.5L, LDBL_MAX, "abcdef", "right", "left", L"wide");
    printf("%.60f\n%.3f %.3f\n", 0.1, sin(1.0), pow(2.0, 0.5));
    printf("%n%d\n", &(int){0}, snprintf(NULL, 0, "%d %s", 12345, "more"));
}

static void control(void)
{
    jmp_buf env;
    volatile int turns = 0;

    if (setjmp(env) < 3)
        longjmp(env, ++turns);
    printf("turns %d\n", turns);
}

int main(int argc, char **argv)
{
    char *words[] = {"pear", "apple", "fig", "quince", "date"};
    char *key = "fig";
    int a, b;
    char word[20];

    printf("%d arguments:", argc);
    for (int i = 1; i < argc; i++)
        printf(" '%s'", argv[i]);
    printf(" %d %s\n", argv[argc] == NULL, getenv("NOTHING") ? "set" : "unset");
    printf("thread-local %d %d\n", counter, zeros[299]);
    numbers();
    control();
    qsort(words, 5, sizeof(words[0]), compare);
    for (int i = 0; i < 5; i++)
        printf("%s ", words[i]);
    printf("%td\n", (char **)bsearch(&key, words, 5, sizeof(words[0]), compare) - words);
    printf("%d", sscanf("12 0x1f word", "%d %x %19s", &a, (unsigned *)&b, word));
    printf(" %d %d %s\n", a, b, word);
    errno = ERANGE;
    printf("%s, %s\n", strerror(errno), strerror(ENOENT));
    printf("%s %d\n", setlocale(LC_ALL, ""), (int)MB_CUR_MAX);
    srand(1);
    printf("%d\n", rand());
    fopen("/no/such/file", "r");
    perror("fopen");
    atexit(two);
    return argc == 2 ? atoi(argv[1]) : 7;
}
