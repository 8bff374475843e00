/* Two full queues on two threads: two_queues.h. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#define REQUESTS 20000u
#define SECONDS 120

struct bell {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool rung;
};

static void ring_bell(struct bell *bell)
{
    pthread_mutex_lock(&bell->mutex);
    bell->rung = true;
    pthread_cond_signal(&bell->cond);
    pthread_mutex_unlock(&bell->mutex);
}

static void sleep_until_rung(struct bell *bell)
{
    pthread_mutex_lock(&bell->mutex);
    while (!bell->rung)
        pthread_cond_wait(&bell->cond, &bell->mutex);
    bell->rung = false;
    pthread_mutex_unlock(&bell->mutex);
}

#include "two_queues.h"

static void hang(int signal)
{
    static const char text[] = "both sides wait for each other\n";

    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(1);
}

static void both_sides_run_to_the_end(uint32_t ring_size, uint32_t bufs)
{
    struct side guest = {.bell = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false}};
    struct side host = guest;
    struct queue *queues = open_both(&guest, &host, ring_size, bufs, REQUESTS);
    pthread_t thread;

    guest.seed = 1 + ring_size;
    host.seed = 100 + bufs;
    signal(SIGALRM, hang);
    alarm(SECONDS);
    assert_int_equal(pthread_create(&thread, NULL, live, &host), 0);
    live(&guest);
    pthread_join(thread, NULL);
    alarm(0);
    assert_all_home(queues, &guest, &host);
    free(queues);
}

static void r16_two_full_queues_make_progress(void **state)
{
    (void)state;
    for (size_t i = 0; i < TWO_QUEUES_SHAPES; i++)
        both_sides_run_to_the_end(two_queues_shapes[i].ring_size, two_queues_shapes[i].bufs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r16_two_full_queues_make_progress),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
