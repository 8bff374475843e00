/*
 * printf of every kind: each conversion of C11 7.21.6.1 with each flag that it has, widths and
 * precisions of every form and each length modifier, and POSIX's numbered arguments. What is
 * printed is every format, what it returned and what came of it; the same program run by Linux
 * prints the same.
 */
#include <errno.h>
#include <fenv.h>
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

/* --- One format ------------------------------------------------------------------------------- */

static char text[30000];

static void say(const char *format, ...)
{
    va_list args;
    int got;

    va_start(args, format);
    errno = 0;
    got = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    printf("%s: %d ", format, got);
    if (got < 0)
        printf("error %d\n", errno);
    else
        fwrite(text, 1, (size_t)got, stdout) == (size_t)got &&puts("|");
}

struct form {
    char format[32];
    int stars, star[2];
};

/* With the arguments of its stars before its own. */
#define SAY(form, value)                                                \
    ((form)->stars == 0   ? say((form)->format, value)                  \
     : (form)->stars == 1 ? say((form)->format, (form)->star[0], value) \
                          : say((form)->format, (form)->star[0], (form)->star[1], value))

/* --- All forms of a conversion ---------------------------------------------------------------- */

typedef void emit_fn(const struct form *form, const char *length, char conversion);

struct part {
    const char *text;
    int star;
};

