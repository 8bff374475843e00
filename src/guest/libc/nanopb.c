/* What Debian's nanopb library wants of a C library besides what guests have. */
#include <halo/guest.h>

_Noreturn void __stack_chk_fail(void);

/* Its functions guard their stack frames, with the word that fs finds (struct halo_thread). */
__attribute__((weak)) _Noreturn void __stack_chk_fail(void)
{
    halo_panic("a function wrote beyond its stack frame");
}
