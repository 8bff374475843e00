/* The driver's halves and a device for halves.cpp, and what they ask of it. */
#ifndef HALVES_SUBJECT_H
#define HALVES_SUBJECT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HALVES_SIZE_MAX 4u

/* Called by the ring's sources, for each word that two threads share. */
uint64_t shared_load_meta(uint32_t slot);
uint64_t shared_load_addr(uint32_t slot);
void shared_stage_addr(uint32_t slot, uint64_t addr);
void shared_stage_meta(uint32_t slot, uint64_t meta);
void shared_publish_meta(uint32_t slot, uint64_t meta);
uint32_t shared_load_event(uint32_t side);
void shared_store_event(uint32_t side, uint32_t word);
void shared_fence(void);
uint64_t shared_load_record(uint32_t id);
void shared_store_record(uint32_t id, uint64_t value);
uint16_t shared_load_id(uint32_t place);
void shared_store_id(uint32_t place, uint16_t value);
uint32_t shared_load_returned(void);
void shared_store_returned(uint32_t value);

/* Called by the scenarios. An address is the number of a buffer of one byte. */
void subject_start(uint32_t size);
uint32_t submitter_room(void);
uint16_t submitter_next_id(uint32_t after);
int submitter_submit(const uint64_t *addrs, uint32_t count); /* how many */
int submitter_should_kick(void);
int reaper_poll(uint16_t *id);
void reaper_return(void);
int reaper_arm(void);
void reaper_disarm(void);
int device_take(uint64_t *addr, uint64_t *token);
int device_finish(uint64_t token);
int device_should_notify(void);
int device_arm(void);
void device_disarm(void);
void device_guess(uint32_t slot, uint16_t id);

#ifdef __cplusplus
}
#endif

#endif
