/*
 * The function at an address, by the symbol table of a guest's file. The file may say anything:
 * each of its numbers is compared with its length before it is used, and no more symbols are looked
 * at than SYMBOL_MAX. It allocates nothing and calls nothing but memcpy, so that a process that can
 * do no more than that can do this: symbols.c.
 */
#include "symbols.h"
#include <elf.h>
#include <halo/abi.h>
#include <string.h>

#define SECTION_MAX 65536u
#define SYMBOL_MAX (1u << 21)
#define NEAR_MAX (1u << 20) /* what lies further away tells nothing */

struct table {
    const struct symbols_file *file;
    Elf64_Ehdr header;
    uint64_t address; /* in the file's own terms */
    Elf64_Sym best;
    Elf64_Shdr names; /* of the best one */
    bool has_best;
};

static bool take(const struct symbols_file *file, uint64_t offset, void *to, size_t len)
{
    if (offset > file->len || len > file->len - offset)
        return false;
    memcpy(to, file->bytes + offset, len);
    return true;
}

static bool take_section(const struct table *table, uint64_t index, Elf64_Shdr *section)
{
    const uint64_t most = UINT64_MAX - SECTION_MAX * sizeof(*section);

    return index < table->header.e_shnum && table->header.e_shoff < most &&
           take(table->file, table->header.e_shoff + index * sizeof(*section), section,
                sizeof(*section));
}

bool symbols_bias(const struct symbols_file *file, uint64_t *bias)
{
    uint64_t lowest = UINT64_MAX, align = 4096;
    Elf64_Ehdr header;
    Elf64_Phdr segment;

    *bias = 0;
    if (!take(file, 0, &header, sizeof(header)) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB)
        return false;
    for (uint64_t i = 0; header.e_type == ET_DYN && i < header.e_phnum; i++) {
        if (header.e_phoff > file->len ||
            !take(file, header.e_phoff + i * sizeof(segment), &segment, sizeof(segment)))
            return false;
        if (segment.p_type != PT_LOAD)
            continue;
        if (segment.p_vaddr < lowest)
            lowest = segment.p_vaddr;
        if (segment.p_align > align && segment.p_align <= HALO_PROGRAM_BASE)
            align = segment.p_align;
    }
    if (header.e_type == ET_DYN)
        *bias = HALO_PROGRAM_BASE - (lowest == UINT64_MAX ? 0 : lowest / align * align);
    return true;
}

static bool holds(const Elf64_Sym *symbol, uint64_t address)
{
    return address - symbol->st_value < symbol->st_size;
}

static bool is_function(const Elf64_Sym *symbol)
{
    return ELF64_ST_TYPE(symbol->st_info) == STT_FUNC;
}

/* Whether it tells more than the best so far: it holds the address, or begins nearer below it, in
 * code that holds it. */
static bool is_better(const struct table *table, const Elf64_Sym *symbol)
{
    const unsigned char type = ELF64_ST_TYPE(symbol->st_info);
    const bool may_be = type == STT_FUNC || type == STT_NOTYPE || type == STT_GNU_IFUNC;
    Elf64_Shdr section;

    if (!may_be || symbol->st_value > table->address || symbol->st_name == 0)
        return false;
    if (table->has_best) {
        const bool holds_it = holds(symbol, table->address);
        const bool held = holds(&table->best, table->address);

        if (holds_it != held ? held : symbol->st_value < table->best.st_value)
            return false;
        if (holds_it == held && symbol->st_value == table->best.st_value &&
            (is_function(&table->best) || !is_function(symbol)))
            return false;
    }
    return take_section(table, symbol->st_shndx, &section) && section.sh_flags & SHF_EXECINSTR &&
           table->address - section.sh_addr < section.sh_size;
}

static void look_through(struct table *table, const Elf64_Shdr *symbols)
{
    const uint64_t count = symbols->sh_size / sizeof(Elf64_Sym);
    Elf64_Shdr names;
    Elf64_Sym symbol;

    if (!take_section(table, symbols->sh_link, &names) || names.sh_type != SHT_STRTAB ||
        symbols->sh_offset > table->file->len)
        return;
    for (uint64_t i = 0; i < count && i < SYMBOL_MAX; i++) {
        if (!take(table->file, symbols->sh_offset + i * sizeof(symbol), &symbol, sizeof(symbol)))
            return;
        if (!is_better(table, &symbol))
            continue;
        table->best = symbol;
        table->names = names;
        table->has_best = true;
    }
}

/* What a terminal shows, and no more than there is room for. */
static void take_name(const struct table *table, char *to, size_t max)
{
    size_t len = 0;

    while (len < max - 1 && table->best.st_name + len < table->names.sh_size &&
           table->names.sh_offset <= table->file->len &&
           take(table->file, table->names.sh_offset + table->best.st_name + len, &to[len], 1) &&
           to[len]) {
        if (to[len] <= ' ' || to[len] > '~')
            to[len] = '?';
        len++;
    }
    to[len] = '\0';
}

bool symbols_function(const struct symbols_file *file, uint64_t address, struct tool_place *place)
{
    static const uint32_t kinds[] = {SHT_SYMTAB, SHT_DYNSYM};
    struct table table = {.file = file};
    uint64_t bias;
    Elf64_Shdr section;

    place->function[0] = '\0';
    if (!symbols_bias(file, &bias) || !take(file, 0, &table.header, sizeof(table.header)) ||
        table.header.e_shentsize != sizeof(section))
        return false;
    table.address = address - bias;
    for (int kind = 0; kind < 2 && !table.has_best; kind++) {
        bool is_done = false; /* there is one of each */

        for (uint64_t i = 0; !is_done && take_section(&table, i, &section); i++) {
            is_done = section.sh_type == kinds[kind];
            if (is_done)
                look_through(&table, &section);
        }
    }
    if (!table.has_best || table.address - table.best.st_value > NEAR_MAX)
        return false;
    place->is_near = !holds(&table.best, table.address);
    place->offset = table.address - table.best.st_value;
    take_name(&table, place->function, sizeof(place->function));
    return place->function[0] != '\0';
}
