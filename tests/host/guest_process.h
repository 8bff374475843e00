/* Processes as /proc shows them, for tests of how a guest's process behaves. */
#ifndef GUEST_PROCESS_H
#define GUEST_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The first process whose parent that is, or 0. */
pid_t process_child_of(pid_t parent);

/* The guest's process of that host, which has one sandbox, or 0. */
pid_t process_guest_of(pid_t host);

/* Its state letter, as in /proc/PID/stat, or 0 where there is none. */
char process_state(pid_t pid);

/* Wait until it has gone, a zombie counts as gone: false after five seconds. */
bool process_await_gone(pid_t pid);

/* A line of /proc/PID/FILE that begins so, without that beginning, or "". */
const char *process_line(pid_t pid, const char *file, const char *beginning);

/* All of /proc/self/FILE that shall not change. */
void process_describe(char *text, size_t len);

#endif
