/* The registers of amd64 as gdb numbers them, and the description that says so. */
#include "gdb.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define XMM 160u /* in FXSAVE's part */
#define MXCSR 24u
#define MXCSR_MOST 28u /* the bits that mxcsr has here; 0: those of every processor */
#define CANONICAL ((int64_t)1 << 47)
#define AT(member) ((uint16_t)offsetof(struct halo_context, member))
#define IN_XSAVE(offset) ((uint16_t)(offsetof(struct halo_context, xsave) + (offset)))

enum of { OF_GENERAL, OF_VECTORS };

/* So many registers, one after the other. */
static const struct row {
    uint8_t count;
    uint8_t shown; /* bytes, as gdb has it; */
    uint8_t len;   /* as the context has it, less: the rest is 0, */
    uint8_t of;
    uint16_t at;
    uint8_t stride;
} rows[] = {
    {16, 8, 8, OF_GENERAL, AT(general), 8},
    {1, 8, 8, OF_GENERAL, AT(rip), 0},
    {1, 4, 4, OF_GENERAL, AT(flags), 0},
    {6, 4, 4, OF_GENERAL, AT(segments), 4},
    {8, 10, 10, OF_VECTORS, IN_XSAVE(32), 16},
    {1, 4, 2, OF_VECTORS, IN_XSAVE(0), 0},  /* fctrl */
    {1, 4, 2, OF_VECTORS, IN_XSAVE(2), 0},  /* fstat */
    {1, 4, 1, OF_VECTORS, IN_XSAVE(4), 0},  /* ftag, a bit for each of st0 to st7 */
    {1, 4, 2, OF_VECTORS, IN_XSAVE(12), 0}, /* fiseg */
    {1, 4, 4, OF_VECTORS, IN_XSAVE(8), 0},  /* fioff */
    {1, 4, 2, OF_VECTORS, IN_XSAVE(20), 0}, /* foseg */
    {1, 4, 4, OF_VECTORS, IN_XSAVE(16), 0}, /* fooff */
    {1, 4, 2, OF_VECTORS, IN_XSAVE(6), 0},  /* fop */
    {16, 16, 16, OF_VECTORS, IN_XSAVE(XMM), 16},
    {1, 4, 4, OF_VECTORS, IN_XSAVE(MXCSR), 0}, /* mxcsr */
    {2, 8, 8, OF_GENERAL, AT(bases), 8},
    {16, 16, 16, OF_VECTORS, IN_XSAVE(HALO_XSAVE_UPPER), 16},
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))
#define RCX 2u
#define R11 11u
#define FLAGS 17u
#define FTAG 34u
#define FX_TAGS 4u /* where they are */

static const struct row *row_of(uint32_t number, uint32_t *index)
{
    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        if (number < rows[i].count) {
            *index = number;
            return &rows[i];
        }
        number -= rows[i].count;
    }
    return NULL;
}

size_t halo__gdb_register_len(uint32_t number)
{
    uint32_t index;
    const struct row *row = row_of(number, &index);

    return row ? row->shown : 0;
}

/* Two bits for each register of the x87: 3 is empty. */
static uint16_t wide_tags(unsigned char tags)
{
    uint16_t wide = 0;

    for (uint32_t i = 0; i < 8; i++)
        wide |= (uint16_t)((tags >> i & 1 ? 0u : 3u) << 2 * i);
    return wide;
}

static unsigned char narrow_tags(uint16_t wide)
{
    unsigned char tags = 0;

    for (uint32_t i = 0; i < 8; i++)
        tags |= (unsigned char)(((wide >> 2 * i & 3) != 3 ? 1u : 0u) << i);
    return tags;
}

static bool is_known(const struct halo_context *context, const struct row *row, uint32_t number)
{
    if (row->of == OF_VECTORS)
        return context->has_vectors;
    if (row->at == AT(bases) && context->lacks_bases)
        return false;
    return context->is_known &&
           !(context->is_partly && (number == RCX || number == R11 || number == FLAGS));
}

bool halo__gdb_register_get(const struct halo_context *context, uint32_t number,
                            unsigned char *bytes)
{
    uint32_t index;
    const struct row *row = row_of(number, &index);
    const unsigned char *at = (const unsigned char *)context;
    uint16_t tags;

    if (!row || !is_known(context, row, number))
        return false;
    memset(bytes, 0, row->shown);
    memcpy(bytes, at + row->at + (size_t)row->stride * index, row->len);
    if (number == FTAG) {
        tags = wide_tags(context->xsave[FX_TAGS]);
        memcpy(bytes, &tags, sizeof(tags));
    }
    return true;
}

/* What XSAVE's header says to be as it begins is not, from now on. */
static void have_parts(struct halo_context *context)
{
    context->xsave[HALO_XSAVE_HEADER] |= 7;
}

/* With what a processor does not take the guest would not go on at all. */
static bool is_possible(const struct halo_context *context, const struct row *row,
                        const unsigned char *bytes)
{
    uint32_t all, most;
    int64_t address;

    if (row->at == AT(rip) || row->at == AT(bases)) {
        memcpy(&address, bytes, sizeof(address));
        return address >= -CANONICAL && address < CANONICAL;
    }
    if (row->at != IN_XSAVE(MXCSR))
        return true;
    memcpy(&all, bytes, sizeof(all));
    memcpy(&most, context->xsave + MXCSR_MOST, sizeof(most));
    return !(all & ~(most ? most : 0xffbfu));
}

