// Who fetches what for whom. The weights of a model and the history of its attention are read once a hop, and together
// they are larger than a core's second-level cache, so each is fetched from further away when its turn comes. The large
// convolutions have time to spare on the memory side: each is told what to fetch for the operations after it.
#pragma once

#include "kernels/prefetch.h"

#include <cstddef>
#include <vector>

namespace localvqe {

// What an operation reads once a hop, and how many lines it can fetch while it runs.
struct ReadDemand {
    MemorySpan reads;
    size_t spare_lines = 0;
};

// For each operation of a hop, in order, the spans it is to fetch: at most its spare lines, at most `reach` bytes ahead
// of itself, the last ones for the first ones of the next hop. Empty where everything stays in the cache anyway.
std::vector<std::vector<MemorySpan>> plan_read_ahead(const std::vector<ReadDemand> & ops, size_t reach);

// Half of this core's second-level cache; a guess where the system does not say.
size_t default_reach();

} // namespace localvqe
