#include "read_ahead.h"

#include "cache_size.h"

#include <algorithm>

namespace localvqe {

std::vector<std::vector<MemorySpan>> plan_read_ahead(const std::vector<ReadDemand> & ops, size_t reach) {
    const size_t n = ops.size();
    std::vector<std::vector<MemorySpan>> plan(n);
    size_t total = 0;
    for (const ReadDemand & op : ops) {
        total += op.reads.bytes;
    }
    if (total <= 2 * reach) {
        return plan;
    }
    // Three hops of it: the first starts with nothing fetched, the second is the one to keep, the third gives the
    // second something to look ahead to.
    size_t next = 1, offset = 0; // where fetching stands: bytes `offset` of operation `next`
    size_t ahead = 0;            // bytes between the running operation and there
    for (size_t i = 0; i < 2 * n; ++i) {
        if (next <= i) {
            next = i + 1;
            offset = 0;
            ahead = 0;
        }
        size_t spare = ops[i % n].spare_lines * kCacheLine;
        while (next < i + n && ahead < reach && spare >= kCacheLine) {
            const MemorySpan & span = ops[next % n].reads;
            const size_t left = span.bytes - offset;
            // Whole lines, except for a span's last one.
            const size_t most = std::min(spare, std::max(kCacheLine, (reach - ahead) / kCacheLine * kCacheLine));
            const size_t take = std::min(left, most);
            if (take > 0 && i >= n) {
                plan[i - n].push_back({span.begin + offset, take});
            }
            spare -= std::min(spare, (take + kCacheLine - 1) / kCacheLine * kCacheLine);
            ahead += take;
            offset += take;
            if (offset == span.bytes) {
                ++next;
                offset = 0;
            }
        }
        // The next operation's own reads are then no longer ahead.
        const size_t own = ops[(i + 1) % n].reads.bytes;
        const size_t fetched = next == i + 1 ? offset : own;
        ahead -= std::min(ahead, fetched);
    }
    return plan;
}

size_t default_reach() {
    const size_t bytes = second_level_cache();
    return (bytes > 0 ? bytes : 512 * 1024) / 2;
}

} // namespace localvqe