bool halo__gdb_register_set(struct halo_context *context, uint32_t number,
                            const unsigned char *bytes)
{
    uint32_t index;
    const struct row *row = row_of(number, &index);
    unsigned char *at = (unsigned char *)context;
    uint16_t tags;

    if (!row || !is_known(context, row, number))
        return true;
    if (!is_possible(context, row, bytes))
        return false;
    if (row->of == OF_VECTORS)
        have_parts(context);
    if (number == FTAG) {
        memcpy(&tags, bytes, sizeof(tags));
        context->xsave[FX_TAGS] = narrow_tags(tags);
    } else {
        memcpy(at + row->at + (size_t)row->stride * index, bytes, row->len);
    }
    return true;
}

/* --- The description -------------------------------------------------------------------------- */

struct text {
    char *to;
    size_t max, len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text->to + text->len, text->max - text->len, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < text->max - text->len)
        text->len += (size_t)n;
}

static void add_each(struct text *text, const char *const *names, uint32_t bits, const char *type)
{
    for (; *names; names++)
        add(text, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>", *names, bits, type);
}

static void add_flags(struct text *text)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } flags[] = {{"CF", 0},  {"PF", 2},  {"AF", 4},  {"ZF", 6},  {"SF", 7},  {"TF", 8}, {"IF", 9},
                 {"DF", 10}, {"OF", 11}, {"NT", 14}, {"RF", 16}, {"AC", 18}, {"ID", 21}};

    add(text, "<flags id=\"i386_eflags\" size=\"4\"><field name=\"\" start=\"1\" end=\"1\"/>");
    for (uint32_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        add(text, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", flags[i].name, flags[i].bit,
            flags[i].bit);
    add(text, "</flags>");
}

static void add_core(struct text *text)
{
    static const char *const general[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", NULL};
    static const char *const stack[] = {"rbp", "rsp", NULL};
    static const char *const high[] = {"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", NULL};
    static const char *const segments[] = {"cs", "ss", "ds", "es", "fs", "gs", NULL};
    static const char *const control[] = {"fctrl", "fstat", "ftag", "fiseg", "fioff",
                                          "foseg", "fooff", "fop",  NULL};

    add(text, "<feature name=\"org.gnu.gdb.i386.core\">");
    add_flags(text);
    add_each(text, general, 64, "int64");
    add_each(text, stack, 64, "data_ptr");
    add_each(text, high, 64, "int64");
    add(text, "<reg name=\"rip\" bitsize=\"64\" type=\"code_ptr\"/>"
              "<reg name=\"eflags\" bitsize=\"32\" type=\"i386_eflags\"/>");
    add_each(text, segments, 32, "int32");
    for (uint32_t i = 0; i < 8; i++)
        add(text, "<reg name=\"st%u\" bitsize=\"80\" type=\"i387_ext\"/>", i);
    add_each(text, control, 32, "int");
    add(text, "</feature>");
}

static void add_vectors(struct text *text)
{
    static const char *const parts[][3] = {
        {"v4f", "ieee_single", "4"}, {"v2d", "ieee_double", "2"}, {"v16i8", "int8", "16"},
        {"v8i16", "int16", "8"},     {"v4i32", "int32", "4"},     {"v2i64", "int64", "2"},
    };
    static const char *const fields[][2] = {
        {"v4_float", "v4f"},   {"v2_double", "v2d"},  {"v16_int8", "v16i8"},  {"v8_int16", "v8i16"},
        {"v4_int32", "v4i32"}, {"v2_int64", "v2i64"}, {"uint128", "uint128"},
    };

    add(text, "<feature name=\"org.gnu.gdb.i386.sse\">");
    for (uint32_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        add(text, "<vector id=\"%s\" type=\"%s\" count=\"%s\"/>", parts[i][0], parts[i][1],
            parts[i][2]);
    add(text, "<union id=\"vec128\">");
    for (uint32_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        add(text, "<field name=\"%s\" type=\"%s\"/>", fields[i][0], fields[i][1]);
    add(text, "</union>");
    for (uint32_t i = 0; i < 16; i++)
        add(text, "<reg name=\"xmm%u\" bitsize=\"128\" type=\"vec128\"/>", i);
    add(text, "<reg name=\"mxcsr\" bitsize=\"32\" type=\"int\"/></feature>");
}

size_t halo__gdb_describe(char *xml, size_t max)
{
    struct text text = {xml, max, 0};

    add(&text, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
               "<architecture>i386:x86-64</architecture><osabi>GNU/Linux</osabi>");
    add_core(&text);
    add_vectors(&text);
    add(&text, "<feature name=\"org.gnu.gdb.i386.segments\">"
               "<reg name=\"fs_base\" bitsize=\"64\" type=\"int\"/>"
               "<reg name=\"gs_base\" bitsize=\"64\" type=\"int\"/></feature>"
               "<feature name=\"org.gnu.gdb.i386.avx\">");
    for (uint32_t i = 0; i < 16; i++)
        add(&text, "<reg name=\"ymm%uh\" bitsize=\"128\" type=\"uint128\"/>", i);
    add(&text, "</feature></target>");
    return text.len;
}
