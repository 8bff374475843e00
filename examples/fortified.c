/*
 * Debian's archives are compiled for glibc with hardened functions (_FORTIFY_SOURCE), and 64-bit
 * file offsets by another name. musl has what they stand for.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fcntl64(int fd, int command, ...);
int __fprintf_chk(FILE *stream, int flag, const char *format, ...);
int __snprintf_chk(char *to, size_t len, int flag, size_t room, const char *format, ...);
void *__memcpy_chk(void *to, const void *from, size_t len, size_t room);
void *__memset_chk(void *to, int byte, size_t len, size_t room);
_Noreturn void __longjmp_chk(jmp_buf env, int value);

int fcntl64(int fd, int command, ...)
{
    va_list args;
    void *argument;

    va_start(args, command);
    argument = va_arg(args, void *);
    va_end(args);
    return fcntl(fd, command, argument);
}

int __fprintf_chk(FILE *stream, int flag, const char *format, ...)
{
    va_list args;
    int len;

    (void)flag;
    va_start(args, format);
    len = vfprintf(stream, format, args);
    va_end(args);
    return len;
}

int __snprintf_chk(char *to, size_t len, int flag, size_t room, const char *format, ...)
{
    va_list args;
    int result;

    (void)flag;
    if (len > room)
        abort();
    va_start(args, format);
    result = vsnprintf(to, len, format, args);
    va_end(args);
    return result;
}

void *__memcpy_chk(void *to, const void *from, size_t len, size_t room)
{
    if (len > room)
        abort();
    return memcpy(to, from, len);
}

void *__memset_chk(void *to, int byte, size_t len, size_t room)
{
    if (len > room)
        abort();
    return memset(to, byte, len);
}

_Noreturn void __longjmp_chk(jmp_buf env, int value)
{
    longjmp(env, value);
}
