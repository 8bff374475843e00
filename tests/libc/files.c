/* Files of the program's own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void show(const char *what, long result)
{
    if (result < 0)
        printf("%s: %s\n", what, strerror(errno));
    else
        printf("%s: %ld\n", what, result);
}

static void temporary(void)
{
    char bytes[100] = "";
    FILE *file = tmpfile();

    fprintf(file, "one %d\ntwo\n", 1);
    rewind(file);
    fgets(bytes, sizeof(bytes), file);
    printf("%s", bytes);
    show("seek", fseek(file, 100, SEEK_SET));
    fputs("far", file);
    show("tell", ftell(file));
    rewind(file);
    show("read", (long)fread(bytes, 1, 100, file));
    show("zero", bytes[50]);
    fclose(file);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(const char *path)
{
    struct dirent **entries;
    const int count = scandir(path, &entries, NULL, by_name);

    show("scandir", count);
    for (int i = 0; i < count; i++)
        printf("%s%s\n", entries[i]->d_name, entries[i]->d_type == DT_DIR ? "/" : "");
}

static void directories(void)
{
    char folder[] = "/tmp/halo-test-XXXXXX", name[64];
    int fd;

    show("mkdtemp", mkdtemp(folder) != NULL);
    show("chdir", chdir(folder));
    printf("%d\n", strcmp(getcwd(name, sizeof(name)), folder));
    show("mkdir", mkdir("one", 0755));
    show("mkdir", mkdir("one/two", 0755));
    show("close", close(open("one/file", O_CREAT | O_WRONLY, 0600)));
    show("close", close(open("here", O_CREAT | O_WRONLY, 0600)));
    list(".");
    list("one");
    list("one/two");
    list("one/file");
    list("none");
    fd = open("one", O_RDONLY | O_DIRECTORY);
    show("openat", openat(fd, "file", O_RDONLY) >= 0);
    show("not there", openat(fd, "here", O_RDONLY));
    show("outside", openat(fd, "../here", O_RDONLY) >= 0);
    show("unlinkat", unlinkat(fd, "file", 0));
    show("unlinkat", unlinkat(fd, "two", AT_REMOVEDIR));
    show("no directory", chdir("here"));
    show("fchdir", fchdir(fd));
    show("back", chdir(".."));
    show("no descriptor", fchdir(99));
    show("fchdir of no directory", fchdir(0));
    show("nor this", openat(0, "here", O_RDONLY));
    show("chdir", chdir("one"));
    show("rmdir", rmdir("../one"));
    show("getcwd", getcwd(name, sizeof(name)) ? 0 : -1);
    show("nowhere", open("file", O_CREAT | O_WRONLY, 0600));
    show("gone", openat(fd, "file", O_CREAT | O_WRONLY, 0600));
    show("chdir", chdir(folder));
    show("unlink", unlink("here"));
    show("chdir", chdir("/"));
    show("rmdir", rmdir(folder));
}

int main(void)
{
    char name[] = "/tmp/halo-test-XXXXXX", other[64], bytes[32];
    struct stat st;
    int fd = mkstemp(name), second;

    snprintf(other, sizeof(other), "%s.new", name);
    show("mkstemp", fd >= 0);
    show("write", write(fd, "0123456789", 10));
    show("pread", pread(fd, bytes, 4, 3));
    show("pwrite", pwrite(fd, "ab", 2, 20));
    show("fstat", fstat(fd, &st));
    printf("%ld %o %d\n", (long)st.st_size, st.st_mode, (int)st.st_nlink);
    show("truncate", ftruncate(fd, 5));
    show("seek", lseek(fd, -2, SEEK_END));
    show("read", read(fd, bytes, sizeof(bytes)));
    show("again", read(fd, bytes, sizeof(bytes)));
    show("rename", rename(name, other));
    show("gone", open(name, O_RDONLY));
    show("exclusive", open(other, O_CREAT | O_EXCL | O_WRONLY, 0600));
    second = open(other, O_RDONLY);
    show("no write", write(second, "x", 1));
    show("directory", open("/tmp", O_WRONLY));
    show("not one", stat("/tmp/../tmp/./halo/none", &st));
    show("dup", dup2(fd, 20));
    show("shared offset", lseek(20, 0, SEEK_CUR));
    show("append", fcntl(fd, F_SETFL, O_APPEND));
    show("flags", fcntl(20, F_GETFL) & (O_APPEND | O_ACCMODE));
    show("write", write(fd, "end", 3));
    show("size", lseek(fd, 0, SEEK_END));
    show("access", access(other, R_OK | W_OK));
    show("unlink", unlink(other));
    show("still there", pread(second, bytes, 8, 0));
    show("mkdir", mkdir(other, 0755));
    show("again", mkdir(other, 0755));
    show("file", unlink(other) < 0);
    show("rmdir", rmdir(other));
    show("rmdir", rmdir(other));
    show("close", close(fd) + close(20) + close(second));
    show("close", close(fd));
    show("null", (fd = open("/dev/null", O_RDWR)) >= 0);
    show("null", read(fd, bytes, 1));
    show("null", write(fd, bytes, 9));
    temporary();
    directories();
    return 0;
}
