/* The command confines itself once its guest is loaded: halo/confine.h. */
#include <errno.h>
#include <halo/confine.h>
#include <string.h>
#include "tool.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOOKS_FOR_LEAKS
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define LOOKS_FOR_LEAKS
#endif

#ifdef LOOKS_FOR_LEAKS
static int is_confined;

/* The sanitizer's hook: it looks for leaks by means that are refused. */
int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
    return is_confined;
}
#endif

bool tool_confine_reader(void)
{
    uint32_t walls = 0;
    int error = 0;

#ifndef HALO_COVERAGE
    error = halo_confine(HALO_CONFINE_STREAMS | HALO_CONFINE_TERMINAL, &walls);
#endif
#ifdef LOOKS_FOR_LEAKS
    is_confined = walls & HALO_WALL_CALLS;
#endif
    if (!error || errno == ENOSYS)
        return true;
    tool_say("halo: this command cannot confine itself (%s), and reads nothing\n", strerror(errno));
    return false;
}

bool tool_confine(const struct halo_sandbox *box, bool strict)
{
    const bool is_kvm = strcmp(halo_backend_name(box), "kvm") == 0;
    const uint32_t features = HALO_CONFINE_STREAMS | HALO_CONFINE_THREADS | HALO_CONFINE_TERMINAL |
                              (is_kvm ? HALO_CONFINE_KVM : HALO_CONFINE_PROCESS);
    uint32_t walls = 0;
    int error = 0;

#ifndef HALO_COVERAGE
    error = halo_confine(features, &walls);
#endif
#ifdef LOOKS_FOR_LEAKS
    is_confined = walls & HALO_WALL_CALLS;
#endif
    if (!error)
        return true;
    if (strict || errno != ENOSYS)
        tool_say("halo run: this command cannot confine itself (%s)%s\n", strerror(errno),
                 strict ? ", and --strict does without no wall" : "; it goes on without");
    return !strict;
}
