/*
 * gdb's remote serial protocol, as a server of one guest with one thread: packets in, packets out.
 * It knows neither a socket nor a machine: bytes come from anywhere, and what they ask for is done
 * by functions of the target's. Whoever is at the other end may write what he likes: a packet has a
 * bound, each number of it is judged, and what is not known is answered as the protocol says.
 *
 *     $packet-data#checksum    '+' and '-' acknowledge it, until QStartNoAckMode; 0x03 interrupts
 *
 * The answer to a packet is in `out`, to be taken before the next bytes are given. A packet that
 * has the guest go on leaves `wish` and no answer: that is the stop, later.
 */
#ifndef HALO_SRC_GDB_H
#define HALO_SRC_GDB_H

#include "machine/context.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HALO_GDB_PACKET_MAX 8192u /* of what is between $ and # */
#define HALO_GDB_OUT_MAX (HALO_GDB_PACKET_MAX + 16u)
#define HALO_GDB_DATA_MAX (HALO_GDB_PACKET_MAX / 2 - 64u) /* bytes of memory in one */
#define HALO_GDB_XML_MAX 8192u
#define HALO_GDB_VALUES_MAX 128u /* bytes of AT_ values */

/* As Z packets number them. */
enum halo_gdb_point {
    HALO_GDB_BREAK = 0,
    HALO_GDB_BREAK_HARD = 1,
    HALO_GDB_WATCH_WRITE = 2,
    HALO_GDB_WATCH_READ = 3,
    HALO_GDB_WATCH_ACCESS = 4,
};

/* What is debugged. */
struct halo_gdb_target {
    void *of;
    /* Bytes of guest memory that there are from there on, `len` at most; how many there were. */
    size_t (*read)(void *of, uint64_t address, void *to, size_t len);
    /* All of them, or none. */
    bool (*write)(void *of, uint64_t address, const void *from, size_t len);
    /* 0; 1: there are none of that kind; -1: not there, or too many. */
    int (*point)(void *of, uint32_t kind, uint64_t address, uint64_t len, bool insert);
    /* AT_ values of the program, in up to HALO_GDB_VALUES_MAX bytes; how many. */
    size_t (*values)(void *of, unsigned char *to);
};

enum halo_gdb_wish {
    HALO_GDB_STAY,
    HALO_GDB_GO,
    HALO_GDB_STEP,
    HALO_GDB_RANGE, /* steps, while rip is in `from` to before `to` */
    HALO_GDB_DETACH,
    HALO_GDB_KILL,
};

struct halo_gdb {
    struct halo_gdb_target target;
    struct halo_context context; /* the guest's, while it is held */
    bool has_changed;            /* by a packet, the context */
    enum halo_gdb_wish wish;
    uint64_t from, to;
    bool is_called;    /* 0x03 has come */
    uint32_t answered; /* packets, so far */

    char out[HALO_GDB_OUT_MAX];
    size_t out_len;
    bool no_ack;
    char stop[64]; /* the last stop, for '?' */

    /* A packet on its way in, escapes undone. */
    enum { HALO_GDB_BETWEEN, HALO_GDB_IN_PACKET, HALO_GDB_SUM_1, HALO_GDB_SUM_2 } state;
    unsigned char in[HALO_GDB_PACKET_MAX + 1];
    size_t in_len;
    bool is_escaped, is_too_long, is_sum_wrong;
    unsigned char sum, told_sum;

    char xml[HALO_GDB_XML_MAX];
    size_t xml_len;
};

void halo__gdb_init(struct halo_gdb *gdb, const struct halo_gdb_target *target);

/* Take bytes in, up to the end of one packet that is answered: how many were taken. */
size_t halo__gdb_take(struct halo_gdb *gdb, const unsigned char *bytes, size_t len);

/* Say that the guest has stopped by this signal, as Linux numbers it; `why` is "", or a reason in
 * the protocol's words, with a semicolon at its end. */
void halo__gdb_say_stop(struct halo_gdb *gdb, uint32_t signal, const char *why);
/* Say that it has ended, by itself or by a signal. */
void halo__gdb_say_end(struct halo_gdb *gdb, bool by_signal, uint32_t number);

/* --- Between its files ------------------------------------------------------------------------ */

/* Registers as their names in the target's description have them, one after the other. */
#define HALO_GDB_REGISTERS 75u

/* The description, as XML; its length. */
size_t halo__gdb_describe(char *xml, size_t max);
/* Bytes of one register: how many it has, 0 where there is no such register. */
#define HALO_GDB_REGISTER_MAX 16u
size_t halo__gdb_register_len(uint32_t number);
/* False where it is not known. */
bool halo__gdb_register_get(const struct halo_context *context, uint32_t number,
                            unsigned char *bytes);
/* False where no processor takes that: an address that is not canonical, reserved bits of mxcsr. */
bool halo__gdb_register_set(struct halo_context *context, uint32_t number,
                            const unsigned char *bytes);

#endif
