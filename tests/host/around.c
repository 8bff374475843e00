/* Run a command inside a seccomp filter: around FIRST LAST errno|kill COMMAND... */
#define _GNU_SOURCE
#include "hosts.h"
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    filter_around(&(struct around){
        (uint32_t)atoi(argv[1]), (uint32_t)atoi(argv[2]),
        strcmp(argv[3], "kill") == 0 ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM, 0});
    execv(argv[4], argv + 4);
    return 127;
}
