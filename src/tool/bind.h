/*
 * halo bind: prototypes in plain C, and typed functions for both sides out of them.
 *
 *     bind.c        the sub-command
 *     bind_read.c   prototypes, or a line and what is wrong there
 *     bind_write.c  the header with the functions
 */
#ifndef HALO_SRC_TOOL_BIND_H
#define HALO_SRC_TOOL_BIND_H

#include <halo/value.h>
#include <stdio.h>

#define BIND_NAME_MAX 63u       /* longest name of a function, a parameter or the header */
#define BIND_FUNCTIONS_MAX 256u /* of one header */
#define BIND_INPUT_MAX (1u << 20)

/* What can be a parameter or a result, in words. */
#define BIND_TYPES                                                                     \
    "int32_t, uint32_t, int64_t, uint64_t, int, unsigned, float, double, bool, const " \
    "char *, const void * or const double * and so on with size_t, and struct halo_handle can"

/* Of bytes and lists there is a length, in C. */
static inline bool bind_has_len(uint32_t type)
{
    return type == HALO_BYTES || halo_is_list((enum halo_type)type);
}

struct bind_function {
    char name[BIND_NAME_MAX + 1];
    struct halo_signature signature;
    char params[HALO_ARGUMENTS_MAX][BIND_NAME_MAX + 1]; /* "" for one without a name */
};

struct bind_header {
    char stem[BIND_NAME_MAX + 1]; /* the header's name, with '_' for what no name has */
    bool of_host;                 /* the host has these functions, and the guest calls them */
    uint32_t count;
    struct bind_function functions[BIND_FUNCTIONS_MAX];
    unsigned line; /* of what is wrong, and what that is, with a remedy */
    char words[256];
};

/* Whether a name can be one on both sides, in C and in C++. */
bool bind_name_is_free(const char *name);

/*
 * Read prototypes: `len` bytes, of any kind. Returns 0 and functions[] and count; or HALO_EINVAL,
 * and then line and words.
 */
int bind_read(struct bind_header *header, const char *text, size_t len);

/* Write the header that both sides include. */
void bind_write(const struct bind_header *header, FILE *to);

#endif
