/* Packets of gdb's: see gdb.h. */
#include "gdb.h"
#include <stdio.h>
#include <string.h>

#define INTERRUPT 0x03
#define ESCAPE '}'
#define ESCAPED 0x20

/* --- Answers ---------------------------------------------------------------------------------- */

static const char digits[] = "0123456789abcdef";

static void put(struct halo_gdb *gdb, char byte)
{
    if (gdb->out_len < sizeof(gdb->out))
        gdb->out[gdb->out_len++] = byte;
}

static void begin(struct halo_gdb *gdb)
{
    put(gdb, '$');
}

static void add(struct halo_gdb *gdb, const char *text)
{
    while (*text)
        put(gdb, *text++);
}

static void add_hex(struct halo_gdb *gdb, const void *bytes, size_t len)
{
    const unsigned char *from = bytes;

    for (size_t i = 0; i < len; i++) {
        put(gdb, digits[from[i] >> 4]);
        put(gdb, digits[from[i] & 15]);
    }
}

/* Bytes as they are, but for those that mean something. */
static void add_binary(struct halo_gdb *gdb, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr("$#}*", bytes[i]) || bytes[i] == 0) {
            put(gdb, ESCAPE);
            put(gdb, (char)(bytes[i] ^ ESCAPED));
        } else {
            put(gdb, (char)bytes[i]);
        }
    }
}

static void end(struct halo_gdb *gdb)
{
    unsigned char sum = 0;
    size_t at = gdb->out_len;

    while (at > 0 && gdb->out[at - 1] != '$')
        sum = (unsigned char)(sum + (unsigned char)gdb->out[--at]);
    put(gdb, '#');
    add_hex(gdb, &sum, 1);
}

static void answer(struct halo_gdb *gdb, const char *text)
{
    begin(gdb);
    add(gdb, text);
    end(gdb);
}

#define UNKNOWN ""
#define OK "OK"
#define REFUSED "E01"
#define NOT_THERE "E0e" /* EFAULT */
#define WRONG "E16"     /* EINVAL */

/* --- What a packet says ----------------------------------------------------------------------- */

/* What is left of it. Behind its end is a zero byte. */
struct packet {
    const char *at, *end;
};

