/* log: a guest that logs as its first argument says. */
#include <halo/driver.h>
#include <halo/guest.h>

static bool same(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && memcmp(a, b, strlen(a)) == 0;
}

#define ALL(level)                                                                                \
    halo_log(level, "%d|%i|%u|%x|%X|%o|%c|%s|%%|%p", -1, 2147483647, 4294967295u, 0xbeef, 0xbeef, \
             8, 'c', "text", (void *)0x1234)

static void formats(void)
{
    ALL(HALO_LOG_INFO);
    halo_log(HALO_LOG_INFO, "[%5d|%-5d|%05d|%+d|% d|%.3d|%5.2s|%-6s|%*d|%.*s]", 42, 42, 42, 42, 42,
             7, "abc", "ab", 4, 1, 2, "xyz");
    halo_log(HALO_LOG_INFO, "%hhd %hd %ld %lld %zu %#x %#o %llx %lu %td", (signed char)-3,
             (short)-4, -9223372036854775807l, 9223372036854775807ll, (size_t)-1, 255, 8,
             0x123456789abcdefull, 18446744073709551615ul, (ptrdiff_t)-5);
    halo_log_text(HALO_LOG_INFO, "a\0b\033[31m\n", 9);
}

static void levels(void)
{
    halo_log(HALO_LOG_ERROR, "first");
    halo_log(HALO_LOG_WARN, "second");
    halo_log(HALO_LOG_INFO, "third");
    halo_log(HALO_LOG_DEBUG, "fourth");
    halo_log((enum halo_log_level)0, "none");
    halo_log((enum halo_log_level)5, "none");
    halo_log_text(HALO_LOG_ERROR, "", 0);
}

static void many(void)
{
    for (int i = 0; i < 1000; i++)
        halo_log(HALO_LOG_WARN, "line %d", i);
}

static void long_line(void)
{
    static char text[HALO_LOG_MAX + 100];

    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = (char)('a' + i % 26);
    halo_log(HALO_LOG_WARN, "%s", text);
    halo_log_text(HALO_LOG_WARN, text, sizeof(text) - 1);
}

static void then_fault(void)
{
    static volatile uintptr_t nowhere = 8;

    halo_log(HALO_LOG_WARN, "the last words");
    *(volatile unsigned char *)nowhere = 1;
}

/* A message of this kind that no library sends. */
static void send_raw(uint32_t level, uint32_t len, uint32_t readable, uint32_t writable)
{
    const struct halo_boot *boot = halo_boot_page();
    HALO_SHARED struct halo_desc *ring =
        halo_shm_share((void *)(uintptr_t)boot->queue[HALO_QUEUE_G2H].desc);
    struct {
        struct halo_message message;
        struct halo_log_head head;
    } request = {{.kind = HALO_KIND_LOG, .length = len}, {.level = level}};

    memcpy((void *)(uintptr_t)boot->pool_base, &request, sizeof(request));
    if (writable) {
        halo_shm_stage_addr(&ring[1], boot->pool_base + 8192);
        halo_shm_publish_meta(&ring[1], halo_meta(writable, 0, HALO_DESC_WRITE | HALO_DESC_AVAIL));
    }
    halo_shm_stage_addr(&ring[0], boot->pool_base);
    halo_shm_publish_meta(
        &ring[0], halo_meta(readable, 0, (writable ? HALO_DESC_NEXT : 0) | HALO_DESC_AVAIL));
    ((void (*)(uint64_t, uint64_t, uint64_t))(uintptr_t)boot->doorbell)(HALO_DOORBELL_KICK, 0, 0);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    if (same(mode, "formats"))
        formats();
    else if (same(mode, "levels"))
        levels();
    else if (same(mode, "many"))
        many();
    else if (same(mode, "long"))
        long_line();
    else if (same(mode, "fault"))
        then_fault();
    else if (same(mode, "no-level"))
        send_raw(0, 9, 17, 0);
    else if (same(mode, "high-level"))
        send_raw(5, 9, 17, 0);
    else if (same(mode, "empty"))
        send_raw(1, 8, 16, 0);
    else if (same(mode, "no-head"))
        send_raw(1, 4, 12, 0);
    else if (same(mode, "too-long"))
        send_raw(1, 8 + HALO_LOG_MAX + 1, 16 + HALO_LOG_MAX + 1, 0);
    else if (same(mode, "room"))
        send_raw(1, 9, 17, 64);
    else if (same(mode, "most"))
        send_raw(1, 8 + HALO_LOG_MAX, 16 + HALO_LOG_MAX, 0);
    return 7;
}
