#include "thread_team.h"

#include <chrono>

namespace localvqe {
namespace {

constexpr int kSpins = 2000; // some tens of microseconds: the gap between two operations
constexpr auto kAwake = std::chrono::microseconds(200); // the gap between two calls of a clip

inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

} // namespace

ThreadTeam::ThreadTeam(int n) {
    try {
        for (int i = 1; i < n; ++i) {
            workers_.emplace_back([this, i] { work(i); });
        }
    } catch (...) {
        stop();
        throw;
    }
}

ThreadTeam::~ThreadTeam() { stop(); }

void ThreadTeam::stop() noexcept {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stopping_.store(true);
        epoch_.fetch_add(1);
    }
    wake_.notify_all();
    for (std::thread & worker : workers_) {
        worker.join();
    }
}

void ThreadTeam::run(void (*task)(void *, int, int), void * argument) {
    if (workers_.empty()) {
        task(argument, 0, 1);
        return;
    }
    task_ = task;
    argument_ = argument;
    running_.store(int(workers_.size()), std::memory_order_relaxed);
    epoch_.fetch_add(1); // sequentially consistent, as sleepers_: either we see a sleeper or it sees the new epoch
    if (sleepers_.load() > 0) {
        const std::lock_guard<std::mutex> lock(mutex_);
        wake_.notify_all();
    }
    task(argument, 0, size());
    for (int spins = 0; running_.load(std::memory_order_acquire) != 0; ++spins) {
        if (spins < kSpins) {
            relax();
        } else {
            std::this_thread::yield();
        }
    }
}

// Returns false when the team ends.
bool ThreadTeam::wait_for_task(uint32_t seen) {
    for (int spins = 0; spins < kSpins; ++spins) {
        if (epoch_.load(std::memory_order_acquire) != seen) {
            return !stopping_.load();
        }
        relax();
    }
    const auto end = std::chrono::steady_clock::now() + kAwake;
    while (std::chrono::steady_clock::now() < end) {
        if (epoch_.load(std::memory_order_acquire) != seen) {
            return !stopping_.load();
        }
        std::this_thread::yield();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    sleepers_.fetch_add(1);
    wake_.wait(lock, [&] { return epoch_.load() != seen; });
    sleepers_.fetch_sub(1);
    return !stopping_.load();
}

void ThreadTeam::work(int thread) {
    for (uint32_t seen = 0; wait_for_task(seen); ++seen) {
        // run() waits for every member, so epochs cannot be missed.
        task_(argument_, thread, size());
        running_.fetch_sub(1, std::memory_order_release);
    }
}

} // namespace localvqe
