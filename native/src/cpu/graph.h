// The graph of one stream: its operations in the order they run, the large ones shared over a team of threads.
//
// Running the list ourselves instead of through ggml_graph_compute keeps the hop free of that function's allocations
// and of its process-wide lock, and lets workers sleep; docs/reference/performance.md has the measurements.
#pragma once

#include "../profile.h"
#include "sharing_choice.h"
#include "thread_team.h"

#include <memory>
#include <string>
#include <vector>

namespace localvqe {

// One operation over the frames of a call. Results may not depend on n_threads.
class Op {
public:
    virtual ~Op() = default;
    // Part `thread` of `n_threads`, run by whichever thread of the team takes it; all are done before the next operation.
    virtual void run(int frames, int thread, int n_threads) = 0;
    // False: too little to share, the calling thread does it alone.
    virtual bool shared(int frames) const = 0;
    // Weights that leave the cache before they are wanted again come in pieces: each serves all there is to do before the
    // next. run_piece is a part of run(1, 0, 1), and all of them together are the whole.
    virtual int pieces() const { return 1; }
    virtual void run_piece(int) { run(1, 0, 1); }
    // Forgets what it has heard; the rings it writes are not its own.
    virtual void reset() {}
};

class Graph {
public:
    explicit Graph(Profile & profile);
    Graph(const Graph &) = delete;
    Graph & operator=(const Graph &) = delete;

    // block: of the model, for profiles.
    void add(const std::string & block, std::unique_ptr<Op> op);

    // Lets so many threads share what is worth it in calls of up to `frames` frames; where nothing is, none is started.
    // Calls of so many are timed, and while they take longer shared than alone, they run alone.
    void share(int threads, int frames);

    // Runs every operation over `frames` frames, in order. Allocates nothing and takes no lock.
    void compute(int frames);
    // One frame of each of these graphs of one net: every operation, or piece of its weights, for all before the next. The
    // first one's threads share the graphs out.
    static void compute_together(Graph * const * graphs, int count);
    void reset();

private:
    struct Node {
        std::unique_ptr<Op> op;
        size_t block; // of the profile
    };

    void run_all(int frames, bool shared);
    void run_shared(Op & op, int frames);

    std::unique_ptr<ThreadTeam> team_; // null: the calling thread alone
    SharingChoice choice_;
    int timed_frames_ = 0;     // calls of so many decide the choice
    bool always_share_ = true; // whatever it costs
    Profile & profile_;
    std::vector<Node> nodes_;
};

} // namespace localvqe
