/*
 * The envelope by lines, for a reader in another language: lines < QUESTIONS > ANSWERS
 *
 *     call FUNCTION TYPE=VALUE...   ->  the envelope, in hexadecimal
 *     read TYPES ENVELOPE           ->  FUNCTION TYPE=VALUE..., or the name of the error
 *
 * TYPES are separated by commas. Text and bytes are hexadecimal, and floating-point numbers are
 * their bits. Of what is raw `read` tells the length, as raw=300.
 */
#include "../../src/message/envelope.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_LEN 65536

static enum halo_type type_of(const char *name, size_t len)
{
    for (uint32_t type = 0; type < HALO_TYPE_COUNT; type++) {
        const char *each = halo_type_name((enum halo_type)type);

        if (strlen(each) == len && memcmp(each, name, len) == 0)
            return (enum halo_type)type;
    }
    fprintf(stderr, "lines: no such type: %s\n", name);
    exit(2);
}

static size_t from_hex(const char *text, unsigned char *to)
{
    size_t len = strlen(text) / 2;

    for (size_t i = 0; i < len; i++) {
        const char pair[] = {text[2 * i], text[2 * i + 1], '\0'};

        to[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    to[len] = '\0';
    return len;
}

static void print_hex(const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        printf("%02x", ((const unsigned char *)bytes)[i]);
}

static struct halo_value value_of(char *text)
{
    char *equals = strchr(text, '=');
    struct halo_value value = {.type = type_of(text, (size_t)(equals - text))};
    char *rest = equals + 1;

    switch (value.type) {
    case HALO_I32:
        value.i32 = (int32_t)strtol(rest, NULL, 10);
        return value;
    case HALO_I64:
        value.i64 = strtoll(rest, NULL, 10);
        return value;
    case HALO_STR:
    case HALO_BYTES: {
        unsigned char *bytes = malloc(strlen(rest) / 2 + 1); /* for as long as the program runs */

        value.len = from_hex(rest, bytes);
        value.bytes = bytes;
        return value;
    }
    case HALO_F32:
        value.u32 = (uint32_t)strtoul(rest, NULL, 16);
        return value;
    case HALO_F64:
        value.u64 = strtoull(rest, NULL, 16);
        return value;
    case HALO_BOOL:
        value.boolean = *rest == '1';
        return value;
    default:
        value.u64 = strtoull(rest, NULL, 10);
        return value;
    }
}

static void print_value(const struct halo_value *value)
{
    if (halo__is_raw(value)) {
        printf(" raw=%zu", value->len);
        return;
    }
    printf(" %s=", halo_type_name(value->type));
    switch (value->type) {
    case HALO_I32:
        printf("%" PRId32, value->i32);
        return;
    case HALO_U32:
        printf("%" PRIu32, value->u32);
        return;
    case HALO_I64:
        printf("%" PRId64, value->i64);
        return;
    case HALO_U64:
        printf("%" PRIu64, value->u64);
        return;
    case HALO_F32:
        printf("%08" PRIx32, value->u32);
        return;
    case HALO_F64:
        printf("%016" PRIx64, value->u64);
        return;
    case HALO_BOOL:
        printf("%d", value->boolean);
        return;
    default:
        print_hex(value->bytes, value->len);
        return;
    }
}

static void do_call(char *rest)
{
    unsigned char bytes[HALO_ENVELOPE_MAX];
    struct halo_value args[HALO_ARGUMENTS_MAX];
    uint32_t count = 0, function = (uint32_t)strtoul(strtok(rest, " "), NULL, 10);
    char *word;

    while ((word = strtok(NULL, " ")))
        args[count++] = value_of(word);
    print_hex(bytes, halo__encode_call(bytes, function, args, count));
}

static void do_read(char *rest)
{
    static unsigned char bytes[LINE_MAX_LEN];
    struct halo_value args[HALO_ARGUMENTS_MAX];
    struct halo_signature signature = {.arg_count = 0};
    char *types = strtok(rest, " "), *hex = strtok(NULL, " ");
    size_t len = hex ? from_hex(hex, bytes) : 0, used;
    uint32_t function;
    uint64_t raw;
    int error;

    for (const char *at = types; *at && *at != '-';) {
        const size_t name_len = strcspn(at, ",");

        signature.types[++signature.arg_count] = (uint8_t)type_of(at, name_len);
        at += name_len + (at[name_len] == ',');
    }
    error = halo__decode_function(bytes, len, &function, &used);
    if (!error)
        error = halo__decode_arguments(bytes + used, len - used, &signature, args, &raw);
    if (error) {
        printf("%s", halo_errname(error));
        return;
    }
    printf("%" PRIu32, function);
    for (uint32_t i = 0; i < signature.arg_count; i++)
        print_value(&args[i]);
}

int main(void)
{
    static char line[LINE_MAX_LEN];

    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "call ", 5) == 0)
            do_call(line + 5);
        else if (strncmp(line, "read ", 5) == 0)
            do_read(line + 5);
        else
            printf("?");
        putchar('\n');
    }
    return 0;
}
