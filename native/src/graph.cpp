#include "graph.h"

#include <chrono>
#include <cstdlib>

namespace localvqe {
namespace {

// More workers than processors would only wait for each other's time slices. The variable lifts the cap for tests of
// the sharing itself.
int useful_threads(int wanted) {
    const int processors = int(std::thread::hardware_concurrency());
    const bool capped = processors > 0 && std::getenv("LOCALVQE_OVERSUBSCRIBE") == nullptr;
    return capped && wanted > processors ? processors : wanted;
}

// More parts than threads, so that one that is slow or not there leaves the rest to the others; more parts cost more to
// share out.
constexpr int kPartsPerThread = 2;

} // namespace

Graph::Graph(int threads) : team_(useful_threads(threads)) {}

void Graph::add(std::unique_ptr<Op> op) {
    size_t block = 0;
    while (block < profile_.size() && profile_[block].block != op->block()) {
        ++block;
    }
    if (block == profile_.size()) {
        profile_.push_back({op->block(), 0});
    }
    nodes_.push_back({std::move(op), block});
}

void Graph::read_ahead() {
    std::vector<ReadDemand> demands;
    for (const Node & node : nodes_) {
        demands.push_back(node.op->read_demand());
    }
    std::vector<std::vector<MemorySpan>> plan = plan_read_ahead(demands, default_reach());
    for (size_t i = 0; i < nodes_.size(); ++i) {
        nodes_[i].op->fetch_ahead(std::move(plan[i]));
    }
}

void Graph::run(Op & op, int frames) {
    if (team_.size() == 1 || !op.shared(frames)) {
        op.run(frames, 0, 1);
        return;
    }
    struct Call {
        Op & op;
        int frames;
    } call{op, frames};
    team_.run(
        [](void * argument, int part, int parts) {
            const Call & c = *static_cast<Call *>(argument);
            c.op.run(c.frames, part, parts);
        },
        &call, team_.size() * kPartsPerThread);
}

void Graph::compute(int frames) {
    if (!profiling_) {
        for (Node & node : nodes_) {
            run(*node.op, frames);
            if (observing_) {
                node.op->observe(frames);
            }
        }
        return;
    }
    using clock = std::chrono::steady_clock;
    clock::time_point start = clock::now();
    for (Node & node : nodes_) {
        run(*node.op, frames);
        const clock::time_point end = clock::now();
        profile_[node.block].nanoseconds += uint64_t(std::chrono::nanoseconds(end - start).count());
        start = end;
    }
    profiled_frames_ += uint64_t(frames);
}

void Graph::set_observing(bool on) {
    observing_ = on;
    if (on) {
        for (Node & node : nodes_) {
            node.op->forget();
        }
    }
}

std::vector<float> Graph::input_power(const std::string & tensor) const {
    for (const Node & node : nodes_) {
        std::vector<float> power = node.op->input_power(tensor);
        if (!power.empty()) {
            return power;
        }
    }
    return {};
}

void Graph::set_profiling(bool on) {
    profiling_ = on;
    profiled_frames_ = 0;
    for (BlockTime & block : profile_) {
        block.nanoseconds = 0;
    }
}

} // namespace localvqe
