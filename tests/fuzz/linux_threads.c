/*
 * Random programs of threads, each made of the table and of Linux: one thread at a time makes a
 * call (futex of every kind, robust lists, words to clear, exit, sleep, a pipe) and comes back, or
 * waits until another one's call lets it go on. Who comes back from what, with which result, and
 * what words hold then, is the same.
 *
 *     step      the first thread has one of the others make a call, in the table and in Linux
 *     table     its threads are coroutines; all that can run have run when the first one is back
 *     Linux     its threads are Linux's; each has settled: it is back, asleep in its call, or gone
 *
 * So nothing depends on who is faster. What Linux leaves open is not asked: whom of several readers
 * a pipe serves, and how those whom a requeue brings to a word stand to those who wait there
 * already, which depends on a hash.
 */
#define _GNU_SOURCE
#include "linux_threads.h"

/* --- Futexes ---------------------------------------------------------------------------------- */

static bool has_waiter(size_t offset)
{
    for (uint32_t i = 0; i < table.thread_top; i++) {
        const struct linux_thread *thread = &table.threads[i];

        if (thread->id && (thread->waits & LINUX_WAITS_FUTEX) &&
            (thread->address & ~3ull) == (uintptr_t)ours + offset)
            return true;
    }
    return false;
}

/* What is in a word; or something else. */
static void put_value(int i, uint8_t which, bool is_so)
{
    put_each(i, *word_in(ours, which) + !is_so, *word_in(theirs, which) + !is_so);
}

/* From now on, or until then, as the call has it; `kind` 0: for ever. */
static void put_until(uint8_t kind, bool is_absolute, bool is_real)
{
    const int64_t waits[] = {0, 0, SHORT_NS, LONG_S * 1000000000ll};
    int64_t our_ns = 0, other_ns;
    struct timespec at = {0};

    if (is_absolute && kind > 1) {
        (void)clock_gettime(is_real ? CLOCK_REALTIME : CLOCK_MONOTONIC, &at);
        now_here(NULL, is_real ? &other_ns : &our_ns, is_real ? &our_ns : &other_ns);
    }
    kind %= 6;
    our_ns += waits[kind % 4];
    at.tv_nsec += waits[kind % 4] % 1000000000;
    at.tv_sec += waits[kind % 4] / 1000000000 + at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    ours->until = (struct timespec){our_ns / 1000000000, our_ns % 1000000000};
    theirs->until = at;
    if (kind == 4)
        ours->until.tv_nsec = theirs->until.tv_nsec = 1000000000;
    if (kind == 5)
        put(3, NOWHERE);
    else if (kind > 0)
        put_at(3, offsetof(struct shared, until));
    asked.is_short = kind == 2;
}

static void wait_for_word(struct worker *by)
{
    const uint8_t which = pick(), how = pick(), kind = pick() % 6;
    const bool is_bitset = how & 1, is_real = is_bitset && (how & 2);

    if (!by && (kind == 0 || kind == 3)) /* the first thread has nobody to wake it */
        return;
    if (!by && table.thread_count > 1)
        return;
    begin_request("a wait for a futex", SYS_futex);
    put_at(0, word_of(which) + (how >> 5 == 7));
    put(1, (is_bitset ? FUTEX_WAIT_BITSET : FUTEX_WAIT) | (is_real ? FUTEX_CLOCK_REALTIME : 0) |
               (how & 4 ? 0 : FUTEX_PRIVATE_FLAG));
    put_value(2, which, how & 0x18);
    put_until(kind, is_bitset, is_real);
    put(5, how >> 5 ? how >> 5 : UINT32_MAX);
    if (how >> 5 == 6)
        put(5, 0);
    make(by);
}

/* Numbers of threads: none, some, and less than none. */
static uint64_t count_of(uint8_t how)
{
    return how % 6 == 5 ? UINT64_MAX : how % 6;
}

