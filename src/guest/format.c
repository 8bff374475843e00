/* printf's formats: see halo_log in halo/guest.h for which. */
#include "format.h"
#include <stdbool.h>
#include <stdint.h>

struct out {
    char *to;
    size_t len, max;
};

/* One conversion. */
struct spec {
    bool minus, plus, space, zero, alternate;
    int width, precision; /* precision: -1 where there is none */
    char length;          /* 'H' for hh, 'L' for ll, or the letter, or 0 */
    char conversion;
};

static void put(struct out *out, char character)
{
    if (out->len < out->max)
        out->to[out->len++] = character;
}

static void pad(struct out *out, char with, int count)
{
    for (; count > 0 && out->len < out->max; count--)
        put(out, with);
}

static void put_padded(struct out *out, const struct spec *spec, const char *text, int len)
{
    pad(out, ' ', spec->minus ? 0 : spec->width - len);
    for (int i = 0; i < len; i++)
        put(out, text[i]);
    pad(out, ' ', spec->minus ? spec->width - len : 0);
}

static void put_integer(struct out *out, const struct spec *spec, uint64_t value, unsigned base,
                        const char *prefix)
{
    const char *digits = spec->conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    int prefix_len = 0, count = 0, zeroes;
    char text[24];

    while (prefix[prefix_len])
        prefix_len++;
    for (uint64_t left = value; left || (count == 0 && spec->precision != 0); left /= base)
        text[count++] = digits[left % base];
    zeroes = spec->precision > count ? spec->precision - count : 0;
    if (spec->zero && !spec->minus && spec->precision < 0 && spec->width > prefix_len + count)
        zeroes = spec->width - prefix_len - count;
    if (!spec->minus)
        pad(out, ' ', spec->width - prefix_len - zeroes - count);
    for (int i = 0; i < prefix_len; i++)
        put(out, prefix[i]);
    pad(out, '0', zeroes);
    for (int i = count; i-- > 0;)
        put(out, text[i]);
    if (spec->minus)
        pad(out, ' ', spec->width - prefix_len - zeroes - count);
}

static int64_t take_signed(const struct spec *spec, va_list *args)
{
    switch (spec->length) {
    case 'H':
        return (signed char)va_arg(*args, int);
    case 'h':
        return (short)va_arg(*args, int);
    case 0:
        return va_arg(*args, int);
    default: /* the others have 64 bits here */
        return va_arg(*args, int64_t);
    }
}

static uint64_t take_unsigned(const struct spec *spec, va_list *args)
{
    switch (spec->length) {
    case 'H':
        return (unsigned char)va_arg(*args, unsigned);
    case 'h':
        return (unsigned short)va_arg(*args, unsigned);
    case 0:
        return va_arg(*args, unsigned);
    default:
        return va_arg(*args, uint64_t);
    }
}

static int take_number(const char **format, va_list *args)
{
    int number = 0;

    if (**format == '*') {
        (*format)++;
        return va_arg(*args, int);
    }
    for (; **format >= '0' && **format <= '9'; (*format)++)
        number = number < 100000 ? number * 10 + (**format - '0') : number;
    return number;
}

static void take_spec(const char **format, va_list *args, struct spec *spec)
{
    *spec = (struct spec){.precision = -1};
    for (;; (*format)++) {
        if (**format == '-')
            spec->minus = true;
        else if (**format == '+')
            spec->plus = true;
        else if (**format == ' ')
            spec->space = true;
        else if (**format == '0')
            spec->zero = true;
        else if (**format == '#')
            spec->alternate = true;
        else
            break;
    }
    spec->width = take_number(format, args);
    if (spec->width < 0) {
        spec->minus = true;
        spec->width = spec->width == INT32_MIN ? 0 : -spec->width;
    }
    if (**format == '.') {
        (*format)++;
        spec->precision = take_number(format, args);
        if (spec->precision < 0)
            spec->precision = -1;
    }
    while (**format == 'h' || **format == 'l' || **format == 'z' || **format == 'j' ||
           **format == 't') {
        spec->length = spec->length == 'h' ? 'H' : **format;
        (*format)++;
    }
    spec->conversion = **format;
}

static void put_text(struct out *out, const struct spec *spec, const char *text)
{
    int len = 0;

    if (!text)
        text = "(null)";
    while (len != spec->precision && len < (int)out->max && text[len])
        len++;
    put_padded(out, spec, text, len);
}

static void put_signed(struct out *out, const struct spec *spec, int64_t value)
{
    const char *sign = value < 0 ? "-" : spec->plus ? "+" : spec->space ? " " : "";

    put_integer(out, spec, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, sign);
}

/* False where it is none that there is. */
static bool convert(struct out *out, const struct spec *spec, va_list *args)
{
    uint64_t value;
    char character;

    switch (spec->conversion) {
    case 'd':
    case 'i':
        put_signed(out, spec, take_signed(spec, args));
        return true;
    case 'u':
        put_integer(out, spec, take_unsigned(spec, args), 10, "");
        return true;
    case 'o':
        value = take_unsigned(spec, args);
        put_integer(out, spec, value, 8, spec->alternate && value ? "0" : "");
        return true;
    case 'x':
    case 'X':
        value = take_unsigned(spec, args);
        put_integer(out, spec, value, 16,
                    !spec->alternate || !value ? ""
                    : spec->conversion == 'x'  ? "0x"
                                               : "0X");
        return true;
    case 'p':
        put_integer(out, spec, (uintptr_t)va_arg(*args, void *), 16, "0x");
        return true;
    case 'c':
        character = (char)va_arg(*args, int);
        put_padded(out, spec, &character, 1);
        return true;
    case 's':
        put_text(out, spec, va_arg(*args, const char *));
        return true;
    case '%':
        put(out, '%');
        return true;
    default:
        return false;
    }
}

size_t halo__format(char *to, size_t max, const char *format, va_list args)
{
    struct out out = {to, 0, max};
    va_list mine;

    va_copy(mine, args);
    while (*format && out.len < max) {
        const char *begin = format;
        struct spec spec;

        if (*format != '%') {
            put(&out, *format++);
            continue;
        }
        format++;
        take_spec(&format, &mine, &spec);
        if (convert(&out, &spec, &mine)) {
            format++;
            continue;
        }
        /* Nobody knows how long its argument is: the rest is written as it stands. */
        while (*begin)
            put(&out, *begin++);
        break;
    }
    va_end(mine);
    return out.len;
}
