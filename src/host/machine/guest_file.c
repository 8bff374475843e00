/*
 * The file of a guest, read into private memory: as far as its headers name bytes of it, and each
 * byte once, whatever the file turns into meanwhile.
 */
#define _GNU_SOURCE
#include "guest_file.h"
#include "../descriptor.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_READ 4096u /* which has the headers of nearly all files */

int halo__elf_refuse(struct halo_machine *machine, const char *path, const char *why)
{
    return halo__fail(machine->words, HALO_EGUEST, "%s: not a guest that can be run: %s", path,
                      why);
}

/* ELF-01, ELF-02. */
const char *halo__elf_header(const struct halo_guest_file *file, Elf64_Ehdr *header)
{
    if (file->len < sizeof(*header))
        return "it is shorter than an ELF header";
    memcpy(header, file->bytes, sizeof(*header));
    if (memcmp(header->e_ident, "HALOSNAP", 8) == 0)
        return "it is a snapshot, which halo_open_snapshot and --from go on from";
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return "it is not an ELF file";
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT)
        return "it is not a 64-bit little-endian ELF file of version 1";
    if (header->e_machine != EM_X86_64)
        return "it is for another machine than x86-64";
    if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
        return "it is not a program";
    if (header->e_phentsize != sizeof(Elf64_Phdr))
        return "its program headers have an unknown size";
    if (header->e_phnum == 0 || header->e_phnum > HALO_SEGMENT_MAX)
        return "it has no program headers, or more than 64";
    if (header->e_phoff > file->len ||
        header->e_phnum * sizeof(Elf64_Phdr) > file->len - header->e_phoff)
        return "its program headers lie outside the file";
    return NULL;
}

void halo__elf_segment(const struct halo_guest_file *file, const Elf64_Ehdr *header, uint32_t i,
                       Elf64_Phdr *segment)
{
    memcpy(segment, file->bytes + header->e_phoff + i * sizeof(*segment), sizeof(*segment));
}

/* Is it a file that may be read as a whole? Its length, then. */
static int check_file(struct halo_machine *machine, const char *path, int fd, uint64_t *len)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return halo__fail(machine->words, HALO_EFILE, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return halo__fail(machine->words, HALO_EFILE, "%s: is a directory", path);
    if (!S_ISREG(st.st_mode))
        return halo__fail(machine->words, HALO_EFILE, "%s: is not a regular file", path);
    if ((uint64_t)st.st_size > HALO_FILE_MAX)
        return halo__elf_refuse(machine, path, "the file is larger than 64 MiB");
    *len = (uint64_t)st.st_size;
    return 0;
}

/*
 * Read on, up to `end`. Each byte is read once, whatever the file turns into meanwhile. Where it
 * became shorter, what is there is what counts, and *len is that. The offset stays.
 */
static int read_to(struct halo_machine *machine, const char *path, int fd,
                   struct halo_guest_file *file, uint64_t end, uint64_t *len)
{
    unsigned char *memory = realloc(file->memory, end ? end : 1);

    if (!memory)
        return halo__fail(machine->words, HALO_ENOMEM, "%s: no memory to read it", path);
    file->memory = memory;
    file->bytes = memory;
    while (file->len < end) {
        ssize_t n = pread(fd, memory + file->len, end - file->len, (off_t)file->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return halo__fail(machine->words, HALO_EFILE, "%s: %s", path, strerror(errno));
        if (n == 0) {
            *len = file->len;
            return 0;
        }
        file->len += (uint64_t)n;
    }
    return 0;
}

/* Where so many bytes at an offset of a file of `len` bytes end, or the file, or `so_far`. */
static uint64_t end_of(uint64_t offset, uint64_t count, uint64_t len, uint64_t so_far)
{
    uint64_t end;

    if (offset > len) /* it is refused for that */
        return so_far;
    end = count < len - offset ? offset + count : len;
    return end > so_far ? end : so_far;
}

/* How far the program headers go, and how far what they name: as much as the loader looks at. */
static uint64_t headers_end(const struct halo_guest_file *file, uint64_t len)
{
    Elf64_Ehdr header;

    if (file->len < sizeof(header))
        return file->len;
    memcpy(&header, file->bytes, sizeof(header));
    if (header.e_phnum > HALO_SEGMENT_MAX) /* it is refused for that */
        return file->len;
    return end_of(header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr), len, file->len);
}

static uint64_t segments_end(const struct halo_guest_file *file, uint64_t len)
{
    uint64_t end = file->len;
    Elf64_Ehdr header;

    if (halo__elf_header(file, &header))
        return end;
    for (uint32_t i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;

        halo__elf_segment(file, &header, i, &segment);
        end = end_of(segment.p_offset, segment.p_filesz, len, end);
    }
    return end;
}

/* Behind the segments lie symbols and what debuggers need, often more than all else: not read. */
static int read_file(struct halo_machine *machine, const char *path, int fd,
                     struct halo_guest_file *file)
{
    uint64_t len = 0;
    int error = check_file(machine, path, fd, &len);

    file->len = 0;
    if (!error)
        error = read_to(machine, path, fd, file, end_of(0, FIRST_READ, len, 0), &len);
    if (!error)
        error = read_to(machine, path, fd, file, headers_end(file, len), &len);
    if (!error)
        error = read_to(machine, path, fd, file, segments_end(file, len), &len);
    return error;
}

static int read_path(struct halo_machine *machine, const char *path, struct halo_guest_file *file)
{
    int fd = halo__fd_high(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    int error;

    if (fd < 0)
        return halo__fail(machine->words, HALO_EFILE, "%s: %s", path, strerror(errno));
    error = read_file(machine, path, fd, file);
    close(fd);
    return error;
}

int halo__elf_read(struct halo_machine *machine, const struct halo_program *program,
                   struct halo_guest_file *file)
{
    if (program->has_no_path)
        return halo__fail(machine->words, HALO_EINVAL, "the path of the guest is NULL");
    return program->path ? read_path(machine, file->name, file)
                         : read_file(machine, file->name, program->fd, file);
}
