/* Names and times of files: directories that move with all that is in them, and what stat says
 * then. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static void said(const char *what, long result)
{
    printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void look(const char *name)
{
    struct stat st;

    if (stat(name, &st) < 0) {
        said(name, -1);
        return;
    }
    printf("%s: mode %o, %ld links", name, (unsigned)st.st_mode, (long)st.st_nlink);
    if (S_ISREG(st.st_mode))
        printf(", %ld bytes", (long)st.st_size);
    printf("\n");
}

static void make(const char *name, const char *text)
{
    const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0640);

    said(name, fd < 0 ? -1 : write(fd, text, strlen(text)));
    (void)close(fd);
}

static void move(const char *from, const char *to)
{
    printf("%s to ", from);
    said(to, rename(from, to));
}

static void directories(void)
{
    char where[300];
    int fd;

    said("mkdir", mkdir("a", 0755) | mkdir("a/b", 0700) | mkdir("a/b/c", 0711) | mkdir("e", 0755));
    make("a/b/file", "text");
    look("a");
    look("a/b");
    fd = open("a/b", O_RDONLY | O_DIRECTORY);
    said("chdir", chdir("a/b/c"));
    move("../../../a", "../../../d");
    printf("now in %s\n", strrchr(getcwd(where, sizeof(where)) ? where : "/?", '/'));
    said("chdir", chdir("../../.."));
    look("a");
    look("d/b/file");
    said("openat", openat(fd, "file", O_RDONLY) > 0);
    said("mkdirat", mkdirat(fd, "more", 0700));
    said("renameat", renameat(fd, "more", AT_FDCWD, "e/more"));
    move("d", "d/b/c");
    move("d/b", "d");
    move("d", "e");
    move("d/b/file", "e");
    move("e", "d/b/file");
    move("d/b/file", "e/");
    said("rmdir", rmdir("e/more"));
    move("d", "e");
    look("e/b/file");
    look("e");
    move("e/b/file", "file");
    said("again", syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "file", 1));
    said("close", close(fd));
}

static void times(void)
{
    static const struct timespec set[2] = {{12, 345}, {-1, 999999999}};
    static const struct timespec second[2] = {{0, UTIME_OMIT}, {77, 0}};
    struct stat st = {.st_size = 0};
    const int fd = open("file", O_RDONLY);

    said("utimensat", utimensat(AT_FDCWD, "file", set, 0));
    (void)stat("file", &st);
    printf("%ld.%ld %ld.%ld\n", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
           (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    said("futimens", futimens(fd, second));
    (void)fstat(fd, &st);
    printf("%ld.%ld %ld.%ld\n", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
           (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    said("fchown", fchown(fd, (uid_t)-1, (gid_t)-1));
    said("fchmodat", fchmodat(AT_FDCWD, "file", 04751, 0));
    look("file");
    said("chown", chown("file", getuid(), getgid()));
    look("file");
    said("chown", chown("nothing", (uid_t)-1, (gid_t)-1));
    said("close", close(fd));
}

static void devices(void)
{
    static const char *const names[] = {"null", "random", "urandom", "zero"};
    DIR *dev = opendir("/dev");
    const struct dirent *entry;
    int found = 0;

    while (dev && (entry = readdir(dev))) {
        for (int i = 0; i < 4; i++) {
            if (strcmp(entry->d_name, names[i]) == 0)
                found += entry->d_type == DT_CHR;
        }
    }
    printf("%d devices\n", found);
    if (dev)
        (void)closedir(dev);
}

int main(void)
{
    char folder[] = "/tmp/halo-names-XXXXXX";
    struct statfs system = {.f_bsize = 0};

    if (!mkdtemp(folder) || chdir(folder))
        return 1;
    directories();
    times();
    devices();
    said("statfs", statfs(".", &system));
    printf("%d\n", system.f_bsize == 4096 && system.f_bfree <= system.f_blocks);
    said("remove", unlink("file") | rmdir("e/b/c") | rmdir("e/b") | rmdir("e") | chdir("/"));
    said("rmdir", rmdir(folder));
    return 0;
}
