/* Releasing Arrow's structures, counted. */
#ifndef TESTS_UNIT_ARROW_RELEASED_H
#define TESTS_UNIT_ARROW_RELEASED_H

#include <halo/arrow.h>
#include <stddef.h>

static int released;

static inline void release_schema(struct ArrowSchema *schema)
{
    released++;
    schema->release = NULL;
}

static inline void release_array(struct ArrowArray *array)
{
    released++;
    array->release = NULL;
}

#endif
