/*
 * Fields of a file, one after the other, least significant byte first: the same function writes
 * them and reads them. Whoever reads has bytes from anywhere: what is read is as foreign as they
 * are, and where they end too soon, or a number is above its bound, all that follows is 0.
 */
#ifndef HALO_SRC_FIELDS_H
#define HALO_SRC_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct halo_fields {
    unsigned char *bytes; /* freed by whoever began */
    size_t len, at;       /* bytes that there are, and that were read */
    size_t room;          /* of a writer */
    bool writes;
    bool failed;    /* they end too soon, or a number is above its bound */
    bool no_memory; /* for what is written */
};

void halo__field_bytes(struct halo_fields *fields, void *bytes, size_t len);
void halo__field_u64(struct halo_fields *fields, uint64_t *value, uint64_t max);
void halo__field_u32(struct halo_fields *fields, uint32_t *value, uint32_t max);
void halo__field_u16(struct halo_fields *fields, uint16_t *value, uint16_t max);
void halo__field_u8(struct halo_fields *fields, uint8_t *value, uint8_t max);
void halo__field_bool(struct halo_fields *fields, bool *value);

/* A name of 1 to `max` bytes, or of none where `may_lack`; there is one more for its end. */
void halo__field_name(struct halo_fields *fields, char *name, size_t max, bool may_lack);

#endif
