#include "thread_team.h"

#include <cstdlib>
#include <chrono>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace localvqe {
namespace {

constexpr int kSpins = 2000;                            // some tens of microseconds: the gap between two operations
constexpr auto kAwake = std::chrono::microseconds(200); // the gap between two calls of a clip

uint32_t epoch_of(uint64_t state) { return uint32_t(state >> 32); }

inline void relax() {
#if defined(_MSC_VER) && !defined(__clang__) && defined(_M_X64)
    _mm_pause();
#elif defined(_MSC_VER) && !defined(__clang__) && defined(_M_ARM64)
    __yield();
#elif defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

} // namespace

bool oversubscribed() { return std::getenv("LOCALVQE_OVERSUBSCRIBE") != nullptr; }

int useful_threads(int wanted) {
    const int processors = int(std::thread::hardware_concurrency());
    const bool capped = processors > 0 && !oversubscribed();
    return capped && wanted > processors ? processors : wanted;
}

ThreadTeam::ThreadTeam(int n) {
    try {
        for (int i = 1; i < n; ++i) {
            workers_.emplace_back([this] { work(); });
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
        state_.fetch_add(uint64_t(1) << 32);
    }
    wake_.notify_all();
    for (std::thread & worker : workers_) {
        worker.join();
    }
}

void ThreadTeam::run(void (*task)(void *, int, int), void * argument, int parts) {
    if (workers_.empty()) {
        for (int part = 0; part < parts; ++part) {
            task(argument, part, parts);
        }
        return;
    }
    task_ = task;
    argument_ = argument;
    parts_ = parts;
    done_.store(0, std::memory_order_relaxed);
    const uint32_t epoch = epoch_of(state_.load(std::memory_order_relaxed)) + 1;
    // Sequentially consistent, as sleepers_: either we see a sleeper or it sees the new epoch.
    state_.store(uint64_t(epoch) << 32 | uint64_t(parts) << 16);
    if (sleepers_.load() > 0) {
        const std::lock_guard<std::mutex> lock(mutex_);
        sleepers_.store(0);
        wake_.notify_all();
    }
    take_parts(epoch, true);
    for (int spins = 0; done_.load(std::memory_order_acquire) != parts; ++spins) {
        if (spins < kSpins) {
            relax();
        } else {
            std::this_thread::yield();
        }
    }
}

bool ThreadTeam::claim(uint32_t epoch, bool from_front, int & part) {
    uint64_t state = state_.load(std::memory_order_acquire), next = 0;
    do {
        const int begin = int(state & 0xffff), end = int(state >> 16 & 0xffff);
        if (epoch_of(state) != epoch || begin >= end) {
            return false;
        }
        part = from_front ? begin : end - 1;
        next = from_front ? state + 1 : state - (1 << 16);
    } while (!state_.compare_exchange_weak(state, next, std::memory_order_acq_rel, std::memory_order_acquire));
    return true;
}

void ThreadTeam::take_parts(uint32_t epoch, bool from_front) {
    int part = 0;
    while (claim(epoch, from_front, part)) {
        // run() cannot return, nor start another task, before this part is done.
        task_(argument_, part, parts_);
        done_.fetch_add(1, std::memory_order_release);
    }
}

void ThreadTeam::wait_for_epoch(uint32_t seen) {
    const auto changed = [&] { return epoch_of(state_.load(std::memory_order_acquire)) != seen; };
    for (int spins = 0; spins < kSpins; ++spins) {
        if (changed()) {
            return;
        }
        relax();
    }
    const auto end = std::chrono::steady_clock::now() + kAwake;
    while (std::chrono::steady_clock::now() < end) {
        if (changed()) {
            return;
        }
        std::this_thread::yield();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    while (epoch_of(state_.load()) == seen) {
        sleepers_.fetch_add(1);
        if (epoch_of(state_.load()) != seen) { // run() may have looked for sleepers just before
            break;
        }
        wake_.wait(lock);
    }
}

void ThreadTeam::work() {
    uint32_t seen = 0;
    for (;;) {
        wait_for_epoch(seen);
        seen = epoch_of(state_.load(std::memory_order_acquire));
        // After the epoch, never before: who has seen that of stop() would wait for another in vain.
        if (stopping_.load()) {
            return;
        }
        take_parts(seen, false);
    }
}

} // namespace localvqe
