/* Each way to touch shared memory, and each place with a fence, as a function of its own. */
#include <halo/device.h>
#include <halo/driver.h>

#define DESC HALO_SHARED struct halo_desc *desc
#define EVENT HALO_SHARED struct halo_event *event

uint64_t load_meta(const DESC);
uint64_t load_addr(const DESC);
void stage_addr(DESC, uint64_t word);
void stage_meta(DESC, uint64_t word);
void publish_meta(DESC, uint64_t word);
uint32_t load_event(const EVENT);
void store_event(EVENT, uint32_t word);
void fence(void);
bool should_kick(struct halo_driver *driver);
bool should_notify(struct halo_device *device);
bool driver_arm(struct halo_driver *driver);
bool device_arm(struct halo_device *device);

uint64_t load_meta(const DESC)
{
    return halo_shm_load_meta(desc);
}

uint64_t load_addr(const DESC)
{
    return halo_shm_load_addr(desc);
}

void stage_addr(DESC, uint64_t word)
{
    halo_shm_stage_addr(desc, word);
}

void stage_meta(DESC, uint64_t word)
{
    halo_shm_stage_meta(desc, word);
}

void publish_meta(DESC, uint64_t word)
{
    halo_shm_publish_meta(desc, word);
}

uint32_t load_event(const EVENT)
{
    return halo_shm_load_event(event);
}

void store_event(EVENT, uint32_t word)
{
    halo_shm_store_event(event, word);
}

void fence(void)
{
    halo_shm_fence();
}

bool should_kick(struct halo_driver *driver)
{
    return halo_driver_should_kick(driver);
}

bool should_notify(struct halo_device *device)
{
    return halo_device_should_notify(device);
}
