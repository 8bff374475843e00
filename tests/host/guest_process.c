/* Processes as /proc shows them. */
#define _GNU_SOURCE
#include "guest_process.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool stat_of(pid_t pid, char *state, pid_t *parent)
{
    char path[64], text[512];
    FILE *file;
    size_t len;
    char *end;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    len = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[len] = '\0';
    end = strrchr(text, ')');
    return end && sscanf(end + 1, " %c %d", state, parent) == 2;
}

pid_t process_child_of(pid_t parent)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    pid_t found = 0;

    while (dir && !found && (entry = readdir(dir))) {
        const pid_t pid = atoi(entry->d_name);
        pid_t its_parent;
        char state;

        if (pid > 0 && stat_of(pid, &state, &its_parent) && its_parent == parent && state != 'Z')
            found = pid;
    }
    if (dir)
        closedir(dir);
    return found;
}

pid_t process_guest_of(pid_t host)
{
    const pid_t keeper = process_child_of(host);

    return keeper ? process_child_of(keeper) : 0;
}

char process_state(pid_t pid)
{
    char state = 0;
    pid_t parent;

    return stat_of(pid, &state, &parent) ? state : 0;
}

bool process_await_gone(pid_t pid)
{
    for (int i = 0; i < 500; i++) {
        const char state = process_state(pid);

        if (state == 0 || state == 'Z' || state == 'X')
            return true;
        usleep(10000);
    }
    return false;
}

const char *process_line(pid_t pid, const char *name, const char *beginning)
{
    static char line[512];
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, beginning, strlen(beginning)) == 0) {
            (void)fclose(file);
            line[strcspn(line, "\n")] = '\0';
            return line + strlen(beginning);
        }
    }
    if (file)
        (void)fclose(file);
    return "";
}

static void add(char *text, size_t len, const char *more)
{
    const size_t used = strlen(text);

    (void)snprintf(text + used, len - used, "%s\n", more);
}

static void add_files(char *text, size_t len)
{
    char path[64], link[256], line[400];

    for (int fd = 0; fd < 256; fd++) {
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n = readlink(path, link, sizeof(link) - 1);
        if (n < 0)
            continue;
        link[n] = '\0';
        (void)snprintf(line, sizeof(line), "%d %s", fd, link);
        add(text, len, line);
    }
}

static void add_whole(char *text, size_t len, const char *path)
{
    FILE *file = fopen(path, "re");
    char line[512];

    while (file && fgets(line, sizeof(line), file))
        add(text, len, line);
    if (file)
        (void)fclose(file);
}

void process_describe(char *text, size_t len)
{
    static const char *const lines[] = {
        "Uid:",    "Gid:",        "Groups:",  "SigPnd:",  "ShdPnd:",         "SigBlk:",
        "SigIgn:", "SigCgt:",     "CapInh:",  "CapPrm:",  "CapEff:",         "CapBnd:",
        "CapAmb:", "NoNewPrivs:", "Seccomp:", "Threads:", "Seccomp_filters:"};
    char number[64];

    text[0] = '\0';
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        add(text, len, process_line(getpid(), "status", lines[i]));
    add_whole(text, len, "/proc/self/limits");
    add_whole(text, len, "/proc/self/timers");
    (void)snprintf(number, sizeof(number), "%d %d %d child %d", getsid(0), getpgrp(),
                   prctl(PR_GET_DUMPABLE), process_child_of(getpid()));
    add(text, len, number);
    add_files(text, len);
}
