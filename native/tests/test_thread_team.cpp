// A team must end however it is caught: workers that are still on their way to a task when the last one is over.
#include "check.h"
#include "cpu/thread_team.h"

#include <atomic>
#include <memory>

using localvqe::ThreadTeam;

namespace {

std::atomic<int> parts_done{0};

void count(void *, int, int) { parts_done.fetch_add(1); }

} // namespace

int main() {
    // More workers than any machine here has processors, so that some are late.
    for (const int size : {1, 2, 3, 24}) {
        for (int round = 0; round < 600; ++round) {
            auto team = std::make_unique<ThreadTeam>(size);
            for (int task = 0; task <= round % 3; ++task) {
                parts_done.store(0);
                const int parts = 1 + (round + task) % 5;
                team->run(count, nullptr, parts);
                CHECK(parts_done.load() == parts, "%d workers: %d of %d parts", size, parts_done.load(), parts);
            }
            team.reset(); // returns
        }
    }
    return check::report();
}
