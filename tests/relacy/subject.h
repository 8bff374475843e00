/* The ring's calls, as functions that C++ can call: relacy.hpp and the ring's headers do not mix.
 */
#ifndef SUBJECT_H
#define SUBJECT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SUBJECT_SIZE_MAX 4u

/* Both sides of a fresh ring of `size`, on which words have no place: only their numbers matter. */
void subject_start(uint32_t size);

/* Do the private records of both sides agree, and has neither called the other broken? */
int subject_sound(void);
/* Has every chain come home? */
int subject_at_rest(void);

/* The driver. `addrs` are the chain's buffers, one byte each, the readable ones first. */
int driver_add(const uint64_t *addrs, uint32_t readable, uint32_t writable);
uint32_t driver_room(void);
void driver_publish(void);
int driver_should_kick(void);
int driver_poll(uint16_t *id, uint32_t *len); /* 1, 0 or below 0 */
int driver_arm(void);
void driver_disarm(void);

/* The device. A chain is named by its id while it is out. */
int device_poll(uint16_t *id, uint32_t *readable, uint32_t *writable, uint64_t *addrs);
int device_complete(uint16_t id, uint32_t len);
void device_publish(void);
int device_should_notify(void);
int device_arm(void);
void device_disarm(void);

/* What the ring does to shared memory comes here. */
uint64_t shared_load_meta(uint32_t slot);
uint64_t shared_load_addr(uint32_t slot);
void shared_stage_addr(uint32_t slot, uint64_t addr);
void shared_stage_meta(uint32_t slot, uint64_t meta);
void shared_publish_meta(uint32_t slot, uint64_t meta);
uint32_t shared_load_event(uint32_t side); /* 0: the driver's, 1: the device's */
void shared_store_event(uint32_t side, uint32_t word);
void shared_fence(void);

#ifdef __cplusplus
}
#endif

#endif
