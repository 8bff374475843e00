/* Processor time, and exits in a second: see limits.h. */
#include "limits.h"
#include "deadline.h"

#define SECOND 1000000000
#define LOOK_NS 1000000 /* between two looks, at least */
#define LOST_MAX 1000u  /* a guest whose process has ended is seen to have before that */

int halo__limits_begin(struct halo_limits *limits, struct halo_machine *machine,
                       struct halo_words *words, const struct halo_options *options)
{
    *limits = (struct halo_limits){.any = options->cpu_ms || options->exits_per_second};
    if (options->exits_per_second > HALO_EXITS_MAX)
        return halo__fail(words, HALO_EINVAL, "%u exits per second: at most %u can be told apart",
                          options->exits_per_second, HALO_EXITS_MAX);
    if (options->exits_per_second)
        limits->exit_ns = SECOND / options->exits_per_second;
    if (!options->cpu_ms)
        return 0;
    if (options->cpu_ms > HALO_CPU_MS_MAX)
        return halo__fail(words, HALO_EINVAL, "a CPU time of %llu ms is above %llu",
                          (unsigned long long)options->cpu_ms, HALO_CPU_MS_MAX);
    machine->counts_cpu = true;
    limits->cpu_ns = (int64_t)options->cpu_ms * 1000000;
    limits->cpu_base = machine->backend->cpu(machine);
    if (limits->cpu_base < 0)
        return halo__fail(words, HALO_EHOST,
                          "this system does not tell how much CPU time a guest has used: "
                          "is reading another process's clock allowed?");
    return 0;
}

void halo__limits_restart(struct halo_limits *limits, struct halo_machine *machine)
{
    limits->exit_at = limits->cpu_check = 0;
    limits->cpu_lost = 0;
    if (limits->cpu_ns)
        limits->cpu_base = machine->backend->cpu(machine);
}

static int look_at_cpu(struct halo_limits *limits, struct halo_machine *machine,
                       struct halo_words *words, int64_t now)
{
    const int64_t all = machine->backend->cpu(machine), used = all - limits->cpu_base;

    limits->cpu_lost = all < 0 ? limits->cpu_lost + 1 : 0;
    if (limits->cpu_lost > LOST_MAX)
        return halo__fail(words, HALO_EHOST,
                          "nobody can tell any more how much CPU time the guest has used");
    if (all >= 0 && used >= limits->cpu_ns)
        return halo__fail(words, HALO_ELIMIT,
                          "the guest was stopped: it has used its %lld ms of CPU time",
                          (long long)(limits->cpu_ns / 1000000));
    limits->cpu_check = now + LOOK_NS;
    if (all >= 0 && limits->cpu_ns - used > LOOK_NS)
        limits->cpu_check = now + limits->cpu_ns - used;
    return 0;
}

int halo__limits_look(struct halo_limits *limits, struct halo_machine *machine,
                      struct halo_words *words, int64_t *deadline)
{
    const int64_t now = halo__now();
    int error = 0;

    /* A bucket of one second's exits: what was not used for longer is no more than that. */
    if (limits->exit_ns) {
        if (limits->exit_at < now)
            limits->exit_at = now;
        limits->exit_at += limits->exit_ns;
        if (limits->exit_at - now > SECOND)
            return halo__fail(words, HALO_ELIMIT,
                              "the guest was stopped: it left more than %lld times a second",
                              (long long)(SECOND / limits->exit_ns));
    }
    if (limits->cpu_ns && now >= limits->cpu_check)
        error = look_at_cpu(limits, machine, words, now);
    if (limits->cpu_ns && limits->cpu_check < *deadline)
        *deadline = limits->cpu_check;
    return error;
}
