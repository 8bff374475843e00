/* A machine from its pieces: backend, memory, program. */
#define _GNU_SOURCE
#include "machine.h"
#include "image.h"
#include "../descriptor.h"
#include "../signals.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int choose_backend(struct halo_machine *machine, enum halo_backend_choice choice)
{
    int fd;

    if (choice == HALO_BACKEND_PROCESS) {
        machine->backend = &halo__process;
        return 0;
    }
    if (choice == HALO_BACKEND_KVM) {
        machine->backend = &halo__kvm;
        return 0;
    }
    if (choice != HALO_BACKEND_AUTO)
        return halo__fail(machine->words, HALO_EINVAL, "there is no backend %d", (int)choice);
    fd = halo__fd_high(open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (fd >= 0) {
        close(fd);
        machine->backend = &halo__kvm;
        machine->is_auto = true;
        return 0;
    }
    if (errno != ENOENT)
        (void)snprintf(machine->note, sizeof(machine->note),
                       "/dev/kvm exists but cannot be opened (%s); join the group kvm, or ask for "
                       "--backend process",
                       strerror(errno));
    machine->backend = &halo__process;
    return 0;
}

static int create(struct halo_machine *machine)
{
    int error;

    halo__track_judge(machine);
    error = machine->backend->create(machine);
    if (!error)
        halo__track_open(machine);
    return error;
}

int halo__machine_create(struct halo_machine *machine)
{
    int error = create(machine);

    if (!error || !machine->is_auto)
        return error;
    (void)snprintf(machine->note, sizeof(machine->note), "no use of KVM, so a process: %.120s",
                   machine->words->text);
    (void)machine->backend->destroy(machine);
    machine->backend = &halo__process;
    halo__doorbell_write(machine);
    error = create(machine);
    if (!error)
        machine->words->text[0] = '\0';
    return error;
}

static uint64_t page_count(const struct halo_machine *machine)
{
    return machine->ram.len / HALO_PAGE;
}

/* Have the machine note these protections: whether they are others than it has; or an error. */
static int take_protections(struct halo_machine *machine, const unsigned char *prots)
{
    if (!prots && !machine->prots)
        return 0;
    if (!prots) {
        free(machine->prots);
        machine->prots = NULL;
        return 1;
    }
    if (machine->prots && memcmp(machine->prots, prots, page_count(machine)) == 0)
        return 0;
    if (!machine->prots)
        machine->prots = malloc(page_count(machine));
    if (!machine->prots)
        return halo__fail(machine->words, HALO_ENOMEM, "no memory");
    memcpy(machine->prots, prots, page_count(machine));
    return 1;
}

/* Memory as large, with nothing in it yet, and the image's protections. */
static int make_for_image(struct halo_machine *machine, const struct halo_image *image,
                          const struct halo_options *options)
{
    int error = halo__ram_make(&machine->ram, machine->words, image->len);

    machine->layout = image->layout;
    if (!error && options->reserve)
        error = halo__ram_reserve(&machine->ram);
    if (!error && take_protections(machine, image->prots) < 0)
        error = HALO_ENOMEM;
    return error ? error : halo__layout_find(machine);
}

/* How long to look: not at all where the other side could do nothing meanwhile. */
static uint32_t poll_ns(const struct halo_options *options)
{
    cpu_set_t set;

    if (!options->threaded || options->poll_ns == HALO_POLL_NEVER ||
        (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1))
        return 0;
    return options->poll_ns ? options->poll_ns : HALO_POLL_DEFAULT;
}

int halo__machine_load(struct halo_machine *machine, struct halo_words *words,
                       const struct halo_program *program, const struct halo_options *options)
{
    static const char *const no_name[] = {""};
    struct halo_guest_file file = {.memory = NULL};
    struct halo_options given = *options;
    int code;

    *machine = (struct halo_machine){.ram = {.fd = -1},
                                     .words = words,
                                     .interrupt = machine->interrupt,
                                     .is_strict = options->strict,
                                     .keeps_code = options->keep_code,
                                     .grace_ms = options->grace_ms,
                                     .stop = {.fd = -1},
                                     .poll_ns = poll_ns(options)};
    halo__track_init(&machine->track);
    halo__machine_begin_time(machine);
    code = choose_backend(machine, options->backend);
    if (!code && program->image)
        return make_for_image(machine, program->image, options);
    if (!code)
        code = halo__load_begin(machine, program, &file);
    if (machine->layout.is_linux && given.arg_count == 0) { /* as Linux has it, since 5.18 */
        given.args = no_name;
        given.arg_count = 1;
    }
    if (!code)
        code = halo__layout_begin(machine, &given);
    if (!code)
        code = halo__load(machine, &file);
    if (!code && machine->layout.is_linux)
        code = halo__runtime_load(machine);
    free(file.memory);
    if (!code)
        code = halo__layout_finish(machine, &given);
    return code;
}

const struct halo_features *halo__machine_told(struct halo_machine *machine)
{
    if (machine->backend == &halo__process)
        halo__features_of_host(&machine->told);
    return &machine->told;
}

static int note_protections(struct halo_machine *machine)
{
    struct halo_range range;
    uint64_t at = HALO_RAM_BASE;
    unsigned char *prots;

    if (machine->prots)
        return 0;
    prots = calloc(page_count(machine), 1);
    if (!prots)
        return halo__fail(machine->words, HALO_ENOMEM, "no memory");
    while (halo__layout_next(machine, &at, &range))
        memset(prots + (range.base - HALO_RAM_BASE) / HALO_PAGE, (int)range.prot,
               range.len / HALO_PAGE);
    machine->prots = prots;
    return 0;
}

int halo__machine_restart(struct halo_machine *machine, const unsigned char *prots, bool replace)
{
    const int changed = take_protections(machine, prots);
    struct halo_signals signals = {.are_blocked = false};
    int error;

    if (changed < 0)
        return changed;
    if (!replace && machine->state && machine->backend->restart(machine, changed))
        return 0;
    halo__signals_borrow(&signals);
    if (machine->backend->destroy(machine))
        error = machine->backend->create(machine);
    else
        error =
            halo__fail(machine->words, HALO_EHOST,
                       "the guest's old process does not end, and may still write to its memory: "
                       "this sandbox can only be closed");
    if (error)
        (void)machine->backend->destroy(machine);
    halo__signals_return(&signals);
    return error;
}

bool halo__machine_is_there(struct halo_machine *machine)
{
    return !machine->backend->is_there || machine->backend->is_there(machine);
}

int halo__machine_protect(struct halo_machine *machine, const struct halo_exit *exit)
{
    const bool is_paging = exit->releases || halo__paging_is_there(exit->base, 1);
    const int refusal =
        is_paging ? halo__paging_judge(exit)
                  : halo__layout_protect(&machine->layout, exit->base, exit->len, exit->prot);
    const int error = refusal || is_paging ? 0 : note_protections(machine);

    if (error)
        return error;
    if (!refusal && !is_paging)
        memset(machine->prots + (exit->base - HALO_RAM_BASE) / HALO_PAGE, (int)exit->prot,
               exit->len / HALO_PAGE);
    return machine->backend->protect(machine, exit, refusal);
}

void halo__machine_close(struct halo_machine *machine)
{
    if (machine->backend)
        (void)machine->backend->destroy(machine);
    halo__track_close(&machine->track);
    free(machine->prots);
    halo__ram_free(&machine->ram);
}
