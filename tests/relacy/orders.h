/* Memory orders by their names, as they come from the environment: ORDER_LOAD_META=acquire. */
#ifndef ORDERS_H
#define ORDERS_H

#include <cstdlib>
#include <cstring>
#include <iostream>

#include <relacy/relacy.hpp>

enum operation { LOAD, STORE, FENCE };

/* The order in the variable `name`; ends the program where C11 has no such order for `what`. */
inline rl::memory_order order_of(const char *name, operation what)
{
    static const struct {
        const char *name;
        rl::memory_order order;
        bool may[3]; /* a load, a store, a fence */
    } orders[] = {
        {"relaxed", rl::mo_relaxed, {true, true, true}},
        {"consume", rl::mo_consume, {true, false, true}},
        {"acquire", rl::mo_acquire, {true, false, true}},
        {"release", rl::mo_release, {false, true, true}},
        {"acq_rel", rl::mo_acq_rel, {false, false, true}},
        {"seq_cst", rl::mo_seq_cst, {true, true, true}},
    };
    const char *value = std::getenv(name);

    for (const auto &each : orders) {
        if (value && !std::strcmp(value, each.name) && each.may[what])
            return each.order;
    }
    std::cerr << name << ": no order for this\n";
    std::exit(2);
}

/* relacy has no relaxed fence. It is none in C11, either. */
inline void fence(rl::memory_order order)
{
    if (order != rl::mo_relaxed)
        rl::atomic_thread_fence(order, $);
}

#endif