static int digit(char character)
{
    const char *at = character ? strchr(digits, character | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* A number of 1 to 16 digits. */
static bool take_number(struct packet *packet, uint64_t *number)
{
    uint32_t count = 0;

    *number = 0;
    while (packet->at < packet->end && digit(*packet->at) >= 0) {
        if (++count > 16)
            return false;
        *number = *number << 4 | (uint64_t)digit(*packet->at++);
    }
    return count > 0;
}

static bool take(struct packet *packet, const char *text)
{
    const size_t len = strlen(text);

    if ((size_t)(packet->end - packet->at) < len || memcmp(packet->at, text, len) != 0)
        return false;
    packet->at += len;
    return true;
}

static bool take_hex(struct packet *packet, unsigned char *bytes, size_t len)
{
    if ((size_t)(packet->end - packet->at) < 2 * len)
        return false;
    for (size_t i = 0; i < len; i++, packet->at += 2) {
        if (digit(packet->at[0]) < 0 || digit(packet->at[1]) < 0)
            return false;
        bytes[i] = (unsigned char)(digit(packet->at[0]) << 4 | digit(packet->at[1]));
    }
    return true;
}

/* --- Registers -------------------------------------------------------------------------------- */

static void add_register(struct halo_gdb *gdb, uint32_t number)
{
    unsigned char bytes[HALO_GDB_REGISTER_MAX];
    const size_t len = halo__gdb_register_len(number);

    if (halo__gdb_register_get(&gdb->context, number, bytes))
        add_hex(gdb, bytes, len);
    else
        for (size_t i = 0; i < 2 * len; i++)
            put(gdb, 'x');
}

static void read_registers(struct halo_gdb *gdb)
{
    begin(gdb);
    for (uint32_t i = 0; i < HALO_GDB_REGISTERS; i++)
        add_register(gdb, i);
    end(gdb);
}

static void read_register(struct halo_gdb *gdb, struct packet *packet)
{
    uint64_t number;

    if (!take_number(packet, &number) || number >= HALO_GDB_REGISTERS) {
        answer(gdb, WRONG);
        return;
    }
    begin(gdb);
    add_register(gdb, (uint32_t)number);
    end(gdb);
}

static bool set_register(struct halo_gdb *gdb, struct packet *packet, uint32_t number)
{
    unsigned char bytes[HALO_GDB_REGISTER_MAX];
    const size_t len = halo__gdb_register_len(number);

    if ((size_t)(packet->end - packet->at) >= 2 * len && *packet->at == 'x') {
        packet->at += 2 * len; /* it stays */
        return true;
    }
    return take_hex(packet, bytes, len) && halo__gdb_register_set(&gdb->context, number, bytes);
}

static void write_registers(struct halo_gdb *gdb, struct packet *packet)
{
    const struct halo_context before = gdb->context;

    if (gdb->context.is_final || !gdb->context.is_known) {
        answer(gdb, REFUSED);
        return;
    }
    for (uint32_t i = 0; i < HALO_GDB_REGISTERS; i++) {
        if (!set_register(gdb, packet, i)) {
            gdb->context = before;
            answer(gdb, WRONG);
            return;
        }
    }
    gdb->has_changed = true;
    answer(gdb, OK);
}

static void write_register(struct halo_gdb *gdb, struct packet *packet)
{
    uint64_t number;

    if (gdb->context.is_final || !gdb->context.is_known)
        answer(gdb, REFUSED);
    else if (!take_number(packet, &number) || number >= HALO_GDB_REGISTERS || !take(packet, "=") ||
             !set_register(gdb, packet, (uint32_t)number))
        answer(gdb, WRONG);
    else {
        gdb->has_changed = true;
        answer(gdb, OK);
    }
}

/* --- Memory ----------------------------------------------------------------------------------- */

static void read_memory(struct halo_gdb *gdb, struct packet *packet)
{
    unsigned char bytes[HALO_GDB_DATA_MAX];
    uint64_t address, len;
    size_t there;

    if (!take_number(packet, &address) || !take(packet, ",") || !take_number(packet, &len)) {
        answer(gdb, WRONG);
        return;
    }
    there = gdb->target.read(gdb->target.of, address, bytes,
                             len < sizeof(bytes) ? (size_t)len : sizeof(bytes));
    if (there == 0 && len > 0) {
        answer(gdb, NOT_THERE);
        return;
    }
    begin(gdb);
    add_hex(gdb, bytes, there);
    end(gdb);
}

/* `M` in digits; `X` as bytes. */
static void write_memory(struct halo_gdb *gdb, struct packet *packet, bool is_binary)
{
    unsigned char bytes[HALO_GDB_PACKET_MAX];
    uint64_t address, len;

    if (!take_number(packet, &address) || !take(packet, ",") || !take_number(packet, &len) ||
        !take(packet, ":") || len > sizeof(bytes) ||
        (is_binary ? (uint64_t)(packet->end - packet->at) != len
                   : !take_hex(packet, bytes, (size_t)len))) {
        answer(gdb, WRONG);
        return;
    }
    if (is_binary)
        memcpy(bytes, packet->at, (size_t)len);
    answer(gdb, len == 0 || gdb->target.write(gdb->target.of, address, bytes, (size_t)len)
                    ? OK
                    : NOT_THERE);
}

static void set_point(struct halo_gdb *gdb, struct packet *packet, bool insert)
{
    uint64_t kind, address, len;
    int result;

    if (!take_number(packet, &kind) || !take(packet, ",") || !take_number(packet, &address) ||
        !take(packet, ",") || !take_number(packet, &len)) {
        answer(gdb, WRONG);
        return;
    }
    result = kind > HALO_GDB_WATCH_ACCESS
                 ? 1
                 : gdb->target.point(gdb->target.of, (uint32_t)kind, address, len, insert);
    answer(gdb, result == 0 ? OK : result > 0 ? UNKNOWN : NOT_THERE);
}

/* --- What is asked for ------------------------------------------------------------------------ */

/* A piece of an object: `offset,len`. */
static void send_piece(struct halo_gdb *gdb, struct packet *packet, const void *object, size_t len)
{
    uint64_t offset, max;

    if (!take_number(packet, &offset) || !take(packet, ",") || !take_number(packet, &max)) {
        answer(gdb, WRONG);
        return;
    }
    if (offset > len)
        offset = len;
    if (max > HALO_GDB_DATA_MAX)
        max = HALO_GDB_DATA_MAX; /* each byte may need two */
    begin(gdb);
    put(gdb, len - offset > max ? 'm' : 'l');
    add_binary(gdb, (const unsigned char *)object + offset,
               len - offset > max ? (size_t)max : (size_t)(len - offset));
    end(gdb);
}

static void say_features(struct halo_gdb *gdb)
{
    char text[200];

    (void)snprintf(text, sizeof(text),
                   "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;qXfer:auxv:read+;"
                   "swbreak+;hwbreak+;vContSupported+",
                   HALO_GDB_PACKET_MAX);
    answer(gdb, text);
}

static void ask(struct halo_gdb *gdb, struct packet *packet)
{
    unsigned char values[HALO_GDB_VALUES_MAX];

    if (take(packet, "Supported"))
        say_features(gdb);
    else if (take(packet, "Xfer:features:read:target.xml:"))
        send_piece(gdb, packet, gdb->xml, gdb->xml_len);
    else if (take(packet, "Xfer:features:read:"))
        answer(gdb, "E00");
    else if (take(packet, "Xfer:auxv:read::"))
        send_piece(gdb, packet, values, gdb->target.values(gdb->target.of, values));
    else if (take(packet, "fThreadInfo"))
        answer(gdb, "m1");
    else if (take(packet, "sThreadInfo"))
        answer(gdb, "l");
    else if (take(packet, "Attached"))
        answer(gdb, "1");
    else if (packet->end - packet->at == 1 && take(packet, "C"))
        answer(gdb, "QC1");
    else
        answer(gdb, UNKNOWN);
}

static void go(struct halo_gdb *gdb, enum halo_gdb_wish wish)
{
    gdb->wish = wish;
}

/* `vCont;action:thread;…`: there is one thread, so the first action is its own. */
static void continue_verbose(struct halo_gdb *gdb, struct packet *packet)
{
    if (take(packet, ";c") || take(packet, ";C"))
        go(gdb, HALO_GDB_GO);
    else if (take(packet, ";s") || take(packet, ";S"))
        go(gdb, HALO_GDB_STEP);
    else if (take(packet, ";r") && take_number(packet, &gdb->from) && take(packet, ",") &&
             take_number(packet, &gdb->to))
        go(gdb, HALO_GDB_RANGE);
    else
        answer(gdb, WRONG);
}

static void do_verbose(struct halo_gdb *gdb, struct packet *packet)
{
    if (take(packet, "Cont?"))
        answer(gdb, "vCont;c;C;s;S;r");
    else if (take(packet, "Cont"))
        continue_verbose(gdb, packet);
    else if (take(packet, "Kill")) {
        answer(gdb, OK);
        go(gdb, HALO_GDB_KILL);
    } else
        answer(gdb, UNKNOWN);
}

/* `c` and `s`, with an address to go on at; `C` and `S` with a signal before it, which no guest
 * gets. */
static void continue_plain(struct halo_gdb *gdb, struct packet *packet, char command)
{
    const bool has_signal = command == 'C' || command == 'S';
    uint64_t address;

    if (has_signal && !take_number(packet, &address)) {
        answer(gdb, WRONG);
        return;
    }
    if (has_signal)
        (void)take(packet, ";");
    if (take_number(packet, &address) && gdb->context.is_known && !gdb->context.is_final) {
        gdb->context.rip = address;
        gdb->has_changed = true;
    }
    go(gdb, command == 'c' || command == 'C' ? HALO_GDB_GO : HALO_GDB_STEP);
}

static void set_mode(struct halo_gdb *gdb, struct packet *packet)
{
    const bool is_no_ack = take(packet, "StartNoAckMode");

    answer(gdb, is_no_ack ? OK : UNKNOWN);
    gdb->no_ack |= is_no_ack;
}

static void do_packet(struct halo_gdb *gdb, struct packet *packet)
{
    const char command = packet->at < packet->end ? *packet->at++ : '\0';

    switch (command) {
    case '?':
        answer(gdb, gdb->stop);
        break;
    case 'g':
        read_registers(gdb);
        break;
    case 'G':
        write_registers(gdb, packet);
        break;
    case 'p':
        read_register(gdb, packet);
        break;
    case 'P':
        write_register(gdb, packet);
        break;
    case 'm':
        read_memory(gdb, packet);
        break;
    case 'M':
    case 'X':
        write_memory(gdb, packet, command == 'X');
        break;
    case 'Z':
    case 'z':
        set_point(gdb, packet, command == 'Z');
        break;
    case 'c':
    case 'C':
    case 's':
    case 'S':
        continue_plain(gdb, packet, command);
        break;
    case 'v':
        do_verbose(gdb, packet);
        break;
    case 'q':
        ask(gdb, packet);
        break;
    case 'Q':
        set_mode(gdb, packet);
        break;
    case 'H':
    case 'T':
        answer(gdb, OK);
        break;
    case 'D':
        answer(gdb, OK);
        go(gdb, HALO_GDB_DETACH);
        break;
    case 'k':
        go(gdb, HALO_GDB_KILL);
        break;
    default:
        answer(gdb, UNKNOWN);
    }
}

/* --- Bytes ------------------------------------------------------------------------------------ */

/* All of a packet is there, and what was said of its sum. */
static void take_packet(struct halo_gdb *gdb)
{
    const bool is_right = !gdb->is_sum_wrong && gdb->sum == gdb->told_sum;
    struct packet packet = {(const char *)gdb->in, (const char *)gdb->in + gdb->in_len};

    gdb->state = HALO_GDB_BETWEEN;
    gdb->answered++;
    if (!gdb->no_ack)
        put(gdb, is_right ? '+' : '-');
    if (!is_right)
        return;
    if (gdb->is_too_long) {
        answer(gdb, WRONG);
        return;
    }
    gdb->in[gdb->in_len] = '\0';
    do_packet(gdb, &packet);
}

static void begin_packet(struct halo_gdb *gdb)
{
    gdb->state = HALO_GDB_IN_PACKET;
    gdb->in_len = 0;
    gdb->is_escaped = gdb->is_too_long = false;
    gdb->sum = 0;
}

static void take_in_packet(struct halo_gdb *gdb, unsigned char byte)
{
    if (byte == '#') {
        gdb->state = HALO_GDB_SUM_1;
        return;
    }
    if (byte == '$') { /* the one before was cut off */
        begin_packet(gdb);
        return;
    }
    gdb->sum = (unsigned char)(gdb->sum + byte);
    if (byte == ESCAPE && !gdb->is_escaped) {
        gdb->is_escaped = true;
        return;
    }
    if (gdb->is_escaped)
        byte ^= ESCAPED;
    gdb->is_escaped = false;
    if (gdb->in_len < HALO_GDB_PACKET_MAX)
        gdb->in[gdb->in_len++] = byte;
    else
        gdb->is_too_long = true;
}

/* True: a packet was answered. */
static bool take_byte(struct halo_gdb *gdb, unsigned char byte)
{
    const int value = digit((char)byte);

    switch (gdb->state) {
    case HALO_GDB_BETWEEN:
        if (byte == '$')
            begin_packet(gdb);
        gdb->is_called |= byte == INTERRUPT;
        return false; /* '+' and '-' among them: what TCP has taken arrives */
    case HALO_GDB_IN_PACKET:
        take_in_packet(gdb, byte);
        return false;
    case HALO_GDB_SUM_1:
        gdb->is_sum_wrong = value < 0;
        gdb->told_sum = gdb->is_sum_wrong ? 0 : (unsigned char)(value << 4);
        gdb->state = HALO_GDB_SUM_2;
        return false;
    case HALO_GDB_SUM_2:
        gdb->is_sum_wrong |= value < 0;
        gdb->told_sum |= value < 0 ? 0 : (unsigned char)value;
        take_packet(gdb);
        return true;
    }
    return false;
}

size_t halo__gdb_take(struct halo_gdb *gdb, const unsigned char *bytes, size_t len)
{
    size_t taken = 0;

    while (taken < len) {
        if (take_byte(gdb, bytes[taken++]))
            break;
    }
    return taken;
}

void halo__gdb_say_stop(struct halo_gdb *gdb, uint32_t signal, const char *why)
{
    (void)snprintf(gdb->stop, sizeof(gdb->stop), "T%02x%sthread:1;", signal & 0xff, why);
    answer(gdb, gdb->stop);
}

void halo__gdb_say_end(struct halo_gdb *gdb, bool by_signal, uint32_t number)
{
    (void)snprintf(gdb->stop, sizeof(gdb->stop), "%c%02x", by_signal ? 'X' : 'W', number & 0xff);
    answer(gdb, gdb->stop);
}

void halo__gdb_init(struct halo_gdb *gdb, const struct halo_gdb_target *target)
{
    memset(gdb, 0, sizeof(*gdb));
    gdb->target = *target;
    gdb->xml_len = halo__gdb_describe(gdb->xml, sizeof(gdb->xml));
    (void)snprintf(gdb->stop, sizeof(gdb->stop), "T05thread:1;");
}
