/*
 * What Debian's nanopb library wants of a C library besides the memory functions. It allocates only
 * for kinds of fields that Halo has none of; a program that has an allocator of its own has its
 * way.
 */
#include <halo/guest.h>

void *realloc(void *memory, size_t len);
void free(void *memory);
_Noreturn void __stack_chk_fail(void);

__attribute__((weak)) void *realloc(void *memory, size_t len)
{
    (void)memory;
    (void)len;
    return NULL;
}

__attribute__((weak)) void free(void *memory)
{
    (void)memory;
}

/* Its functions guard their stack frames, with the word that fs finds (struct halo_thread). */
__attribute__((weak)) _Noreturn void __stack_chk_fail(void)
{
    halo_panic("a function wrote beyond its stack frame");
}
