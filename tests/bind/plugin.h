/* Functions of a guest, in every form that halo bind reads. For tests/bind/run. */
#ifndef PLUGIN_H
#define PLUGIN_H
#define NOT_READ(a) struct a;
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

double score(const char *text, int64_t weight);
const char *greet(const char *name); // NULL for ""
const void *reverse(const void *data, size_t len, size_t *result_len);
extern void nothing(void);
/* a prototype of
   several lines */
double mixed(int error, unsigned int args, uint64_t, float result, double result_len, _Bool future,
             const void *bound, size_t, int32_t box, unsigned len, uint32_t timeout_ns,
             const char *call, const void *, size_t size, bool const type);
uint64_t calls(void);
int32_t ask(int32_t number);
double sum(const double *numbers, size_t count);
const int32_t *squares(const int *numbers, size_t, const bool *which, size_t flags, size_t *made);
struct halo_handle pass(struct halo_handle thing);

#ifdef __cplusplus
}
#endif
#endif
