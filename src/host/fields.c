/* Fields of a file: see fields.h. */
#include "fields.h"
#include <stdlib.h>
#include <string.h>

static bool make_room(struct halo_fields *fields, size_t len)
{
    unsigned char *larger;

    if (fields->room - fields->len >= len)
        return true;
    larger = realloc(fields->bytes, 2 * fields->room + len + 4096);
    if (!larger)
        return false;
    fields->bytes = larger;
    fields->room = 2 * fields->room + len + 4096;
    return true;
}

static void write_bytes(struct halo_fields *fields, const void *bytes, size_t len)
{
    if (len == 0 || fields->no_memory)
        return;
    if (!make_room(fields, len)) {
        fields->no_memory = true;
        return;
    }
    memcpy(fields->bytes + fields->len, bytes, len);
    fields->len += len;
}

void halo__field_bytes(struct halo_fields *fields, void *bytes, size_t len)
{
    if (fields->writes) {
        write_bytes(fields, bytes, len);
        return;
    }
    if (len == 0)
        return;
    if (fields->failed || len > fields->len - fields->at) {
        fields->failed = true;
        memset(bytes, 0, len);
        return;
    }
    memcpy(bytes, fields->bytes + fields->at, len);
    fields->at += len;
}

static uint64_t number(struct halo_fields *fields, uint64_t value, size_t len, uint64_t max)
{
    unsigned char bytes[8];
    uint64_t read = 0;

    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
    halo__field_bytes(fields, bytes, len);
    for (size_t i = 0; i < len; i++)
        read |= (uint64_t)bytes[i] << 8 * i;
    if (fields->writes)
        return value;
    if (read > max)
        fields->failed = true;
    return fields->failed ? 0 : read;
}

void halo__field_u64(struct halo_fields *fields, uint64_t *value, uint64_t max)
{
    const uint64_t got = number(fields, *value, 8, max);

    if (!fields->writes)
        *value = got;
}

void halo__field_u32(struct halo_fields *fields, uint32_t *value, uint32_t max)
{
    const uint64_t got = number(fields, *value, 4, max);

    if (!fields->writes)
        *value = (uint32_t)got;
}

void halo__field_u16(struct halo_fields *fields, uint16_t *value, uint16_t max)
{
    const uint64_t got = number(fields, *value, 2, max);

    if (!fields->writes)
        *value = (uint16_t)got;
}

void halo__field_u8(struct halo_fields *fields, uint8_t *value, uint8_t max)
{
    const uint64_t got = number(fields, *value, 1, max);

    if (!fields->writes)
        *value = (uint8_t)got;
}

void halo__field_bool(struct halo_fields *fields, bool *value)
{
    const bool got = number(fields, *value, 1, 1) != 0;

    if (!fields->writes)
        *value = got;
}

void halo__field_name(struct halo_fields *fields, char *name, size_t max, bool may_lack)
{
    uint8_t len = fields->writes ? (uint8_t)strlen(name) : 0;

    halo__field_u8(fields, &len, (uint8_t)max);
    halo__field_bytes(fields, name, len);
    if (fields->writes)
        return;
    memset(name + len, 0, max + 1 - len);
    if (strlen(name) != len || (len == 0 && !may_lack))
        fields->failed = true;
}