static const struct part widths[] = {{"", 0}, {"1", 0}, {"9", 0}, {"30", 0}, {"*", 9}, {"*", -9}};
static const struct part precisions[] = {{"", 0},    {".", 0},  {".0", 0},  {".1", 0},
                                         {".12", 0}, {".*", 3}, {".*", -1}, {".*", 0}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void put(struct form *form, const struct part *part)
{
    strcat(form->format, part->text);
    if (strchr(part->text, '*'))
        form->star[form->stars++] = part->star;
}

/* `flags` are those that the conversion has; each set of them is tried. */
static void every_form(const char *flags, const char *length, char conversion, size_t precision_max,
                       emit_fn *emit)
{
    for (unsigned set = 0; set < 1u << strlen(flags); set++) {
        for (size_t w = 0; w < COUNT(widths); w++) {
            for (size_t p = 0; p < precision_max; p++) {
                struct form form = {.format = "%"};
                char *end = form.format + 1;

                for (size_t i = 0; flags[i]; i++) {
                    if (set >> i & 1)
                        *end++ = flags[i];
                }
                put(&form, &widths[w]);
                put(&form, &precisions[p]);
                strcat(form.format, length);
                end = form.format + strlen(form.format);
                *end = conversion;
                emit(&form, length, conversion);
            }
        }
    }
}

/* --- Integers --------------------------------------------------------------------------------- */

static void whole(const struct form *form, const char *length, char conversion)
{
    static const uint64_t values[] = {0,
                                      1,
                                      255,
                                      (uint64_t)-1,
                                      (uint64_t)INT_MIN,
                                      INT_MAX,
                                      (uint64_t)INT64_MIN,
                                      INT64_MAX,
                                      0123456701234567012345};

    for (size_t i = 0; i < COUNT(values); i++) {
        const uint64_t value = values[i];

        if (strcmp(length, "l") == 0)
            SAY(form, (long)value);
        else if (strcmp(length, "ll") == 0)
            SAY(form, (long long)value);
        else if (*length == 'j')
            SAY(form, (intmax_t)value);
        else if (*length == 'z')
            SAY(form, (size_t)value);
        else if (*length == 't')
            SAY(form, (ptrdiff_t)value);
        else
            SAY(form, (int)value);
    }
}

static void integers(void)
{
    static const char *const lengths[] = {"", "hh", "h", "l", "ll", "j", "z", "t"};

    for (size_t i = 0; i < COUNT(lengths); i++) {
        every_form("-+ 0", lengths[i], 'd', COUNT(precisions), whole);
        every_form("-+ 0", lengths[i], 'i', 3, whole);
        every_form("-0", lengths[i], 'u', COUNT(precisions), whole);
        every_form("-#0", lengths[i], 'o', COUNT(precisions), whole);
        every_form("-#0", lengths[i], 'x', COUNT(precisions), whole);
        every_form("-#0", lengths[i], 'X', 4, whole);
    }
    for (int i = -3; i < 4; i++) /* of the locale, and grouped: POSIX */
        say("%'d %'ld %'u %'.2f", i * 1234567, i * 1234567L, i * 1234567u, i * 1234567.891);
}

/* --- Floating point --------------------------------------------------------------------------- */

static void real(const struct form *form, const char *length, char conversion)
{
    static const double values[] = {0.0,       -0.0,     1.0,      -1.5,   2.5,      0.1,
                                    9.9999995, 99999.95, 123456.0, 1e6,    1e-5,     1e22,
                                    1e-310,    DBL_MIN,  DBL_MAX,  5e-324, INFINITY, NAN};

    for (size_t i = 0; i < COUNT(values); i++) {
        if (*length == 'L')
            SAY(form, (long double)values[i]);
        else
            SAY(form, values[i]);
    }
}

/* These are long work. */
static void extremes(const struct form *form, const char *length, char conversion)
{
    SAY(form, LDBL_MAX);
    SAY(form, LDBL_MIN);
    SAY(form, -3.6451995318824746025e-4951L); /* the smallest */
    SAY(form, 0.1L);
}

static void reals(void)
{
    for (const char *c = "aAeEfFgG"; *c; c++) {
        every_form(*c >= 'a' ? "-+ #0" : "-#0", "", *c, COUNT(precisions), real);
        every_form("+#0", "L", *c, 6, real);
        if (*c != 'f' && *c != 'F')
            every_form("#", "L", *c, 3, extremes);
    }
    every_form("", "l", 'f', 3, real); /* as without it */
    say("%Lf", LDBL_MAX);
    say("%.5000Lf", 3.6451995318824746025e-4951L);
    say("%.1100f %.1100e", 5e-324, 5e-324);
}

static void roundings(void)
{
    static const int ways[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    const volatile double one = 1;

    for (size_t i = 0; i < COUNT(ways); i++) {
        fesetround(ways[i]);
        say("%.0f %.0f %.0f %.1f %.2e %.3g %.1a %.0a", 0.5, 1.5, -2.5, 0.25, 1.125, 1.0005, 1.96875,
            1.5);
        say("%.17g %.3f %.20e %.2La", 0.1, -0.0005, 1.0 / 3.0, 1.0L / 3.0L);
        fflush(stdout); /* a system call leaves it */
        printf("rounds by %d %a %La\n", fegetround() == ways[i], one / 3, (long double)one / 3);
    }
    fesetround(FE_TONEAREST);
}

/* Any number, in its shortest exact forms. */
static void any_reals(void)
{
    uint64_t bits = 88172645463325252ull;

    for (int i = 0; i < 3000; i++) {
        double value;

        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&value, &bits, sizeof(value));
        say("%.17g %a %g %.*e", value, value, value, i % 40, value);
    }
}

/* --- Characters, strings, pointers ------------------------------------------------------------ */

static void characters(const struct form *form, const char *length, char conversion)
{
    static const int values[] = {'c', 0, 255, 0x100 + 'd'};
    static const wint_t wide[] = {L'w', 0xe9, 0x20ac, 0x1f600, 0xd800, 0x110000, WEOF};

    for (size_t i = 0; *length == 0 && i < COUNT(values); i++)
        SAY(form, values[i]);
    for (size_t i = 0; *length != 0 && i < COUNT(wide); i++)
        SAY(form, wide[i]);
}

static void strings(const struct form *form, const char *length, char conversion)
{
    static const char *const values[] = {"", "s", "some text, longer than that",
                                         "\xe2\x82\xac\xff"};
    static const wchar_t *const wide[] = {L"", L"w", L"wide text, longer than that",
                                          L"\u20ac\u00e9x", L"a\xd800 b"};

    for (size_t i = 0; *length == 0 && i < COUNT(values); i++)
        SAY(form, values[i]);
    for (size_t i = 0; *length != 0 && i < COUNT(wide); i++)
        SAY(form, wide[i]);
}

static void pointers(const struct form *form, const char *length, char conversion)
{
    SAY(form, (void *)0);
    SAY(form, (void *)0x1234);
    SAY(form, (void *)-1l);
}

static void texts(void)
{
    static const char open[] = {'n', 'o', ' ', 'e', 'n', 'd'};

    every_form("-", "", 'c', 1, characters);
    every_form("-", "l", 'c', 1, characters);
    every_form("-", "", 's', COUNT(precisions), strings);
    every_form("-", "l", 's', COUNT(precisions), strings);
    every_form("-", "", 'p', 1, pointers);
    say("%.6s %.*s", open, 2, open); /* no more is read of it */
    say("%C %S", L'x', L"wide, by POSIX");
    say("%%|%5s|%-5%|", "%"); /* undefined with a width, but the library's own */
    errno = ENOENT;
    printf("%m is %s\n", strerror(ENOENT)); /* of both libraries */
}

/* --- Counts, numbered arguments, errors ------------------------------------------------------- */

static void counts(void)
{
    signed char hh = 0;
    short h = 0;
    int n = 0, m = 0;
    long l = 0;
    long long ll = 0;
    intmax_t j = 0;
    size_t z = 0;
    ptrdiff_t t = 0;

    say("a%hhnbb%hnccc%ndddd%lneeeee%llnf%jng%znh%tn%300d%hhn", &hh, &h, &n, &l, &ll, &j, &z, &t, 1,
        &hh);
    printf("%d %d %d %ld %lld %jd %zu %td\n", hh, h, n, l, ll, j, z, t);
    printf("%d\n", snprintf(text, 3, "%s%n", "longer than its room", &m));
    printf("%d %s\n", m, text); /* as if there were room */
}

static void numbered(void)
{
    say("%2$s %1$s", "one", "two");
    say("%1$d %1$x %1$#o %1$+i", 99);
    say("%2$*1$d|%2$-*1$d|%2$0*1$d", 8, 42);
    say("%3$*1$.*2$f|%3$.*2$e|%3$-*1$a|", 12, 3, 2.71828);
    say("%4$s %1$hhd %2$lld %3$Lg %5$c%6$lc %7$p", 300, LLONG_MIN, 1.5L, "s", 'c', L'w',
        (void *)16);
    say("%9$d%8$d%7$d%6$d%5$d%4$d%3$d%2$d%1$d", 1, 2, 3, 4, 5, 6, 7, 8, 9);
}

static void rooms(void)
{
    char room[16];
    wchar_t wide[40];
    int got;

    for (size_t len = 0; len < 14; len++) {
        memset(room, '#', sizeof(room));
        printf("%d ", snprintf(room, len, "%05d:%s", 42, "text"));
        fwrite(room, 1, sizeof(room), stdout);
        puts("");
    }
    printf("%d\n", snprintf(NULL, 0, "%s %f", "nowhere", 1e300));
    printf("%d %s\n", sprintf(room, "%.3s-%x", "abcdef", 0xfu), room);
    errno = 0;
    printf("%d", snprintf(room, sizeof(room), "%d%2147483648d", 1, 1)); /* too wide */
    printf(" %d\n", errno);
    for (size_t len = 1; len < 20; len += 6) {
        got = swprintf(wide, len, L"%ls %hs %c%lc %5.1f", L"w", "n", 'a', L'b', 1.25);
        printf("%d %ls\n", got, got < 0 ? L"no room" : wide);
    }
}

static void files(void)
{
    char *memory = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&memory, &len);

    printf("%d ", fprintf(file, "%s %08.3f %n", "memory", 3.14159, &(int){0}));
    fclose(file);
    printf("%zu %s|\n", len, memory);
    free(memory);
    file = tmpfile();
    printf("%d %d", fprintf(file, "%5000d|", 7), fseek(file, 4998, SEEK_SET));
    printf(" %d %s\n", fscanf(file, "%20s", text), text);
    printf("%d", fwide(file, 0));
    fclose(file);
    file = fmemopen(text, 10, "w");
    printf(" %d %d", fprintf(file, "%s", "more than ten bytes"), fflush(file));
    fclose(file);
    printf(" %s\n", text);
    fflush(stdout);
    dprintf(STDOUT_FILENO, "%s %d %.*s\n", "dprintf", dprintf(STDOUT_FILENO, "%a\n", 1.0), 2,
            "abc");
}

/* With an argument without the long part, for a machine that is emulated. */
int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 1) {
        integers();
        reals();
        any_reals();
    }
    roundings();
    texts();
#ifndef __GLIBC__ /* whose other locales are files of the machine's */
    printf("%s\n", setlocale(LC_ALL, "C.UTF-8"));
    texts();
#endif
    counts();
    numbered();
    rooms();
    files();
    return ferror(stdout);
}
