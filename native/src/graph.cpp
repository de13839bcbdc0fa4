#include "graph.h"

#include "error.h"

#include "ggml-cpu.h"
#include "ggml.h"

#include <chrono>
#include <cstdlib>
#include <thread>

namespace localvqe {
namespace {

constexpr size_t kMaxNodes = 512;
// Rounds of 128 Ki pauses a worker spins before it sleeps: about a millisecond, long enough to stay awake between the
// calls of a clip, short enough not to burn a core between the hops of a live stream.
constexpr uint32_t kPoll = 1;

void silent(ggml_log_level, const char *, void *) {}

// Workers meet by spinning, so more of them than processors would wait for each other's time slices: milliseconds a
// node. The variable lifts the cap for tests of the sharing itself.
int useful_threads(int wanted) {
    const int processors = int(std::thread::hardware_concurrency());
    const bool capped = processors > 0 && std::getenv("LOCALVQE_OVERSUBSCRIBE") == nullptr;
    return capped && wanted > processors ? processors : wanted;
}

} // namespace

struct Graph::Plan {
    ggml_cplan plan;
};

Graph::Graph(int threads) : threads_(useful_threads(threads)), plan_(new Plan) {
    ggml_log_set(silent, nullptr);
    const size_t bytes = 2 * kMaxNodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(kMaxNodes, false);
    context_ = ggml_init({bytes, nullptr, true});
    if (context_ == nullptr) {
        throw Error("out of memory for the graph");
    }
    graph_ = ggml_new_graph_custom(context_, kMaxNodes, false);
    ggml_threadpool_params params = ggml_threadpool_params_default(threads_);
    params.poll = kPoll;
    pool_ = ggml_threadpool_new(&params);
    if (pool_ == nullptr) {
        ggml_free(context_);
        throw Error("cannot start " + std::to_string(threads_) + " threads");
    }
}

Graph::~Graph() {
    ggml_threadpool_free(pool_);
    ggml_free(context_);
}

ggml_tensor * Graph::tensor(const Frames & frames) {
    ggml_tensor *& t = tensors_[&frames];
    if (t == nullptr) {
        Frames & storage = const_cast<Frames &>(frames);
        t = ggml_new_tensor_1d(context_, GGML_TYPE_F32, int64_t(storage.size()));
        t->data = storage.data();
    }
    return t;
}

void Graph::add(std::unique_ptr<Op> op, Frames & out, const std::vector<const Frames *> & in) {
    if (ops_.size() + 1 >= kMaxNodes / 2) {
        throw Error("the graph has too many nodes");
    }
    ggml_tensor * sources[9];
    int n = 0;
    for (const Frames * frames : in) {
        sources[n++] = tensor(*frames);
    }
    op->graph_ = this;
    ggml_tensor * node = ggml_custom_inplace(context_, tensor(out), sources, n, entry, GGML_N_TASKS_MAX, op.get());
    ggml_set_name(node, op->block().c_str());
    tensors_[&out] = node; // later readers depend on this node
    ops_.push_back(std::move(op));
    ggml_build_forward_expand(graph_, node);
}

void Graph::entry(ggml_tensor *, int thread, int n_threads, void * userdata) {
    Op & op = *static_cast<Op *>(userdata);
    const Graph & graph = *op.graph_;
    if (!graph.profiling_ || thread != 0) {
        op.run(graph.frames_, thread, n_threads);
        return;
    }
    const auto start = std::chrono::steady_clock::now();
    op.run(graph.frames_, thread, n_threads);
    op.nanoseconds_ += uint64_t(std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count());
}

void Graph::compute(int frames) {
    if (!planned_) {
        plan_->plan = ggml_graph_plan(graph_, threads_, pool_);
        work_.resize(plan_->plan.work_size);
        plan_->plan.work_data = work_.data();
        planned_ = true;
    }
    frames_ = frames;
    profiled_calls_ += profiling_ ? uint64_t(frames) : 0;
    if (ggml_graph_compute(graph_, &plan_->plan) != GGML_STATUS_SUCCESS) {
        throw Error("the graph could not be computed");
    }
}

void Graph::set_profiling(bool on) {
    profiling_ = on;
    profiled_calls_ = 0;
    for (auto & op : ops_) {
        op->nanoseconds_ = 0;
    }
}

std::vector<BlockTime> Graph::profile() const {
    std::vector<BlockTime> out;
    for (const auto & op : ops_) {
        size_t i = 0;
        while (i < out.size() && out[i].block != op->block()) {
            ++i;
        }
        if (i == out.size()) {
            out.push_back({op->block(), 0});
        }
        out[i].nanoseconds += op->nanoseconds_;
    }
    return out;
}

} // namespace localvqe
