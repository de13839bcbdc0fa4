#include "graph.h"

#include <algorithm>

namespace localvqe {
namespace {

// More parts than threads, so that one that is slow or not there leaves the rest to the others; more parts cost more to
// share out.
constexpr int kPartsPerThread = 2;

} // namespace

Graph::Graph(Profile & profile) : profile_(profile) {}

void Graph::share(int threads, int frames) {
    const int useful = useful_threads(threads);
    const auto worth = [&](const Node & node) { return node.op->shared(frames); };
    if (useful > 1 && std::any_of(nodes_.begin(), nodes_.end(), worth)) {
        team_ = std::make_unique<ThreadTeam>(useful);
        timed_frames_ = frames;
        always_share_ = oversubscribed();
    }
}

void Graph::add(const std::string & block, std::unique_ptr<Op> op) {
    nodes_.push_back({std::move(op), profile_.block(block)});
}

void Graph::run_shared(Op & op, int frames) {
    struct Call {
        Op & op;
        int frames;
    } call{op, frames};
    team_->run(
        [](void * argument, int part, int parts) {
            const Call & c = *static_cast<Call *>(argument);
            c.op.run(c.frames, part, parts);
        },
        &call, team_->size() * kPartsPerThread);
}

void Graph::run_all(int frames, bool shared) {
    const bool profiled = profile_.on();
    Profile::Time start = profiled ? Profile::now() : Profile::Time{};
    for (Node & node : nodes_) {
        if (shared && node.op->shared(frames)) {
            run_shared(*node.op, frames);
        } else {
            node.op->run(frames, 0, 1);
        }
        if (profiled) {
            start = profile_.add(node.block, start);
        }
    }
}

void Graph::compute(int frames) {
    if (team_ == nullptr || always_share_) {
        run_all(frames, team_ != nullptr);
        return;
    }
    const Profile::Time start = Profile::now();
    run_all(frames, choice_.shared());
    if (frames == timed_frames_) {
        choice_.took(std::chrono::duration<double>(Profile::now() - start).count());
    }
}

void Graph::compute_together(Graph * const * graphs, int count) {
    const Graph & first = *graphs[0];
    ThreadTeam * const team = graphs[0]->team_.get();
    struct Call {
        Graph * const * graphs;
        size_t node;
        int piece;
        void run(int i) const { graphs[i]->nodes_[node].op->run_piece(piece); }
    } call{graphs, 0, 0};
    for (; call.node < first.nodes_.size(); ++call.node) {
        const Op & op = *first.nodes_[call.node].op;
        for (call.piece = 0; call.piece < op.pieces(); ++call.piece) {
            if (team != nullptr && op.shared(count)) {
                team->run([](void * argument, int i, int) { static_cast<const Call *>(argument)->run(i); }, &call,
                          count);
            } else {
                for (int i = 0; i < count; ++i) {
                    call.run(i);
                }
            }
        }
    }
}

void Graph::reset() {
    for (Node & node : nodes_) {
        node.op->reset();
    }
}

} // namespace localvqe
