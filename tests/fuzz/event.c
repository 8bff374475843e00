/* The notify decision for any ring size, position, number of slots and event word. */
#include "../model/pair.h"
#include "../model/model.h"

struct input {
    uint16_t size, count;
    uint32_t from, word;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct halo_cursor end = halo_cursor_start();
    struct input in;
    struct model_event event;
    uint32_t size, count;
    uint64_t from;

    if (len < sizeof(in))
        return 0;
    memcpy(&in, data, sizeof(in));
    size = in.size % HALO_RING_MAX + 1;
    count = in.count % size + 1;
    from = in.from % (2 * size);
    event = (struct model_event){(uint16_t)in.word, (uint16_t)(in.word >> 16)};
    end.slot = (uint32_t)((from + count) % size);
    end.phase ^= (from + count) / size % 2 ? HALO_PHASE_MASK : 0;
    assert_int_equal(halo_event_wanted(in.word, end, count, size),
                     model_event_due(size, from, count, event));
    return 0;
}
