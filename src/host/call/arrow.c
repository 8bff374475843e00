/*
 * Columns from Arrow's C data interface, and to it. What comes is a program's own, and believed;
 * what contradicts itself is refused in words all the same.
 */
#include <halo/arrow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../message/rows.h"

/* As Arrow advises for buffers. */
#define ALIGNMENT 64u

static const char *const formats[HALO_TYPE_COUNT] = {"n", "i", "I", "l", "L",
                                                     "f", "g", "b", "u", "z"};

/* --- From it ---------------------------------------------------------------------------------- */

/* What a format is that no column has. */
static const char *kind_of(const char *format)
{
    static const struct {
        const char *first;
        const char *kind;
    } kinds[] = {
        {"+l", "a list, which is nested"},
        {"+L", "a list, which is nested"},
        {"+v", "a list, which is nested"},
        {"+w", "a list of one length, which is nested"},
        {"+s", "a struct, which is nested"},
        {"+m", "a map, which is nested"},
        {"+u", "a union, which is nested"},
        {"+r", "run-end encoded"},
        {"+", "nested"},
        {"U", "text with 64-bit offsets; cast it to \"u\""},
        {"Z", "bytes with 64-bit offsets; cast them to \"z\""},
        {"v", "a view"},
        {"w:", "bytes of one length"},
        {"n", "a column of no type; cast it to one"},
        {"c", "an integer of 8 bits; cast it to \"i\""},
        {"C", "an integer of 8 bits; cast it to \"I\""},
        {"s", "an integer of 16 bits; cast it to \"i\""},
        {"S", "an integer of 16 bits; cast it to \"I\""},
        {"e", "a number of 16 bits; cast it to \"f\""},
        {"d:", "a decimal; cast it to \"g\""},
        {"t", "a time or a date; cast it to \"i\" or \"l\""},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strncmp(format, kinds[i].first, strlen(kinds[i].first)) == 0)
            return kinds[i].kind;
    }
    return "unknown";
}

static int refuse(char *words, const struct ArrowSchema *schema, int error, const char *why)
{
    const char *name = schema && schema->release && schema->name ? schema->name : "";

    if (words)
        (void)snprintf(words, HALO_ARROW_WORDS_MAX, "column '%.40s': %.100s", name, why);
    return error;
}

/* The type of a format; HALO_TYPE_COUNT where no column has it. */
static enum halo_type type_of(const char *format)
{
    for (uint32_t type = HALO_I32; type < HALO_TYPE_COUNT; type++) {
        if (strcmp(formats[type], format) == 0)
            return (enum halo_type)type;
    }
    return HALO_TYPE_COUNT;
}

/* What of an array contradicts itself, or NULL. */
static const char *nonsense(const struct ArrowArray *array, enum halo_type type)
{
    const bool is_text = halo__is_text(type);

    if (array->length < 0 || array->offset < 0)
        return "its length or offset is below 0";
    if (array->null_count < -1 || array->null_count > array->length)
        return "its null_count is below -1, or above its length";
    if (array->n_children != 0)
        return "it has children, and its format has none";
    if (array->n_buffers != (is_text ? 3 : 2))
        return is_text ? "it has not the 3 buffers of text" : "it has not the 2 buffers of numbers";
    if (!array->buffers)
        return "its buffers are NULL";
    if (array->null_count > 0 && !array->buffers[0])
        return "it has nulls, and its validity is NULL";
    if (array->length > 0 && !array->buffers[1])
        return is_text ? "its offsets are NULL" : "its values are NULL";
    return NULL;
}

int halo_arrow_import(const struct ArrowSchema *schema, const struct ArrowArray *array,
                      struct halo_column *column, char *words)
{
    struct halo_column made;
    enum halo_type type;
    char text[HALO_ARROW_WORDS_MAX];
    const char *why;

    if (!schema || !array || !column)
        return refuse(words, schema, HALO_EINVAL, "its schema, array or place is NULL");
    if (!schema->release || !array->release)
        return refuse(words, schema, HALO_EINVAL, "its schema or array was released");
    if (!schema->format)
        return refuse(words, schema, HALO_EINVAL, "its format is NULL");
    if (schema->dictionary || array->dictionary)
        return refuse(words, schema, HALO_ETYPE, "it is a dictionary; decode it");
    type = type_of(schema->format);
    if (type == HALO_TYPE_COUNT) {
        (void)snprintf(text, sizeof(text), "its format \"%.16s\" is %s", schema->format,
                       kind_of(schema->format));
        return refuse(words, schema, HALO_ETYPE, text);
    }
    why = nonsense(array, type);
    if (why)
        return refuse(words, schema, HALO_EINVAL, why);
    if (array->length > HALO_ROWS_MAX || array->offset > (int64_t)UINT32_MAX - array->length)
        return refuse(words, schema, HALO_ESIZE,
                      "it has more than 2^24 rows, or its offset is "
                      "above 2^32");
    made = halo_numbers(type, array->buffers[1],
                        array->null_count == 0 ? NULL : (const unsigned char *)array->buffers[0]);
    if (halo__is_text(type))
        made = halo_texts(type, array->buffers[1], array->buffers[2], made.validity);
    made.first = (uint32_t)array->offset;
    *column = made;
    return 0;
}

/* --- To it ------------------------------------------------------------------------------------ */

static void release_schema(struct ArrowSchema *schema)
{
    free(schema->private_data);
    schema->release = NULL;
}

