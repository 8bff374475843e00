/* Functions of the host, for tests/bind/run. */
int32_t twice(int32_t number);
const char *name_of(const void *key, size_t len);
const void *copy(const void *data, size_t len, size_t *copied);
void count(void);
bool is_odd(uint64_t number);
