/* What C and C++ say in different words. */
#ifndef HALO_LANGUAGE_H
#define HALO_LANGUAGE_H

#ifdef __cplusplus
#define HALO_STATIC_ASSERT static_assert
#define HALO_NORETURN [[noreturn]]
#else
#define HALO_STATIC_ASSERT _Static_assert
#define HALO_NORETURN _Noreturn
#endif

#endif
