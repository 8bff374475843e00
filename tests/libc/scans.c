/*
 * scanf of every kind and the functions for numbers in texts: each conversion of C11 7.21.6.2 with
 * each length modifier, widths, suppression, sets and POSIX's m and numbered arguments, on texts at
 * the edges; strtod and its kin where rounding, length and range are hard. The same program run by
 * Linux prints the same.
 */
#include <errno.h>
#include <fenv.h>
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const texts[] = {
    "",
    " ",
    "0",
    "-1",
    "+12",
    " 42abc",
    "0x1f",
    "0x",
    "0xg",
    "-0x80000000",
    "017",
    "089",
    "2147483647",
    "2147483648",
    "-2147483649",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "99999999999999999999999999",
    ".5",
    "-.5e1",
    "1.",
    ".",
    "1e",
    "1e+",
    "1e5x",
    "1e400",
    "-1e-400",
    "2.5e-310",
    "0x1.8p3",
    "0x.p1",
    "0x1p",
    "0x1.ffffffffffffffp0",
    "inf",
    "-Infinity",
    "infin",
    "nan",
    "nan(12)",
    "nan(",
    "1.7976931348623159e308",
    "4.9406564584124654e-324",
    "2.4703282292062327e-324",
    "9007199254740993",
    "9007199254740993.00000000000000000000000000001",
    "abc def",
    "[x]-y",
    "\t\n 7 \v8",
    "%5",
    "(nil)",
    "\xe2\x82\xac uro",
};

static void dump(const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        printf("%02x", ((const unsigned char *)bytes)[i]);
}

/* --- scanf ------------------------------------------------------------------------------------ */

static void scan(const char *format)
{
    for (size_t i = 0; i < COUNT(texts); i++) {
        _Alignas(16) unsigned char to[256] = {0}; /* wide, too */
        int end = -1, got;

        errno = 0;
        got = sscanf(texts[i], format, to, &end);
        printf("%s of %s: %d %d %d ", format, texts[i], got, end, got < 0 ? errno : 0);
        dump(to, 16);
        puts("");
    }
}

static void conversions(void)
{
    static const char *const lengths[] = {"", "hh", "h", "l", "ll", "j", "z", "t"};
    static const char *const widths[] = {"", "1", "2", "3", "9"};
    char format[32];

    for (size_t w = 0; w < COUNT(widths); w++) {
        for (size_t l = 0; l < COUNT(lengths); l++) {
            for (const char *c = "diouxXn"; *c; c++) {
                if (*c == 'n' && w > 0)
                    continue;
                (void)snprintf(format, sizeof(format), "%%%s%s%c%%n", widths[w], lengths[l], *c);
                scan(format);
            }
        }
        for (const char *c = "aefgAEFG"; *c; c++) {
            for (size_t l = 0; l < 3; l++) {
                (void)snprintf(format, sizeof(format), "%%%s%s%c%%n", widths[w],
                               (const char *const[]){"", "l", "L"}[l], *c);
                scan(format);
            }
        }
        for (size_t k = 0; k < 10; k++) {
            (void)snprintf(format, sizeof(format), "%%%s%s%%n", widths[w],
                           (const char *const[]){"s", "c", "[a-z]", "[^ ]", "[]x[]", "[^]0-9]",
                                                 "ls", "lc", "l[a-z0]", "p"}[k]);
            scan(format);
        }
    }
    scan(" %*d%d%n"); /* suppressed */
    scan("%*s %3c%n");
    scan("%*[0-9x]%s%n");
    scan("0x%x%n"); /* ordinary characters */
    scan(" %% %d%n");
    scan("%d e%n");
    scan("%d%%%n");
}

static void several(void)
{
    char *made = NULL, *set = NULL, word[20] = "";
    wchar_t *wide = NULL, some[20] = L"";
    int a = 0, b = 0, n = 0;
    double x = 0;

    printf("%d", sscanf("12 0x1f word 1.5e3 rest", "%d %i %19s %lf%n", &a, &b, word, &x, &n));
    printf(" %d %d %s %g %d\n", a, b, word, x, n);
    printf("%d", sscanf("second first 3", "%2$ms %1$19s %3$d", word, &made, &a));
    printf(" %s %s %d\n", word, made ? made : "none", a);
    free(made);
    made = NULL;
    printf("%d", sscanf("allocated abcx", "%ms %m[abc]", &made, &set));
    printf(" %s %s\n", made ? made : "none", set ? set : "none");
    free(made);
    free(set);
    printf("%d", sscanf("wide", "%mls", &wide));
    printf(" %ls\n", wide ? wide : L"none");
    free(wide);
    printf("%d", swscanf(L"7 text 0x1p-2", L"%d %19ls %lf", &a, some, &x));
    printf(" %d %ls %g\n", a, some, x);
}