static void wake_word(struct worker *by)
{
    const uint8_t which = pick(), how = pick();

    begin_request("a wake of a futex", SYS_futex);
    put_at(0, word_of(which) + (how % 16 == 15));
    if (how % 16 == 14)
        put(0, how & 16 ? NOWHERE : 1ull << 63);
    put(1, (how & 1 ? FUTEX_WAKE_BITSET : FUTEX_WAKE) | (how & 128 ? 0 : FUTEX_PRIVATE_FLAG));
    put(2, count_of(how >> 1));
    put(5, how >> 4 & 7);
    make(by);
}

static void move_waiters(struct worker *by)
{
    const uint8_t from = pick(), to = pick(), how = pick(), counts = pick();
    const bool is_compared = how & 1;

    if (word_of(from) != word_of(to) && has_waiter(word_of(to)))
        return;
    begin_request("a requeue", SYS_futex);
    put_at(0, word_of(from));
    put(1, (is_compared ? FUTEX_CMP_REQUEUE : FUTEX_REQUEUE) | (how & 2 ? 0 : FUTEX_PRIVATE_FLAG));
    put(2, count_of(counts));
    put(3, count_of(counts / 6));
    put_at(4, word_of(to) + (how >> 5 == 7));
    if (how >> 5 == 6)
        put(4, NOWHERE);
    put_value(5, from, how >> 2 & 3);
    make(by);
}

static void change_word(struct worker *by)
{
    const uint8_t which = pick(), other = pick() % WORDS, how = pick(), more = pick();
    const uint32_t op = how % 6, compare_by = how / 6 % 7, is_shift = how >> 7;
    const uint32_t with = is_shift ? more % 32u : (more - 100u) & 0xfff;

    begin_request("a change and a wake", SYS_futex);
    put_at(0, word_of(which));
    put(1, FUTEX_WAKE_OP | (more & 1 ? 0 : FUTEX_PRIVATE_FLAG));
    put(2, count_of(more));
    put(3, count_of(more / 6));
    put_at(4, word_of(other));
    put(5, is_shift << 31 | op << 28 | compare_by << 24 | with << 12 | more / 2 % 8);
    make(by);
}

static void odd_futex(struct worker *by)
{
    static const uint32_t ops[] = {14,
                                   15,
                                   64,
                                   127,
                                   0x200,
                                   0x8000,
                                   2,
                                   FUTEX_WAKE | FUTEX_CLOCK_REALTIME,
                                   FUTEX_REQUEUE | FUTEX_CLOCK_REALTIME};

    begin_request("a futex call that there is not", SYS_futex);
    put_at(0, word_of(0) + pick() % 2);
    put(1, ops[pick() % (sizeof(ops) / sizeof(ops[0]))]);
    put_at(4, word_of(1));
    make(by);
}

/* --- What a thread leaves --------------------------------------------------------------------- */

/* Locks that it holds, or somebody else. */
static void set_owner(uint8_t lock, const struct worker *of, uint32_t flags)
{
    ours->locks[lock].word = (of ? of->our_id : 0) | flags;
    theirs->locks[lock].word = (of ? (uint32_t)of->their_id : 0) | flags;
}

static void point(uint64_t *from, uint64_t *other, size_t offset, uint64_t flags)
{
    *from = ((uintptr_t)ours + offset) | flags;
    *other = ((uintptr_t)theirs + offset) | flags;
}

