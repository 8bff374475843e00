/* Pipes between a program and itself. With an argument, what only another thread could end. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char block[65536 + 5000];

static void show(const char *what, long result)
{
    if (result < 0)
        printf("%s: %s\n", what, strerror(errno));
    else
        printf("%s: %ld\n", what, result);
}

/* So many bytes that are nowhere the same, and what came of such. */
static void fill(size_t len)
{
    static unsigned state = 1;

    for (size_t i = 0; i < len; i++)
        block[i] = (char)((state = state * 1103515245 + 12345) >> 16);
}

static void show_bytes(const char *what, long len)
{
    unsigned sum = 0;

    show(what, len);
    for (long i = 0; i < len; i++)
        sum = sum * 31 + (unsigned char)block[i];
    printf("%08x\n", sum);
}

static void by_stdio(void)
{
    int ends[2], number = 0;
    FILE *in, *out;
    char word[20] = "";

    show("pipe", pipe(ends));
    in = fdopen(ends[0], "r");
    out = fdopen(ends[1], "w");
    fprintf(out, "%d %s\n", 42, "words");
    fclose(out);
    printf("%d", fscanf(in, "%d %19s", &number, word));
    printf(" %d %s\n", number, word);
    printf("%d", getc(in));
    printf(" %d\n", getc(in));
    fclose(in);
}

static void polled(const int ends[2])
{
    struct pollfd both[2] = {{.fd = ends[0], .events = POLLIN}, {.fd = ends[1], .events = POLLOUT}};
    struct timeval none = {0, 0};
    fd_set in, out;

    printf("poll %d", poll(both, 2, 0));
    printf(" %x %x", (unsigned)both[0].revents, (unsigned)both[1].revents);
    FD_ZERO(&in);
    FD_ZERO(&out);
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            FD_SET(ends[i], i ? &out : &in);
    }
    printf(" select %d\n", select(FD_SETSIZE, &in, &out, NULL, &none));
}

static void full(void)
{
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    int ends[2], waiting = 0;

    show("pipe2", pipe2(ends, O_NONBLOCK | O_CLOEXEC));
    printf("%d %d\n", fcntl(ends[0], F_GETFD), fcntl(ends[1], F_GETFL) & (O_ACCMODE | O_NONBLOCK));
    show("size", fcntl(ends[0], F_GETPIPE_SZ));
    show("empty", read(ends[0], block, 1));
    polled(ends);
    fill(sizeof(block));
    show("all", write(ends[1], block, sizeof(block)));
    show("more", write(ends[1], block, 1));
    polled(ends);
    show("FIONREAD", ioctl(ends[0], FIONREAD, &waiting));
    show("waiting", waiting);
    show_bytes("one", read(ends[0], block, 1));
    show("no part", write(ends[1], block, 100));
    show_bytes("and", read(ends[0], block, 4095));
    for (int turn = 0; turn < 9; turn++) { /* around its end */
        show_bytes("read", read(ends[0], block, 3 * 4096));
        fill(10000);
        show("write", write(ends[1], block, 10000));
    }
    show_bytes("all", read(ends[0], block, sizeof(block)));
    close(ends[0]);
    sigaction(SIGPIPE, &ignored, NULL);
    show("nobody reads", write(ends[1], "x", 1));
    show("nothing", write(ends[1], "x", 0));
    polled((const int[2]){-1, ends[1]});
    close(ends[1]);
}

static void kinds(void)
{
    int ends[2], other;
    struct stat stat;
    struct iovec parts[2] = {{"ab", 2}, {"cdef", 4}};

    show("pipe", pipe(ends));
    fstat(ends[0], &stat);
    printf("%d\n", S_ISFIFO(stat.st_mode));
    show("lseek", lseek(ends[0], 0, SEEK_SET));
    show("pread", pread(ends[0], block, 1, 0));
    show("pwrite", pwrite(ends[1], block, 1, 0));
    show("ftruncate", ftruncate(ends[1], 0));
    show("the other way", write(ends[0], block, 1));
    show("and the other", read(ends[1], block, 1));
    other = dup(ends[1]);
    close(ends[1]);
    show("writev", writev(other, parts, 2));
    polled((const int[2]){ends[0], other});
    show("close", close(other));
    parts[0] = (struct iovec){block, 3};
    parts[1] = (struct iovec){block + 3, 7};
    show("readv", readv(ends[0], parts, 2));
    printf("%.6s\n", block);
    show("end", read(ends[0], block, 1));
    polled((const int[2]){ends[0], -1});
    close(ends[0]);
    show("a bad flag", pipe2(ends, 0x10000000));
    show("a bad address", pipe2((int *)8, 0));
    for (other = 0; pipe(ends) == 0; other++)
        continue;
    show("many", other > 10);
}

/* Nobody else could. */
static int alone(void)
{
    int ends[2];

    pipe(ends);
    show("read", read(ends[0], block, 1));
    show("write", write(ends[1], block, sizeof(block)));
    show("write", write(ends[1], block, sizeof(block)));
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        return alone();
    by_stdio();
    full();
    kinds();
    return 0;
}
