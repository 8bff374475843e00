/* Functions of the host, for tests/bind/run. */
int32_t twice(int32_t number);
const char *name_of(const void *key, size_t len);
const void *copy(const void *data, size_t len, size_t *copied);
void count(void);
bool is_odd(uint64_t number);
struct halo_handle thing(int64_t number);
int64_t number_of(struct halo_handle thing);
const float *halves(const uint64_t *numbers, size_t count, size_t *made);
