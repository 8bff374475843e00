/* The kernel's side: virtqueue_*() of drivers/virtio/virtio_ring.c, and nothing else. */
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "linux_driver.h"

/* In the driver, but not declared by the shims. */
bool virtqueue_kick_prepare(struct virtqueue *vq);
bool virtqueue_is_broken(struct virtqueue *vq);
unsigned int virtqueue_get_vring_size(struct virtqueue *vq);
dma_addr_t virtqueue_get_desc_addr(struct virtqueue *vq);
dma_addr_t virtqueue_get_avail_addr(struct virtqueue *vq);
dma_addr_t virtqueue_get_used_addr(struct virtqueue *vq);

/* Asked for by the shims; unused. */
void *__kmalloc_fake, *__kfree_ignore_start, *__kfree_ignore_end;

static bool notified(struct virtqueue *vq)
{
    (void)vq;
    return true;
}

static void called_back(struct virtqueue *vq)
{
    struct peer_driver *driver = vq->priv;

    driver->woken(driver->context);
}

bool peer_driver_open(struct peer_driver *driver, uint32_t size, uint32_t features,
                      void (*woken)(void *context), void *context)
{
    struct virtio_device *vdev = calloc(1, sizeof(*vdev));
    struct virtqueue *vq;

    INIT_LIST_HEAD(&vdev->vqs);
    spin_lock_init(&vdev->vqs_list_lock);
    __virtio_set_bit(vdev, VIRTIO_F_VERSION_1);
    __virtio_set_bit(vdev, VIRTIO_F_RING_PACKED);
    if (features & PEER_EVENT_IDX)
        __virtio_set_bit(vdev, VIRTIO_RING_F_EVENT_IDX);
    if (features & PEER_INDIRECT)
        __virtio_set_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);

    vq = vring_create_virtqueue(0, size, 64, vdev, true, false, false, notified, called_back,
                                "halo");
    if (!vq) {
        free(vdev);
        return false;
    }
    vq->priv = driver;
    *driver = (struct peer_driver){
        .queue = vq,
        .device = vdev,
        .desc = virtqueue_get_desc_addr(vq),
        .driver_event = virtqueue_get_avail_addr(vq),
        .device_event = virtqueue_get_used_addr(vq),
        .size = virtqueue_get_vring_size(vq),
        .woken = woken,
        .context = context,
    };
    return true;
}

void peer_driver_close(struct peer_driver *driver)
{
    vring_del_virtqueue(driver->queue);
    free(driver->device);
}

static void fill(struct scatterlist *list, const struct peer_segment *segments, uint32_t count)
{
    if (count == 0)
        return;
    sg_init_table(list, count);
    for (uint32_t i = 0; i < count; i++)
        sg_set_buf(&list[i], segments[i].base, segments[i].len);
}

int peer_driver_add(struct peer_driver *driver, const struct peer_segment *segments,
                    uint32_t readable, uint32_t writable, void *request)
{
    struct scatterlist out[PEER_SEGMENTS], in[PEER_SEGMENTS];
    struct scatterlist *lists[] = {out, in};

    fill(out, segments, readable);
    fill(in, segments + readable, writable);
    if (writable == 0)
        return virtqueue_add_outbuf(driver->queue, out, readable, request, GFP_ATOMIC);
    if (readable == 0)
        return virtqueue_add_inbuf(driver->queue, in, writable, request, GFP_ATOMIC);
    return virtqueue_add_sgs(driver->queue, lists, 1, 1, request, GFP_ATOMIC);
}

static struct scatterlist prepared[1];

void peer_driver_prepare(const struct peer_segment *segment)
{
    fill(prepared, segment, 1);
}

int peer_driver_add_prepared(struct peer_driver *driver, void *request)
{
    return virtqueue_add_outbuf(driver->queue, prepared, 1, request, GFP_ATOMIC);
}

bool peer_driver_kick_prepare(struct peer_driver *driver)
{
    return virtqueue_kick_prepare(driver->queue);
}

void *peer_driver_get(struct peer_driver *driver, uint32_t *len)
{
    return virtqueue_get_buf(driver->queue, len);
}

void *peer_driver_detach(struct peer_driver *driver)
{
    return virtqueue_detach_unused_buf(driver->queue);
}

uint32_t peer_driver_room(const struct peer_driver *driver)
{
    return ((const struct virtqueue *)driver->queue)->num_free;
}

bool peer_driver_is_broken(struct peer_driver *driver)
{
    return virtqueue_is_broken(driver->queue);
}

void peer_driver_disable_cb(struct peer_driver *driver)
{
    virtqueue_disable_cb(driver->queue);
}

bool peer_driver_enable_cb(struct peer_driver *driver)
{
    return virtqueue_enable_cb(driver->queue);
}

bool peer_driver_enable_cb_delayed(struct peer_driver *driver)
{
    return virtqueue_enable_cb_delayed(driver->queue);
}

void peer_driver_interrupt(struct peer_driver *driver)
{
    vring_interrupt(0, driver->queue);
}
