/* Types, for guests and hosts that go through all of them. */
#ifndef TESTS_GUESTS_TYPES_H
#define TESTS_GUESTS_TYPES_H

#include <halo/value.h>

/* of(i32, HALO_I32) and so on. */
#define EACH_TYPE(of)                                                                         \
    of(i32, HALO_I32) of(u32, HALO_U32) of(i64, HALO_I64) of(u64, HALO_U64) of(f32, HALO_F32) \
        of(f64, HALO_F64) of(bool, HALO_BOOL) of(str, HALO_STR) of(bytes, HALO_BYTES)

/* Those of which there are lists. */
#define EACH_NUMBER(of)                                                                       \
    of(i32, HALO_I32) of(u32, HALO_U32) of(i64, HALO_I64) of(u64, HALO_U64) of(f32, HALO_F32) \
        of(f64, HALO_F64) of(bool, HALO_BOOL)

#define MAYBE(type) type | HALO_MAYBE
#define MAYBE_LIST(type) (type) | HALO_LIST | HALO_MAYBE
/* After each of which the next one may have to be aligned. */
#define MANY_LISTS                                                                               \
    HALO_BOOL | HALO_LIST, HALO_I32 | HALO_LIST, HALO_F64 | HALO_LIST, HALO_BYTES,               \
        HALO_F32 | HALO_LIST, HALO_I64 | HALO_LIST, HALO_BOOL | HALO_LIST, HALO_U32 | HALO_LIST, \
        HALO_U64 | HALO_LIST, HALO_STR, HALO_I32 | HALO_LIST, HALO_F64 | HALO_LIST,              \
        HALO_BOOL | HALO_LIST, HALO_I32 | HALO_LIST, HALO_I64 | HALO_LIST, HALO_BOOL | HALO_LIST
#define SIXTEEN(type) \
    type, type, type, type, type, type, type, type, type, type, type, type, type, type, type, type
#define MIXED                                                                                    \
    HALO_I32, HALO_U32, HALO_I64, HALO_U64, HALO_F32, HALO_F64, HALO_BOOL, HALO_STR, HALO_BYTES, \
        MAYBE(HALO_I32), MAYBE(HALO_I64), MAYBE(HALO_F64), MAYBE(HALO_BOOL), MAYBE(HALO_STR),    \
        MAYBE(HALO_BYTES), MAYBE(HALO_STR)

#endif
