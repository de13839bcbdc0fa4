// Workers that stay around between operations: they spin for a moment, then yield, then sleep, so that a live stream
// does not burn a core between its hops and a busy machine is not stalled by threads waiting for each other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace localvqe {

class ThreadTeam {
public:
    // The calling thread is one of the n.
    explicit ThreadTeam(int n);
    ~ThreadTeam();
    ThreadTeam(const ThreadTeam &) = delete;
    ThreadTeam & operator=(const ThreadTeam &) = delete;

    int size() const { return int(workers_.size()) + 1; }

    // Calls task(argument, thread, size()) once on every member and returns when all have finished.
    void run(void (*task)(void * argument, int thread, int n_threads), void * argument);

private:
    void work(int thread);
    bool wait_for_task(uint32_t seen);
    void stop() noexcept;

    std::vector<std::thread> workers_;
    void (*task_)(void *, int, int) = nullptr;
    void * argument_ = nullptr;
    alignas(64) std::atomic<uint32_t> epoch_{0};
    alignas(64) std::atomic<int> running_{0};
    alignas(64) std::atomic<int> sleepers_{0};
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    std::condition_variable wake_;
};

} // namespace localvqe
