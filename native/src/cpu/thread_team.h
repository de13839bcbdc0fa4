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

// LOCALVQE_OVERSUBSCRIBE: share whatever it costs, for tests of the sharing itself.
bool oversubscribed();
// More workers than processors would only wait for each other's time slices.
int useful_threads(int wanted);

class ThreadTeam {
public:
    // The calling thread is one of the n.
    explicit ThreadTeam(int n);
    ~ThreadTeam();
    ThreadTeam(const ThreadTeam &) = delete;
    ThreadTeam & operator=(const ThreadTeam &) = delete;

    int size() const { return int(workers_.size()) + 1; }

    // Calls task(argument, part, parts) once for every part and returns when all are done. Members take parts as they
    // come: one that the system does not let run takes none, and nobody waits for it. The calling thread begins with the
    // first part and the others with the last, so that what two of them wrote in one task is mostly in their own caches
    // in the next.
    void run(void (*task)(void * argument, int part, int parts), void * argument, int parts);

private:
    void work();
    void wait_for_epoch(uint32_t seen); // until it is another
    bool claim(uint32_t epoch, bool from_front, int & part);
    void take_parts(uint32_t epoch, bool from_front);
    void stop() noexcept;

    std::vector<std::thread> workers_;
    void (*task_)(void *, int, int) = nullptr;
    void * argument_ = nullptr;
    int parts_ = 0;
    // Epoch (upper 32 bits), and the parts that are left: end and begin (16 each). In one word, so that nobody can take a
    // part of another task.
    alignas(64) std::atomic<uint64_t> state_{0};
    alignas(64) std::atomic<int> done_{0};
    alignas(64) std::atomic<int> sleepers_{0}; // asleep and not yet woken
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    std::condition_variable wake_;
};

} // namespace localvqe
