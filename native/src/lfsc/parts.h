// Work shared over the members of a team, as a lambda.
#pragma once

#include "../cpu/thread_team.h"

#include <cstdint>

namespace localvqe {
namespace lfsc {

// body(first, last) for consecutive ranges that make up [0, count).
template <class Body> void share(ThreadTeam & team, int count, const Body & body) {
    struct Task {
        const Body & body;
        int count;
    } task{body, count};
    team.run(
        [](void * argument, int part, int parts) {
            const Task & t = *static_cast<const Task *>(argument);
            const int first = int(int64_t(t.count) * part / parts), last = int(int64_t(t.count) * (part + 1) / parts);
            if (first < last) {
                t.body(first, last);
            }
        },
        &task, team.size());
}

} // namespace lfsc
} // namespace localvqe
