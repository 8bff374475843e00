/*
 * A guest that is an ordinary program, linked with its C library and with this one: its start.
 */
#include "start.h"
#include "entry.h"
#include "linux.h"
#include <elf.h>

/* Of the linker's: the file's own header, which is part of the first segment. */
extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

static const Elf64_Phdr *program_headers(void)
{
    return (const Elf64_Phdr *)(const void *)((const char *)&__ehdr_start + __ehdr_start.e_phoff);
}

/* Of the linker's: the list of what a C library relocates itself. */
extern const char __rela_iplt_start[] __attribute__((weak, visibility("hidden")));
extern const char __rela_iplt_end[] __attribute__((weak, visibility("hidden")));

/* The program's segments. What was read-only from the start is looked at first. */
static void add_segments(void)
{
    const uint32_t types[] = {&__rela_iplt_start[0] == &__rela_iplt_end[0] ? PT_GNU_RELRO : PT_NULL,
                              PT_LOAD};
    const Elf64_Phdr *headers = program_headers();

    for (uint32_t i = 0; i < 2 * __ehdr_start.e_phnum; i++) {
        const uint32_t type = types[i / __ehdr_start.e_phnum];
        const Elf64_Phdr *header = &headers[i % __ehdr_start.e_phnum];
        const uint64_t base = header->p_vaddr / HALO_PAGE * HALO_PAGE;
        const uint64_t end = header->p_vaddr + header->p_memsz;
        const uint64_t more = type == PT_LOAD ? HALO_PAGE - 1 : 0;

        if (header->p_type == type && type != PT_NULL)
            linux_add_range(&halo__linux, base, (end + more) / HALO_PAGE * HALO_PAGE - base,
                            type == PT_LOAD && (header->p_flags & PF_W));
    }
}

#define WORDS_MAX 32u /* of the environment and the auxiliary vector */

/* What Linux leaves on a new program's stack: argc, argv, the environment, the auxiliary vector. */
static char **make_stack(const struct halo_boot *boot, const uint64_t *random)
{
    uint64_t *words =
                 malloc(((uint64_t)boot->arg_count + boot->env_count + WORDS_MAX) * sizeof(*words)),
             *at = words;
    char *arg = (char *)(uintptr_t)boot->args;
    const uint64_t vector[] = {
        AT_PHDR,   (uintptr_t)program_headers(),
        AT_PHENT,  sizeof(Elf64_Phdr),
        AT_PHNUM,  __ehdr_start.e_phnum,
        AT_PAGESZ, HALO_PAGE,
        AT_ENTRY,  __ehdr_start.e_entry,
        AT_CLKTCK, 100,
        AT_RANDOM, (uintptr_t)random,
        AT_UID,    1000,
        AT_EUID,   1000,
        AT_GID,    1000,
        AT_EGID,   1000,
        AT_SECURE, 0,
        AT_NULL,   0,
    };

    if (!words)
        halo_panic("no memory for the arguments");
    for (uint32_t i = 0; i < boot->arg_count + boot->env_count; i++) {
        if (i == boot->arg_count)
            *at++ = 0; /* the end of argv */
        *at++ = (uintptr_t)arg;
        arg += strlen(arg) + 1;
    }
    if (boot->env_count == 0)
        *at++ = 0;
    *at++ = 0; /* and of the environment */
    memcpy(at, vector, sizeof(vector));
    return (char **)words;
}

int main(int argc, char **argv);

/*
 * What a program of glibc's finds in the files that its compiler links it with; here they are not
 * needed. Constructors are in lists by now, and not in the code of _init.
 */
void _init(void);
void _fini(void);

void _init(void)
{
}

void _fini(void)
{
}

/* It is not position-independent. */
void _dl_relocate_static_pie(void);

void _dl_relocate_static_pie(void)
{
}

void *__dso_handle;

/* Of the C library: runs constructors, main and exit. musl's has no last argument. */
_Noreturn void __libc_start_main(int (*main)(int, char **), int argc, char **argv,
                                 void (*init)(void), void (*fini)(void), void (*loader)(void),
                                 void *stack_end);

_Noreturn void halo__linux_main(const struct halo_boot *boot)
{
    static uint64_t random[2];

    halo_handle_write_errors(); /* write returns them, or raises SIGPIPE */
    halo__linux_table(boot);
    add_segments();
    (void)linux_call(&halo__linux, 318 /* getrandom */,
                     (const uint64_t[6]){(uintptr_t)random, sizeof(random)});
    __libc_start_main(main, (int)boot->arg_count, make_stack(boot, random), NULL, NULL, NULL,
                      (void *)(uintptr_t)(boot->stack_low + boot->stack_len));
}
