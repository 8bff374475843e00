/* Scenarios, and the schedules of each that are run: STORY and DEEP in the environment. */
#ifndef SEARCH_H
#define SEARCH_H

#include <cstdlib>
#include <cstring>
#include <iostream>

#include <relacy/relacy.hpp>

struct silence : std::streambuf {
    int overflow(int c)
    {
        return c;
    }
};

/* As rl::simulate, but with one scheduler: the other two would be compiled for each scenario. */
template <class test, class scheduler>
bool simulate(const char *name, unsigned bound, unsigned long count)
{
    silence nothing;
    std::ostream out(&nothing);
    rl::test_params params;
    const bool deep = std::getenv("DEEP"), story = std::getenv("STORY");

    params.iteration_count = deep ? 30 * count : count;
    params.output_stream = &out;
    params.progress_stream = &out;
    params.context_bound = deep ? bound + 1 : bound;
    params.execution_depth_limit = 5000;
    params.search_type = count   ? rl::random_scheduler_type
                         : bound ? rl::fair_context_bound_scheduler_type
                                 : rl::fair_full_search_scheduler_type;
    rl::ostringstream state;
    bool good = rl::run_test<test, scheduler>(params, state, false) == rl::test_result_success;

    if (!good && story) {
        params.initial_state = params.final_state = state.str();
        params.collect_history = true;
        params.output_stream = &std::cout;
        rl::run_test<test, scheduler>(params, state, true);
    }
    if (good)
        std::cout << name << ": " << params.stop_iteration << " executions" << std::endl;
    else
        std::cout << name << ": " << rl::test_result_str(params.test_result) << " in execution "
                  << params.stop_iteration << std::endl;
    return good;
}

/* Every schedule; those with so many changes of threads; so many at random. */
template <class test> bool all(const char *name, unsigned long)
{
    return simulate<test, rl::full_search_scheduler<test::params::thread_count>>(name, 0, 0);
}

template <class test> bool bounded(const char *name, unsigned long bound)
{
    return simulate<test, rl::context_bound_scheduler<test::params::thread_count>>(
        name, (unsigned)bound, 0);
}

template <class test> bool sampled(const char *name, unsigned long count)
{
    return simulate<test, rl::random_scheduler<test::params::thread_count>>(name, 0, count);
}

struct entry {
    const char *name;
    bool (*search)(const char *name, unsigned long limit);
    unsigned long limit;
};

/* The scenario of that name, or, of `--list`, all their names: what the program ends with. */
template <size_t count> int perform(const entry (&entries)[count], const char *name)
{
    for (const entry &each : entries) {
        if (!std::strcmp(name, "--list"))
            std::cout << each.name << "\n";
        else if (!std::strcmp(name, each.name))
            return each.search(name, each.limit) ? 0 : 1;
    }
    return std::strcmp(name, "--list") ? 2 : 0;
}

#endif
