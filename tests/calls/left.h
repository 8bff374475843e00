/*
 * What a program has, as the kernel counts it, for tests that nothing is left of what came and
 * went: its descriptors, mappings, threads and processes, and memory by more than one measure.
 */
#ifndef HALO_TESTS_CALLS_LEFT_H
#define HALO_TESTS_CALLS_LEFT_H

#include "../host/guest_process.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline double number_in(const char *path, const char *beginning)
{
    FILE *const file = fopen(path, "re");
    const size_t len = strlen(beginning);
    char line[128];
    double number = -1;

    while (file && number < 0 && fgets(line, sizeof(line), file)) {
        if (strncmp(line, beginning, len) == 0)
            number = atof(line + len);
    }
    if (file)
        (void)fclose(file);
    return number;
}

/* What all of it takes, in KiB: by a group of processes, or else by what the machine has left. */
struct meter {
    char group[100], usage[140];
};

static inline double taken(const struct meter *meter)
{
    return meter->usage[0] ? number_in(meter->usage, "") / 1024
                           : -number_in("/proc/meminfo", "MemAvailable:");
}

/* In a group of its own, of either version, where there can be one. */
static inline void enter_group(struct meter *meter)
{
    static const char *const versions[][2] = {{"/sys/fs/cgroup/memory", "memory.usage_in_bytes"},
                                              {"/sys/fs/cgroup", "memory.current"}};

    for (size_t i = 0; i < 2 && !meter->usage[0]; i++) {
        char procs[140];
        FILE *file;

        (void)snprintf(meter->group, sizeof(meter->group), "%s/halo-herd-%d", versions[i][0],
                       (int)getpid());
        if (mkdir(meter->group, 0755) < 0) {
            meter->group[0] = '\0';
            continue;
        }
        (void)snprintf(meter->usage, sizeof(meter->usage), "%s/%s", meter->group, versions[i][1]);
        (void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", meter->group);
        file = fopen(procs, "we");
        if (!file || fprintf(file, "%d", (int)getpid()) < 0 || fclose(file) != 0 ||
            number_in(meter->usage, "") < 0) {
            (void)rmdir(meter->group);
            meter->usage[0] = meter->group[0] = '\0';
        }
    }
}

/* When its processes have ended, or are about to. */
static inline void leave_group(const struct meter *meter)
{
    while (meter->group[0] && rmdir(meter->group) < 0 && errno == EBUSY)
        usleep(10000);
}

struct left {
    uint32_t descriptors, threads, processes, mappings;
    double shared_kib; /* guest memory */
    size_t heap;
};

static inline uint32_t entries(const char *path)
{
    DIR *const dir = opendir(path);
    uint32_t count = 0;

    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static inline uint32_t lines(const char *path)
{
    FILE *const file = fopen(path, "re");
    uint32_t count = 0;

    for (int c; file && (c = fgetc(file)) != EOF;)
        count += c == '\n';
    if (file)
        (void)fclose(file);
    return count;
}

static inline struct left look(void)
{
    return (struct left){.descriptors = entries("/proc/self/fd"),
                         .threads = entries("/proc/self/task"),
                         .processes = process_child_of(getpid()) != 0,
                         .mappings = lines("/proc/self/maps"),
                         .shared_kib = number_in("/proc/self/status", "RssShmem:"),
                         .heap = mallinfo2().uordblks};
}

#endif
