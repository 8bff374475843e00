/* A guest to be debugged: compiled without optimization, so that its lines are as they stand. */
#include <halo/guest.h>

struct point {
    int x, y;
};

volatile int counter;
volatile long go_on = 1, turns;
volatile double ratio = 2.5;

static int area(struct point point, int times)
{
    int sum = 0;

    for (int i = 0; i < times; i++) {
        sum += point.x * point.y;
        counter = sum;
    }
    return sum;
}

static int store(int *at, int value)
{
    *at = value;
    return value;
}

static int spin(void)
{
    while (go_on)
        turns++;
    return 9;
}

int main(int argc, char **argv)
{
    const struct point point = {2, 3};
    const char way = argc > 1 ? argv[1][0] : '-';

    if (way == 's')
        return spin();
    if (way == 'f')
        return store((int *)50, 42);
    if (way == 'v') {
        __asm__ volatile("movsd %[ratio], %%xmm7\n\t"
                         "fldl %[ratio]\n\t"
                         "movl $1, %%eax\n\t"
                         "movl %%eax, 50"
                         :
                         : [ratio] "m"(ratio)
                         : "eax", "xmm7", "memory");
    }
    if (way == 'o') {
        __asm__ volatile("int3");
        return 5;
    }
    return area(point, 3) + (int)ratio;
}