static void make_list(struct worker *by)
{
    const int own = (int)(by - workers);
    struct robust_list_head *a = &ours->heads[own], *b = &theirs->heads[own];
    uint64_t *next_a = (uint64_t *)(void *)&a->list.next,
             *next_b = (uint64_t *)(void *)&b->list.next;
    const size_t head = offsetof(struct shared, heads) + sizeof(*a) * (size_t)own;
    const uint8_t count = pick() % 5, how = pick();

    for (int i = 0; i < count; i++) {
        const uint8_t more = pick(), lock = more % LOCKS;

        if (more & 4)
            set_owner(lock, more & 8 ? by : NULL, (uint32_t)more >> 6 << 30);
        point(next_a, next_b, offsetof(struct shared, locks) + sizeof(struct lock) * lock,
              (more & 0x30) == 0x30);
        next_a = &ours->locks[lock].next;
        next_b = &theirs->locks[lock].next;
    }
    point(next_a, next_b, head, 0);
    if (how % 8 == 7)
        *next_a = *next_b = NOWHERE;
    a->futex_offset = b->futex_offset =
        (long)offsetof(struct lock, word) + (how / 8 % 8 == 7) + (how / 8 % 8 == 6 ? 1l << 62 : 0);
    a->list_op_pending = b->list_op_pending = NULL;
    if (how >> 6) {
        const uint8_t lock = pick() % LOCKS;

        point((uint64_t *)(void *)&a->list_op_pending, (uint64_t *)(void *)&b->list_op_pending,
              offsetof(struct shared, locks) + sizeof(struct lock) * lock, how >> 6 == 3);
        set_owner(lock, how & 1 ? by : NULL, how & 2 ? FUTEX_WAITERS : 0);
    }
    begin_request("set_robust_list", SYS_set_robust_list);
    put_at(0, head);
    put(1, sizeof(*a) - (how == 99));
    make(by);
    begin_request("get_robust_list", SYS_get_robust_list);
    put_at(1, offsetof(struct shared, spare));
    put_at(2, offsetof(struct shared, spare) + 8);
    make(by);
    same("a list", ours->spare[0] ? (int64_t)(ours->spare[0] - (uintptr_t)ours) : 0,
         theirs->spare[0] ? (int64_t)(theirs->spare[0] - (uintptr_t)theirs) : 0);
    same("the length of a list", (int64_t)ours->spare[1], (int64_t)theirs->spare[1]);
}

static void set_cleared(struct worker *by)
{
    const uint8_t which = pick();

    begin_request("set_tid_address", SYS_set_tid_address);
    put_at(0, word_of(which));
    if (which == 254)
        put_at(0, word_of(0) + 1);
    else if (which == 255)
        put(0, NOWHERE);
    make(by);
}

static void store(void)
{
    const uint8_t which = pick(), how = pick();

    if (which % (WORDS + LOCKS) < WORDS)
        *word_in(ours, which) = *word_in(theirs, which) = how % 4;
    else
        set_owner(which % (WORDS + LOCKS) - WORDS, idle_worker(how), (uint32_t)how >> 6 << 30);
}

/* --- Pipes and time --------------------------------------------------------------------------- */

static bool has_reader(void)
{
    for (int i = 0; i < WORKERS; i++) {
        if (workers[i].is_there && workers[i].is_asked &&
            (workers[i].request.number == SYS_read || workers[i].request.number == SYS_poll))
            return true;
    }
    return false;
}

static void put_end(int i, int end)
{
    put_each(i, (uint64_t)ours->ends[end], (uint64_t)theirs->ends[end]);
}

static void use_pipe(struct worker *by)
{
    const uint8_t what = pick() % 4, len = pick() % 16;
    const size_t room =
        offsetof(struct shared, bytes) + 16u * (size_t)(by ? by - workers : WORKERS);

    if (what != 1 && (!by || has_reader()))
        return;
    switch (what) {
    case 0:
        begin_request("a read of a pipe", SYS_read);
        break;
    case 1:
        begin_request("a write to a pipe", SYS_write);
        break;
    case 2:
        begin_request("a poll of a pipe", SYS_poll);
        ours->polled = (struct pollfd){ours->ends[0], POLLIN, 0};
        theirs->polled = (struct pollfd){theirs->ends[0], POLLIN, 0};
        put_at(0, offsetof(struct shared, polled));
        put(1, 1);
        put(2, len % 3 ? (uint64_t)-1 : len / 3 % 2);
        asked.is_short = len % 3 == 0;
        make(by);
        return;
    default:
        if (len > 1)
            return;
        begin_request("close of a pipe's end", SYS_close);
        put_end(0, len);
        make(by);
        ours->ends[len] = theirs->ends[len] = NO_FILE; /* Linux may give it to somebody else */
        return;
    }
    for (uint8_t i = 0; what == 1 && i < 16; i++)
        ((char *)ours)[room + i] = ((char *)theirs)[room + i] = (char)(len * 16 + i);
    put_end(0, what);
    put_at(1, room);
    put(2, len);
    make(by);
}

