/* Symbolic and hard links: what is seen through them, and what is done to them themselves. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void said(const char *what, long result)
{
    printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void look(const char *name)
{
    struct stat st;
    char text[256];
    const ssize_t len = readlink(name, text, sizeof(text));

    if (lstat(name, &st) < 0) {
        said(name, -1);
        return;
    }
    printf("%s: mode %o", name, (unsigned)st.st_mode);
    if (!S_ISDIR(st.st_mode))
        printf(", %ld links, %ld bytes", (long)st.st_nlink, (long)st.st_size);
    if (len >= 0)
        printf(" -> %.*s", (int)len, text);
    printf(stat(name, &st) < 0 ? ", leads nowhere\n" : ", leads to mode %o\n",
           (unsigned)st.st_mode);
}

static void make(const char *name, const char *text)
{
    const int fd = open(name, O_WRONLY | O_CREAT, 0640);

    said(name, fd < 0 ? -1 : write(fd, text, strlen(text)));
    (void)close(fd);
}

static void show(const char *name, int flags)
{
    char text[64];
    const int fd = open(name, O_RDONLY | flags);
    const ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));

    if (len < 0)
        said(name, -1);
    else
        printf("%s: %.*s\n", name, (int)len, text);
    (void)close(fd);
}

static void symbolic(const char *folder)
{
    char place[300], text[4];

    said("mkdir", mkdir("a", 0755) | mkdir("a/b", 0755));
    make("a/b/file", "in the file");
    said("symlink", symlink("a/b", "short") | symlink("file", "a/b/other"));
    said("again", symlink("a", "short"));
    said("to nothing", symlink("", "x"));
    said("with a slash", symlink("a", "x/"));
    look("short");
    look("short/");
    look("short/other");
    show("short/other", 0);
    show("short/other", O_NOFOLLOW);
    show("short/", O_DIRECTORY);
    show("short/other/", 0);
    show("short/../b/../../short/file", O_NOFOLLOW);
    said("a directory", open("short", O_DIRECTORY | O_NOFOLLOW));
    said("readlink", readlink("short", text, sizeof(text)));
    printf("%.3s\n", text);
    said("readlink", readlink("a", text, sizeof(text)));
    said("readlink", readlink("nothing", text, sizeof(text)));
    (void)snprintf(place, sizeof(place), "%s/a/./b/../b/file", folder);
    said("absolute", symlink(place, "far"));
    show("far", 0);
    said("chdir", chdir("short"));
    printf("%s\n", strrchr(getcwd(place, sizeof(place)) ? place : "/?", '/'));
    said("chdir", chdir("../.."));
    said("dangling", symlink("new", "dangling"));
    look("dangling");
    said("open", open("dangling", O_RDONLY));
    said("exclusive", open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600));
    said("mkdir", mkdir("dangling", 0700));
    make("dangling", "made through it");
    show("new", O_NOFOLLOW);
    said("truncate", truncate("dangling", 4));
    show("new", 0);
    said("unlink", unlink("dangling"));
    look("new");
    said("access", access("short/other", R_OK));
    said("faccessat", faccessat(AT_FDCWD, "short/none", F_OK, AT_SYMLINK_NOFOLLOW));
    said("chmod", chmod("far", 0600));
    look("a/b/file");
    said("rmdir", rmdir("short"));
    said("unlink", unlink("short/"));
    said("rename", rename("short", "shorter"));
    said("rename", rename("shorter/", "short"));
    said("rename", rename("shorter", "short"));
    said("over a directory", rename("short", "a"));
}

static void loops(void)
{
    char name[8], text[8];

    said("symlink", symlink("one", "two") | symlink("two", "one") | symlink("self/x", "self"));
    show("one", 0);
    show("self", 0);
    said("stat", access("one/x", F_OK));
    show("two", O_NOFOLLOW);
    look("self");
    for (int i = 0; i < 45; i++) { /* each leads to the one before it */
        (void)snprintf(name, sizeof(name), "l%d", i);
        (void)snprintf(text, sizeof(text), "l%d", i - 1);
        if (symlink(i ? text : "new", name))
            said(name, -1);
    }
    show("l39", 0);
    show("l40", 0);
    for (int i = 0; i < 45; i++) {
        (void)snprintf(name, sizeof(name), "l%d", i);
        (void)unlink(name);
    }
    said("unlink", unlink("one") | unlink("two") | unlink("self"));
}

static void hard(void)
{
    struct stat a, b;
    int fd;

    said("link", link("new", "a/same"));
    said("again", link("new", "a/same"));
    said("a directory", link("a", "b"));
    said("nothing", link("none", "b"));
    said("with a slash", link("new", "b/"));
    look("new");
    printf("%d\n", stat("new", &a) == 0 && stat("a/same", &b) == 0 && a.st_ino == b.st_ino);
    make("a/same", "other");
    show("new", 0);
    said("rename", rename("new", "a/same"));
    look("new");
    fd = open("new", O_RDONLY);
    said("unlink", unlink("new"));
    look("a/same");
    said("unlink", unlink("a/same"));
    printf("%ld\n", fstat(fd, &a) < 0 ? -1L : (long)a.st_nlink);
    said("close", close(fd));
    said("link to a link", linkat(AT_FDCWD, "short", AT_FDCWD, "twin", 0));
    look("twin");
    said("through a link", linkat(AT_FDCWD, "far", AT_FDCWD, "real", AT_SYMLINK_FOLLOW));
    look("real");
    said("flags", linkat(AT_FDCWD, "far", AT_FDCWD, "x", 1));
}

static void listed(void)
{
    DIR *here = opendir(".");
    const struct dirent *entry;
    int links = 0, others = 0;

    while (here && (entry = readdir(here))) {
        links += entry->d_type == DT_LNK;
        others += entry->d_type != DT_LNK;
    }
    printf("%d links, %d others\n", links, others);
    if (here)
        (void)closedir(here);
}

int main(void)
{
    char folder[] = "/tmp/halo-links-XXXXXX";

    if (!mkdtemp(folder) || chdir(folder))
        return 1;
    symbolic(folder);
    loops();
    hard();
    listed();
    said("unlink", unlink("short") | unlink("far") | unlink("twin") | unlink("real") |
                       unlink("a/b/file") | unlink("a/b/other"));
    said("rmdir", rmdir("a/b") | rmdir("a") | chdir("/") | rmdir(folder));
    return 0;
}
