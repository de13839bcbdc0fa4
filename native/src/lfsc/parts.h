// Work along time shared over the members of a team, as a lambda.
#pragma once

#include "../cpu/thread_team.h"

#include <cstdint>

namespace localvqe {
namespace lfsc {

// body(part, first, last) for ranges of [0, count) of at most `most`; a part, less than team.size(), is with one thread
// at a time.
template <class Body> void share(ThreadTeam & team, int count, int most, const Body & body) {
    struct Task {
        const Body & body;
        int count, most;
    } task{body, count, most};
    team.run(
        [](void * argument, int part, int parts) {
            const Task & t = *static_cast<const Task *>(argument);
            const int first = int(int64_t(t.count) * part / parts), last = int(int64_t(t.count) * (part + 1) / parts);
            const int n = last - first, tiles = (n + t.most - 1) / t.most;
            for (int i = 0; i < tiles; ++i) { // even ones rather than a short one at the end
                t.body(part, first + int(int64_t(n) * i / tiles), first + int(int64_t(n) * (i + 1) / tiles));
            }
        },
        &task, team.size());
}

} // namespace lfsc
} // namespace localvqe