static void sleep_a_little(struct worker *by)
{
    if (!by && table.thread_count > 1)
        return;
    begin_request("a sleep", SYS_nanosleep);
    put_until(2, false, false);
    put_each(0, asked.ours[3], asked.theirs[3]);
    put(3, 0);
    make(by);
}

/* --- Programs --------------------------------------------------------------------------------- */

static void one_step(void)
{
    const uint8_t what = pick() % 16;
    struct worker *by = idle_worker(pick());

    switch (what) {
    case 0:
    case 1:
        begin_thread(pick());
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        wait_for_word(by);
        break;
    case 6:
    case 7:
        wake_word(by);
        break;
    case 8:
        move_waiters(by);
        break;
    case 9:
        change_word(by);
        break;
    case 10:
        store();
        break;
    case 11:
        if (by)
            make_list(by);
        break;
    case 12:
        if (by)
            set_cleared(by);
        break;
    case 13:
        if (by)
            end_thread(by, pick());
        break;
    case 14:
        use_pipe(by);
        break;
    default:
        if (pick() % 2)
            odd_futex(by);
        else
            sleep_a_little(by);
    }
}

static void begin_program(void)
{
    static struct linux_host threaded;
    const struct {
        uint64_t handler, flags, restorer, mask;
    } ignored = {.handler = 1};

    begin();
    threaded = host;
    threaded.spawn = spawn;
    threaded.change = change;
    threaded.now = now_here;
    threaded.sleep = sleep_here;
    table.host = &threaded;
    elapsed = id_count = 0;
    coroutine_count = 1;
    table.threads[0].place = &coroutines[0];
    ours = (struct shared *)(uintptr_t)table.ranges[0].base;
    memset(ours, 0, sizeof(*ours));
    memset(theirs, 0, sizeof(*theirs));
    (void)signal(SIGPIPE, SIG_IGN);
    memcpy(ours, &ignored, sizeof(ignored));
    same("rt_sigaction", call(SYS_rt_sigaction, SIGPIPE, (uintptr_t)ours, 0, 8), 0);
    memset(ours, 0, sizeof(ignored));
    same("pipe2", call(SYS_pipe2, (uintptr_t)ours + offsetof(struct shared, ends), O_CLOEXEC, 0, 0),
         pipe2(theirs->ends, O_CLOEXEC));
}

/* Who waits for a word is woken, who waits for a pipe has its end, and all of them end. */
static void end_program(void)
{
    for (uint8_t i = 0; i < 2 * (WORDS + LOCKS); i++) {
        begin_request("the last wake", SYS_futex);
        put_at(0, word_of(i / 2));
        put(1, FUTEX_WAKE | (i % 2 ? FUTEX_PRIVATE_FLAG : 0));
        put(2, INT32_MAX);
        make(NULL);
    }
    begin_request("the last close", SYS_close);
    put_end(0, 1);
    make(NULL);
    for (int i = 0; i < WORKERS; i++) {
        if (workers[i].is_there)
            end_thread(&workers[i], 0);
    }
    if (theirs->ends[0] != NO_FILE)
        (void)close(theirs->ends[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    at = data;
    left = len;
    begin_program();
    for (uint8_t i = pick() % (WORKERS + 1); i > 0; i--)
        begin_thread(pick());
    while (left > 0)
        one_step();
    end_program();
    return 0;
}
