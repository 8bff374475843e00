/* The memory functions that compilers count on. Long runs go to the processor's string unit. */
#include <halo/guest.h>

#define LONG_RUN 64

/* Eight bytes anywhere, of whatever they are. */
struct word {
    uint64_t value;
} __attribute__((packed, may_alias));

/* From the front: `to` may also lie before `from`, and overlap it. */
static inline void *copy_up(void *to, const void *from, size_t len)
{
    unsigned char *d = to;
    const unsigned char *s = from;

    if (len >= LONG_RUN) {
        __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(len) : : "memory");
    } else if (len >= sizeof(struct word)) {
        /* The last word may overlap the one before it. It is read before that is written. */
        struct word *const end = (struct word *)(d + len - sizeof(struct word));
        const uint64_t last = ((const struct word *)(s + len - sizeof(struct word)))->value;

        for (; (struct word *)d < end; d += sizeof(struct word), s += sizeof(struct word))
            ((struct word *)d)->value = ((const struct word *)s)->value;
        end->value = last;
    } else {
        for (size_t i = 0; i < len; i++)
            d[i] = s[i];
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    return copy_up(to, from, len);
}

void *memmove(void *to, const void *from, size_t len)
{
    unsigned char *d = to;
    const unsigned char *s = from;

    if ((uintptr_t)to - (uintptr_t)from >= len)
        return copy_up(to, from, len);
    for (size_t i = len; i > 0; i--)
        d[i - 1] = s[i - 1];
    return to;
}

void *memset(void *to, int byte, size_t len)
{
    unsigned char *d = to;

    if (len >= LONG_RUN) {
        __asm__ volatile("rep stosb" : "+D"(d), "+c"(len) : "a"(byte) : "memory");
        return to;
    }
    for (size_t i = 0; i < len; i++)
        d[i] = (unsigned char)byte;
    return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
    const unsigned char *x = a, *y = b;

    for (size_t i = 0; i < len; i++) {
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    }
    return 0;
}

int bcmp(const void *a, const void *b, size_t len);

/* clang makes this of a memcmp that only asks for equality. */
int bcmp(const void *a, const void *b, size_t len)
{
    return memcmp(a, b, len);
}

void *memchr(const void *from, int byte, size_t len)
{
    const unsigned char *at = from;

    for (size_t i = 0; i < len; i++) {
        if (at[i] == (unsigned char)byte)
            return (void *)(uintptr_t)(at + i);
    }
    return NULL;
}

size_t strlen(const char *text)
{
    size_t len = 0;

    while (text[len])
        len++;
    return len;
}
