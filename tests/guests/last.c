/* last: a guest that writes, and then ends in the way its first argument names. */
#include "check.h"

static bool same(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && memcmp(a, b, strlen(a)) == 0;
}

static void loop(void)
{
    for (;;)
        __asm__ volatile("pause");
}

static void fault(void)
{
    __asm__ volatile("ud2");
}

static void poison(void)
{
    ((void (*)(uint64_t, uint64_t, uint64_t))(uintptr_t)halo_boot_page()->doorbell)(4711, 0, 0);
}

static void panic(void)
{
    halo_panic("enough");
}

static void nothing(void)
{
}

/* What the host finds of writes that were not sent; none of it may be believed. STR-11 */
static void lie(void)
{
    struct halo_save *save = (struct halo_save *)(uintptr_t)halo_boot_page()->save;
    const struct halo_unsent lies[] = {
        {HALO_STDOUT, 64, 0},
        {HALO_STDOUT, 0xffffffff, halo_boot_page()->pool_base},
        {HALO_STDOUT, 4096, (uintptr_t)halo_boot_page()},
        {HALO_STDIN, 16, halo_boot_page()->pool_base},
        {77, 16, halo_boot_page()->pool_base},
        {0xffffffff, 16, halo_boot_page()->pool_base},
        {HALO_STDOUT, 16, 0xfffffffffffffff8},
    };

    memcpy(save->unsent, lies, sizeof(lies));
    fault();
}

static const struct {
    const char *name;
    void (*end)(void);
} ends[] = {
    {"fault", fault},   {"panic", panic},     {"loop", loop},
    {"poison", poison}, {"nothing", nothing}, {"lie", lie},
};

/* Write for ever, and never look. */
static void pour(void)
{
    static const char bytes[4096];

    for (;;)
        (void)halo_write(HALO_STDOUT, bytes, sizeof(bytes));
}

/* The same, by a program that looks: it ends with the errno. */
static void look(void)
{
    static const char bytes[4096];

    halo_handle_write_errors();
    while (halo_write(HALO_STDOUT, bytes, sizeof(bytes)) == 0)
        continue;
    halo_exit(halo_write_error(HALO_STDOUT));
}

static void write_text(uint32_t handle, const char *text)
{
    (void)halo_write(handle, text, strlen(text)); /* it does not look */
}

int main(int argc, char **argv)
{
    struct halo_writer writer;
    uint32_t log;

    check(argc > 1, "which end?");
    if (same(argv[1], "pour"))
        pour();
    if (same(argv[1], "look"))
        look();
    if (argc > 2 && same(argv[2], "log")) {
        check(halo_stream_open("log", &log) == 0, "no log");
        check(halo_writer_open(&writer, log) == 0, "no writer");
        check(halo_writer_write(&writer, "gathered", 8) == 0, "cannot write");
    }
    write_text(HALO_STDOUT, "out 1\n");
    write_text(HALO_STDERR, "error 1\n");
    write_text(HALO_STDOUT, "out 2\n");
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (same(argv[1], ends[i].name))
            ends[i].end();
    }
    return 0;
}
