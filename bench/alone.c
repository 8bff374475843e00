/* Which cores a run uses, and that it is the only run. */
#define _GNU_SOURCE
#include "bench.h"
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define CORES 1024

void bench_alone(void)
{
    static const char path[] = "/tmp/halo-bench.lock";
    int lock = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (lock < 0)
        lock = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    bench_must(lock >= 0, "/tmp/halo-bench.lock cannot be opened; remove it");
    if (flock(lock, LOCK_EX | LOCK_NB) == 0)
        return;
    fputs("halo bench: another run goes on; this one waits for its end\n", stderr);
    bench_must(flock(lock, LOCK_EX) == 0, "no lock");
}

/* What each core has worked so far, in ticks. Where nobody knows it stays 0. */
static void read_work(uint64_t *work)
{
    FILE *file = fopen("/proc/stat", "r");
    char line[512];

    while (file && fgets(line, sizeof(line), file)) {
        unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
        unsigned core;

        if (sscanf(line, "cpu%u %llu %llu %llu %llu %llu %llu %llu %llu", &core, &user, &nice,
                   &system, &idle, &iowait, &irq, &softirq, &steal) == 9 &&
            core < CORES)
            work[core] = user + nice + system + irq + softirq + steal;
    }
    if (file)
        fclose(file);
}

/* Which core's hardware a core is a thread of: the first of its siblings. */
static int first_sibling(int core)
{
    char path[96];
    int first = core;
    FILE *file;

    (void)snprintf(path, sizeof(path),
                   "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", core);
    file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%d", &first) != 1)
            first = core;
        fclose(file);
    }
    return first;
}

/* The one that worked least, among those of `set`; not one of `other`'s hardware, if it can be. */
static int idlest(const cpu_set_t *set, const uint64_t *work, int other)
{
    int best = -1;

    for (int pass = 0; pass < 2 && best < 0; pass++) {
        for (int core = 0; core < CORES; core++) {
            if (!CPU_ISSET((size_t)core, set) || core == other ||
                (pass == 0 && other >= 0 && first_sibling(core) == first_sibling(other)))
                continue;
            if (best < 0 || work[core] < work[best])
                best = core;
        }
    }
    return best;
}

const int *bench_cores(void)
{
    static const struct timespec while_looking = {0, 200 * 1000 * 1000};
    static uint64_t before[CORES], work[CORES];
    static int found[2];
    static bool looked;
    cpu_set_t set;

    if (looked)
        return found;
    looked = true;
    found[0] = found[1] = -1;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return found;
    read_work(before);
    (void)nanosleep(&while_looking, NULL);
    read_work(work);
    for (int core = 0; core < CORES; core++)
        work[core] -= before[core];
    found[0] = idlest(&set, work, -1);
    found[1] = idlest(&set, work, found[0]);
    return found;
}
