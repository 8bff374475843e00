/* Start and end of a guest. */
#include "start.h"
#include "call/export.h"
#include "stack.h"

static const struct halo_boot *the_boot;

const struct halo_boot *halo_boot(void)
{
    return the_boot;
}

void halo__doorbell(enum halo_doorbell op, uint64_t a, uint64_t b)
{
    void (*doorbell)(uint64_t, uint64_t, uint64_t) =
        (void (*)(uint64_t, uint64_t, uint64_t))(uintptr_t)the_boot->doorbell;

    doorbell(op, a, b);
}

_Noreturn void halo_panic(const char *text)
{
    for (;;)
        halo__doorbell(HALO_DOORBELL_PANIC, (uintptr_t)text, strlen(text));
}

/* What code that was compiled with a stack protector calls: a library, say. */
_Noreturn void __stack_chk_fail(void);

_Noreturn void __stack_chk_fail(void)
{
    halo_panic("the stack was smashed");
}

_Noreturn void halo_exit(int code)
{
    if (halo_flush() < 0 && code == 0)
        code = 1;
    for (;;)
        halo__doorbell(HALO_DOORBELL_HALT, (uint64_t)code, 0);
}

/* The strings of argv lie in a page of their own already. */
static char **make_argv(const struct halo_boot *boot)
{
    char **argv = malloc((boot->arg_count + 1ull) * sizeof(*argv));
    char *at = (char *)(uintptr_t)boot->args;

    if (!argv)
        halo_panic("no memory for the arguments");
    for (uint32_t i = 0; i < boot->arg_count; i++) {
        argv[i] = at;
        at += strlen(at) + 1;
    }
    argv[boot->arg_count] = NULL;
    return argv;
}

/* Entered by the host with a stack and the boot page, as if called. */
_Noreturn void _start(const struct halo_boot *boot);

_Noreturn void _start(const struct halo_boot *boot)
{
    the_boot = boot;
    if (boot->magic != HALO_BOOT_MAGIC || boot->version != HALO_BOOT_VERSION)
        halo_panic("this guest was built for another version of Halo");
    if (!halo__on_stacks())
        halo__stream_start(halo__serve_start(boot, halo__port_start(boot)));
    halo__call_start();
    halo_exit(main((int)boot->arg_count, make_argv(boot)));
}
