// The graph of one stream: its operations in the order they run, each shared over a team of threads.
//
// Running the list ourselves instead of through ggml_graph_compute keeps the hop free of that function's allocations
// and of its process-wide lock, and lets workers sleep; docs/reference/performance.md has the measurements.
#pragma once

#include "read_ahead.h"
#include "thread_team.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace localvqe {

// One operation over the frames of a call. Results may not depend on n_threads.
class Op {
public:
    explicit Op(std::string block) : block_(std::move(block)) {}
    virtual ~Op() = default;
    // Part `thread` of `n_threads`, run by whichever thread of the team takes it; all are done before the next operation.
    virtual void run(int frames, int thread, int n_threads) = 0;
    // False: too little to share, the calling thread does it alone.
    virtual bool shared(int frames) const = 0;
    // Adds the frames just computed to the statistics of a calibration run; most operations keep none.
    virtual void observe(int) {}
    // The mean square of each channel of what it reads, if it is the layer of this weight tensor; else empty.
    virtual std::vector<float> input_power(const std::string &) const { return {}; }
    virtual void forget() {}
    // For plan_read_ahead; the spans that come of it.
    virtual ReadDemand read_demand() const { return {}; }
    virtual void fetch_ahead(std::vector<MemorySpan>) {}
    // The block of the model this belongs to, for profiles.
    const std::string & block() const { return block_; }

private:
    std::string block_;
};

struct BlockTime {
    std::string block;
    uint64_t nanoseconds;
};

class Graph {
public:
    explicit Graph(int threads);
    Graph(const Graph &) = delete;
    Graph & operator=(const Graph &) = delete;

    void add(std::unique_ptr<Op> op);
    // Once all operations are there: lets each fetch for those behind it. For one frame a call; more frames share a reading.
    void read_ahead();

    // Runs every operation over `frames` frames, in order. Allocates nothing and takes no lock.
    void compute(int frames);

    int threads() const { return team_.size(); }
    void set_profiling(bool on);
    // Statistics of what each layer reads, from the moment they are switched on.
    void set_observing(bool on);
    std::vector<float> input_power(const std::string & tensor) const;
    uint64_t profiled_frames() const { return profiled_frames_; }
    const std::vector<BlockTime> & profile() const { return profile_; } // per block, in order of first use

private:
    struct Node {
        std::unique_ptr<Op> op;
        size_t block; // into profile_
    };

    void run(Op & op, int frames);

    ThreadTeam team_;
    bool profiling_ = false;
    bool observing_ = false;
    uint64_t profiled_frames_ = 0;
    std::vector<Node> nodes_;
    std::vector<BlockTime> profile_;
};

} // namespace localvqe
