/*
 * Any text as a signature: an error, after which the signature is as it was; or a sound one, whose
 * own text is the same signature.
 */
#include <halo/value.h>
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct halo_signature before, signature, again;
    char text[400], written[HALO_SIGNATURE_TEXT_MAX];
    int error;

    if (len >= sizeof(text))
        return 0;
    memcpy(text, data, len);
    text[len] = '\0';
    memset(&before, 0xa5, sizeof(before));
    signature = before;
    error = halo_signature_parse(&signature, text);
    if (error) {
        assert(error == HALO_EINVAL || error == HALO_ETYPE || error == HALO_ECOUNT);
        assert(memcmp(&signature, &before, sizeof(before)) == 0);
        return 0;
    }
    assert(halo_signature_valid(&signature));
    (void)halo_signature_text(&signature, written);
    assert(strlen(written) < sizeof(written));
    assert(halo_signature_parse(&again, written) == 0 && halo_signature_equal(&signature, &again));
    return 0;
}