static void release_array(struct ArrowArray *array)
{
    free(array->private_data);
    array->release = NULL;
}

static uint64_t aligned(uint64_t len)
{
    return (len + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
}

/* The copy: from a row on whose number is a multiple of 8, so that bits need no shift. */
struct copy {
    uint32_t from, rows; /* all of them, with those before the first that counts */
    int32_t base;        /* text: where the bytes begin, */
    uint64_t lens[3];    /* and the length of each buffer, */
    uint64_t at[3];      /* and where it begins */
};

static void measure(struct copy *copy, const struct halo_column *column, uint32_t count)
{
    copy->from = column->first & ~7u;
    copy->rows = count > 0 ? column->first - copy->from + count : 0;
    copy->lens[0] = column->validity ? halo__bits_len(copy->rows) : 0;
    copy->lens[1] = halo__values_len(column->type, copy->rows);
    if (halo__is_text(column->type)) {
        const int32_t *offsets = column->offsets;

        copy->lens[1] = ((uint64_t)copy->rows + 1) * sizeof(*offsets);
        copy->base = copy->rows > 0 ? offsets[column->first] : 0;
        copy->lens[2] =
            copy->rows > 0 ? (uint64_t)(offsets[(uint64_t)column->first + count] - copy->base) : 0;
    }
    copy->at[0] = aligned(3 * sizeof(void *));
    copy->at[1] = copy->at[0] + aligned(copy->lens[0]);
    copy->at[2] = copy->at[1] + aligned(copy->lens[1]);
}

/* Rows before the first one that counts are empty. */
static void put_offsets(int32_t *to, const struct halo_column *column, const struct copy *copy)
{
    for (uint32_t i = 0; i <= copy->rows; i++) {
        const uint64_t row = (uint64_t)copy->from + i;

        to[i] = copy->rows == 0 || row < column->first ? 0 : column->offsets[row] - copy->base;
    }
}

static void put(void *to, const void *from, uint64_t len)
{
    if (len > 0)
        memcpy(to, from, (size_t)len);
}

static void put_values(unsigned char *to, const struct halo_column *column, const struct copy *copy)
{
    const unsigned char *values = column->values;

    if (halo__is_text(column->type)) {
        put_offsets((int32_t *)(void *)(to + copy->at[1]), column, copy);
        if (copy->lens[2] > 0)
            put(to + copy->at[2], values + copy->base, copy->lens[2]);
    } else if (copy->lens[1] > 0) {
        put(to + copy->at[1],
            column->type == HALO_BOOL
                ? values + copy->from / 8
                : values + (uint64_t)copy->from * halo__column_width(column->type),
            copy->lens[1]);
    }
}

static int64_t nulls_of(const struct halo_column *column, uint32_t count)
{
    int64_t nulls = 0;

    if (column->type == HALO_VOID)
        return count;
    for (uint32_t i = 0; i < count; i++)
        nulls += !halo_column_has(column, i);
    return nulls;
}

static int judge(const struct halo_column *column, uint32_t count)
{
    if (column->same ||
        (column->type != HALO_VOID && count > 0 &&
         !(halo__is_text(column->type) ? (const void *)column->offsets : column->values)))
        return HALO_EINVAL;
    if ((unsigned)column->type >= HALO_TYPE_COUNT)
        return HALO_ETYPE;
    return count > HALO_ROWS_MAX || column->first > UINT32_MAX - count ? HALO_ESIZE : 0;
}

int halo_arrow_export(const struct halo_column *column, uint32_t count, const char *name,
                      struct ArrowSchema *schema, struct ArrowArray *array)
{
    struct copy copy = {0};
    unsigned char *memory;
    const void **buffers;
    char *own_name;
    int error;

    if (!column || !schema || !array)
        return HALO_EINVAL;
    error = judge(column, count);
    if (error)
        return error;
    measure(&copy, column, count);
    own_name = strdup(name ? name : "");
    memory = aligned_alloc(ALIGNMENT, (size_t)(copy.at[2] + aligned(copy.lens[2] + 1)));
    if (!own_name || !memory) {
        free(own_name);
        free(memory);
        return HALO_ENOMEM;
    }
    buffers = (const void **)(void *)memory;
    buffers[0] = column->validity ? memory + copy.at[0] : NULL;
    buffers[1] = memory + copy.at[1];
    buffers[2] = memory + copy.at[2];
    put(memory + copy.at[0], column->validity ? column->validity + copy.from / 8 : NULL,
        copy.lens[0]);
    put_values(memory, column, &copy);
    *schema = (struct ArrowSchema){.format = formats[column->type],
                                   .name = own_name,
                                   .flags = ARROW_FLAG_NULLABLE,
                                   .release = release_schema,
                                   .private_data = own_name};
    *array = (struct ArrowArray){.length = count,
                                 .null_count = nulls_of(column, count),
                                 .offset = count > 0 ? column->first - copy.from : 0,
                                 .n_buffers = column->type == HALO_VOID     ? 0
                                              : halo__is_text(column->type) ? 3
                                                                            : 2,
                                 .buffers = buffers,
                                 .release = release_array,
                                 .private_data = memory};
    return 0;
}

void halo_arrow_release(struct ArrowSchema *schema, struct ArrowArray *array)
{
    if (schema && schema->release)
        schema->release(schema);
    if (array && array->release)
        array->release(array);
}
