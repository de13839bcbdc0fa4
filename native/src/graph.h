// The graph of one stream: a short list of fused operations that ggml schedules over its thread pool.
//
// Each operation is a ggml custom node that works in place on the storage of a Frames object, so building the graph
// allocates descriptors only and computing it allocates nothing.
#pragma once

#include "frames.h"

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

struct ggml_cgraph;
struct ggml_context;
struct ggml_tensor;
struct ggml_threadpool;

namespace localvqe {

// One operation over the frames of a call. run() is entered by every thread of the pool; threads meet between
// operations. Results may not depend on n_threads.
class Op {
public:
    explicit Op(std::string block) : block_(std::move(block)) {}
    virtual ~Op() = default;
    virtual void run(int frames, int thread, int n_threads) = 0;
    const std::string & block() const { return block_; }

private:
    friend class Graph;
    std::string block_;
    uint64_t nanoseconds_ = 0;
    class Graph * graph_ = nullptr;
};

struct BlockTime {
    std::string block;
    uint64_t nanoseconds;
};

class Graph {
public:
    explicit Graph(int threads);
    ~Graph();
    Graph(const Graph &) = delete;
    Graph & operator=(const Graph &) = delete;

    // Appends an operation that writes `out` and reads `in` (at most 8).
    void add(std::unique_ptr<Op> op, Frames & out, const std::vector<const Frames *> & in);

    // Runs every operation over `frames` frames. Allocation-free after the first call.
    void compute(int frames);

    int threads() const { return threads_; }
    void set_profiling(bool on);
    uint64_t profiled_calls() const { return profiled_calls_; }
    std::vector<BlockTime> profile() const; // per block, in graph order

private:
    static void entry(ggml_tensor * dst, int thread, int n_threads, void * op);
    ggml_tensor * tensor(const Frames & frames);

    int threads_;
    int frames_ = 0;
    bool profiling_ = false;
    uint64_t profiled_calls_ = 0;
    ggml_context * context_ = nullptr;
    ggml_cgraph * graph_ = nullptr;
    ggml_threadpool * pool_ = nullptr;
    std::vector<std::unique_ptr<Op>> ops_;
    std::unordered_map<const Frames *, ggml_tensor *> tensors_;
    std::vector<uint8_t> work_;
    bool planned_ = false;
    struct Plan;
    std::unique_ptr<Plan> plan_;
};

} // namespace localvqe
