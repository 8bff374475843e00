/*
 * Any bytes as a header to bind: a line of it and words with an end, or functions with sound
 * signatures and names of their own, which are written. The first byte says whose functions they
 * are.
 */
#include "../../src/tool/bind.h"
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct bind_header *header)
{
    EXPECT(header->count > 0 && header->count <= BIND_FUNCTIONS_MAX);
    for (uint32_t i = 0; i < header->count; i++) {
        const struct bind_function *function = &header->functions[i];

        EXPECT(halo_signature_valid(&function->signature));
        EXPECT(bind_name_is_free(function->name));
        for (uint32_t k = 0; k < i; k++)
            EXPECT(strcmp(header->functions[k].name, function->name) != 0);
        for (uint32_t k = 0; k < function->signature.arg_count; k++)
            EXPECT(!function->params[k][0] || bind_name_is_free(function->params[k]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bind_header *header = calloc(1, sizeof(*header));
    unsigned lines = 1;
    char *text, *written = NULL;
    size_t written_len;
    FILE *to;

    EXPECT(header != NULL);
    if (len == 0) {
        free(header);
        return 0;
    }
    len--;
    text = malloc(len > 0 ? len : 1); /* its end is where the sanitizer looks */
    EXPECT(text != NULL);
    memcpy(text, data + 1, len);
    memcpy(header->stem, "plugin", 7);
    header->of_host = data[0] & 1;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    if (bind_read(header, text, len)) {
        EXPECT(header->line >= 1 && header->line <= lines);
        EXPECT(header->words[0] && memchr(header->words, '\0', sizeof(header->words)));
    } else {
        check(header);
        to = open_memstream(&written, &written_len);
        EXPECT(to != NULL);
        bind_write(header, to);
        EXPECT(fclose(to) == 0 && strlen(written) == written_len);
    }
    free(written);
    free(text);
    free(header);
    return 0;
}