/* From a file: what is not taken stays. */
static void files(void)
{
    char word[30] = "";
    FILE *file = tmpfile();
    int got, number = 0;
    double real = 0;

    fputs("1 22 -333 x4 5.5.5 0x 1e+ nanx tail\n", file);
    rewind(file);
    while ((got = fscanf(file, "%d", &number)) == 1)
        printf("%d at %ld\n", number, ftell(file));
    printf("%d next %c\n", got, getc(file));
    while ((got = fscanf(file, "%lf", &real)) == 1)
        printf("%a at %ld\n", real, ftell(file));
    printf("%d at %ld, next %c\n", got, ftell(file), getc(file));
    while ((got = fscanf(file, "%4s", word)) == 1)
        printf("%s\n", word);
    printf("%d %d %d\n", got, feof(file), ferror(file));
    fclose(file);
}

/* --- strtod and its kin ----------------------------------------------------------------------- */

static void convert(const char *text)
{
    char *end[3];
    const float single = (errno = 0, strtof(text, &end[0]));
    const int single_errno = errno;
    const double real = (errno = 0, strtod(text, &end[1]));
    const int real_errno = errno;
    const long double extended = (errno = 0, strtold(text, &end[2]));

    printf("%.60s: %td %a %d, %td %a %d, %td %La %d\n", text, end[0] - text, single, single_errno,
           end[1] - text, real, real_errno, end[2] - text, extended, errno);
}

static void integers(const char *text)
{
    char *end = NULL;

    for (int base = 0; base < 38; base += base == 0 || base >= 2 ? base % 7 + 2 : 1) {
        errno = 0;
        printf("%d of %s: %ld", base, text, strtol(text, &end, base));
        printf(" %td %d", end ? end - text : -1, errno);
        errno = 0;
        printf(" %lu %d", strtoul(text, &end, base), errno);
        errno = 0;
        printf(" %jd %ju\n", strtoimax(text, NULL, base), strtoumax(text, NULL, base));
    }
    printf("%d %ld %lld %a\n", atoi(text), atol(text), atoll(text), atof(text));
}

/* Exactly between two numbers, and a digit far behind that decides. */
static void halves(void)
{
    char text[1300];

    for (int i = -1074; i <= 1023; i += 61) {
        const double low = ldexp(1.0, i), high = nextafter(low, INFINITY);
        const int len = snprintf(text, 1200, "%.1150Lf", ((long double)low + high) / 2);

        if (len >= 1200)
            text[1199] = '\0';
        convert(text);
        strcat(text, "0000000000000000000000001");
        convert(text);
    }
    memset(text, '0', 1200);
    memcpy(text, "0.", 2);
    strcpy(text + 1000, "123e1000");
    convert(text);
    memset(text, '9', 1200);
    strcpy(text + 1190, "e-1000");
    convert(text);
}

static void numbers(void)
{
    static const int ways[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    uint64_t bits = 88172645463325252ull;
    char text[64];

    for (size_t way = 0; way < COUNT(ways); way++) {
        fesetround(ways[way]);
        for (size_t i = 0; i < COUNT(texts); i++)
            convert(texts[i]);
        halves();
    }
    fesetround(FE_TONEAREST);
    for (size_t i = 0; i < COUNT(texts); i++)
        integers(texts[i]);
    for (int i = 0; i < 2000; i++) {
        double value, back;

        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&value, &bits, sizeof(value));
        (void)snprintf(text, sizeof(text), "%.17g", value);
        back = strtod(text, NULL);
        if (value == value && memcmp(&value, &back, sizeof(value)) != 0)
            printf("%s comes back as another\n", text);
        text[5 + i % 12] = '\0';
        convert(text);
    }
}

int main(void)
{
    conversions();
    several();
    files();
    numbers();
    return 0;
}
