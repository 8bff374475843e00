/*
 * Any bytes as what gdb says, in any pieces: nothing is read or written beyond what the target has,
 * an answer fits and is a packet with its sum, and the description of the target stays what it is.
 */
#include "../../src/host/gdb.h"

#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())
#define BASE 0x400000u
#define POINTS 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned char memory[256];
static uint32_t points;

static size_t read_memory(void *of, uint64_t address, void *to, size_t len)
{
    size_t there = 0;

    EXPECT(of == memory && len <= HALO_GDB_DATA_MAX);
    if (address >= BASE && address - BASE < sizeof(memory))
        there = sizeof(memory) - (size_t)(address - BASE);
    if (there > len)
        there = len;
    memcpy(to, memory + (there > 0 ? address - BASE : 0), there);
    return there;
}

static bool write_memory(void *of, uint64_t address, const void *from, size_t len)
{
    EXPECT(of == memory && len > 0 && len <= HALO_GDB_PACKET_MAX);
    if (address < BASE || address - BASE > sizeof(memory) ||
        len > sizeof(memory) - (address - BASE))
        return false;
    memcpy(memory + (address - BASE), from, len);
    return true;
}

static int set_point(void *of, uint32_t kind, uint64_t address, uint64_t len, bool insert)
{
    (void)address;
    (void)len;
    EXPECT(of == memory && kind <= HALO_GDB_WATCH_ACCESS);
    if (insert && points == POINTS)
        return -1;
    points = insert ? points + 1 : points > 0 ? points - 1 : 0;
    return kind > HALO_GDB_WATCH_WRITE;
}

static size_t values(void *of, unsigned char *to)
{
    EXPECT(of == memory);
    memset(to, 0x7d, HALO_GDB_VALUES_MAX); /* each is escaped */
    return HALO_GDB_VALUES_MAX;
}

/* Acknowledgements, and no packet or one, with its sum. */
static void judge(const struct halo_gdb *gdb)
{
    const char *at = gdb->out, *end = gdb->out + gdb->out_len;
    unsigned char sum = 0;

    EXPECT(gdb->out_len <= sizeof(gdb->out));
    while (at < end && (*at == '+' || *at == '-'))
        at++;
    if (at == end)
        return;
    EXPECT(*at++ == '$');
    while (at < end && *at != '#')
        sum = (unsigned char)(sum + (unsigned char)*at++);
    EXPECT(end - at == 3);
    EXPECT("0123456789abcdef"[sum >> 4] == at[1] && "0123456789abcdef"[sum & 15] == at[2]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct halo_gdb_target target = {memory, read_memory, write_memory, set_point,
                                                  values};
    static struct halo_gdb gdb;
    size_t at = 1, piece;

    if (len < 2)
        return 0;
    piece = data[0] % 64 + 1u;
    points = 0;
    halo__gdb_init(&gdb, &target);
    gdb.context.is_known = !(data[0] & 64);
    gdb.context.is_final = data[0] & 128;
    gdb.context.has_vectors = data[0] & 1;
    while (at < len) {
        const size_t part = piece < len - at ? piece : len - at;
        const size_t taken = halo__gdb_take(&gdb, data + at, part);

        EXPECT(taken > 0 && taken <= part);
        EXPECT(gdb.in_len <= HALO_GDB_PACKET_MAX);
        EXPECT(!gdb.has_changed || (gdb.context.is_known && !gdb.context.is_final));
        judge(&gdb);
        at += taken;
        gdb.out_len = 0;
        if (gdb.wish != HALO_GDB_STAY)
            halo__gdb_say_stop(&gdb, 5, "watch:7fffffffffff;");
        judge(&gdb);
        gdb.out_len = 0;
        gdb.wish = HALO_GDB_STAY;
    }
    EXPECT(gdb.xml_len < sizeof(gdb.xml) - 200 &&
           strcmp(gdb.xml + gdb.xml_len - 9, "</target>") == 0);
    return 0;
}
