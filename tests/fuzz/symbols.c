/*
 * Any bytes as a guest's file, and any address: no function, or one whose name ends and can be
 * shown, and whose offset is what it says. An input is an address, and then the file.
 */
#include "../../src/tool/symbols.h"
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct symbols_file file;
    struct tool_place place;
    uint64_t address;
    unsigned char *bytes;

    if (len < sizeof(address))
        return 0;
    memcpy(&address, data, sizeof(address));
    file.len = len - sizeof(address);
    bytes = malloc(file.len + 1); /* its end is where the sanitizer looks */
    EXPECT(bytes != NULL);
    bytes = realloc(bytes, file.len > 0 ? file.len : 1);
    EXPECT(bytes != NULL);
    memcpy(bytes, data + sizeof(address), file.len);
    file.bytes = bytes;
    memset(&place, 0xff, sizeof(place));
    if (symbols_function(&file, address, &place)) {
        EXPECT(memchr(place.function, '\0', sizeof(place.function)) != NULL && place.function[0]);
        for (const char *at = place.function; *at; at++)
            EXPECT(*at > ' ' && *at <= '~');
        EXPECT(place.is_near <= 1 && place.offset <= 1u << 20);
    } else {
        EXPECT(place.function[0] == '\0');
    }
    free(bytes);
    return 0;
}
