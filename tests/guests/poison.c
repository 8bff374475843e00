/* poison: functions of which one breaks a rule, while calls of others are in flight. */
#include <halo/guest.h>

HALO_EXPORT(echo, "echo", HALO_I64, HALO_I64)
{
    halo_return(call, args[0]);
}

/* Where the doorbell's page is. */
HALO_EXPORT(doorbell, "doorbell", HALO_U64)
{
    halo_return(call, halo_u64(halo_boot_page()->doorbell));
}

/* Rings for what there is not. */
HALO_EXPORT(spoil, "spoil", HALO_VOID, HALO_U64, HALO_U64, HALO_U64)
{
    ((void (*)(uint64_t, uint64_t, uint64_t))(uintptr_t)halo_boot_page()->doorbell)(
        args[0].u64, args[1].u64, args[2].u64);
    halo_panic("the guest goes on after it broke a rule");
}
