/* File and line of an address, by the DWARF of a guest's file and elfutils' libdw. */
#include "symbols.h"

#ifdef HALO_HAS_DW
#include <elfutils/libdw.h>
#include <string.h>

static Dwarf *open_lines(const struct symbols_file *file)
{
    static Dwarf *dwarf;
    static bool was_tried;
    Elf *elf;

    if (was_tried)
        return dwarf;
    was_tried = true;
    (void)elf_version(EV_CURRENT);
    /* It is this process's own copy. */
    elf = elf_memory((char *)(uintptr_t)file->bytes, file->len);
    dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
    return dwarf;
}

static void take(Dwarf_Die *unit, uint64_t address, struct tool_place *place)
{
    Dwarf_Line *line = dwarf_getsrc_die(unit, address);
    const char *source = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
    int number = 0;
    size_t len;

    if (!source || dwarf_lineno(line, &number) != 0 || number <= 0)
        return;
    len = strlen(source);
    if (len >= sizeof(place->file)) { /* its end tells more */
        source += len - (sizeof(place->file) - 1);
        len = sizeof(place->file) - 1;
    }
    memcpy(place->file, source, len + 1);
    place->line = (uint32_t)number;
}

void symbols_line(const struct symbols_file *file, uint64_t address, struct tool_place *place)
{
    Dwarf *dwarf = open_lines(file);
    Dwarf_CU *at = NULL;
    uint64_t bias;
    Dwarf_Die unit;

    place->file[0] = '\0';
    if (!dwarf || !symbols_bias(file, &bias))
        return;
    while (dwarf_get_units(dwarf, at, &at, NULL, NULL, &unit, NULL) == 0) {
        if (dwarf_haspc(&unit, address - bias) <= 0)
            continue;
        take(&unit, address - bias, place);
        return;
    }
}
#else
void symbols_line(const struct symbols_file *file, uint64_t address, struct tool_place *place)
{
    (void)file;
    (void)address;
    place->file[0] = '\0';
}
#endif
