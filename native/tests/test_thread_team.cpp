// A team must end however it is caught: workers that are still on their way to a task when the last one is over.
#include "check.h"
#include "cpu/thread_team.h"

#include <atomic>
#include <memory>

using localvqe::ThreadTeam;

namespace {

constexpr int kMostParts = 5;
std::atomic<int> times_done[kMostParts];

void count(void *, int part, int) { times_done[part].fetch_add(1); }

} // namespace

int main() {
    // More workers than any machine here has processors, so that some are late.
    for (const int size : {1, 2, 3, 24}) {
        for (int round = 0; round < 600; ++round) {
            auto team = std::make_unique<ThreadTeam>(size);
            for (int task = 0; task <= round % 3; ++task) {
                for (std::atomic<int> & times : times_done) {
                    times.store(0);
                }
                const int parts = 1 + (round + task) % kMostParts;
                team->run(count, nullptr, parts);
                for (int part = 0; part < kMostParts; ++part) {
                    const int times = times_done[part].load(), wanted = part < parts ? 1 : 0;
                    CHECK(times == wanted, "%d workers: part %d of %d %d times", size, part, parts, times);
                }
            }
            team.reset(); // returns
        }
    }
    return check::report();
}
