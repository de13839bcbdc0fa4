// What a backend is to the rest of the engine: it takes a net and its weights, and runs streams of it.
#pragma once

#include "profile.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace localvqe {

// What a block takes, whatever the machine. Bytes of state are of one session, with the room it computes in.
struct BlockCost {
    std::string block;
    int operations = 0;
    uint64_t multiply_adds = 0; // of a hop of one stream
    size_t weight_bytes = 0;
    size_t state_bytes = 0;
};

// The net of some streams, one as a rule: all state between their hops, and room to compute.
class Session {
public:
    virtual ~Session() = default;

    // Where input `index` (in the order of the description) of hop `hop` of the next run is to be written, (channels *
    // bins) floats; valid until the run.
    virtual float * input(size_t index, int hop, int stream) = 0;
    // 1..batch hops of every stream.
    virtual void run(int hops) = 0;
    // The result of a hop of the latest run, (256).
    virtual const float * output(int hop, int stream) const = 0;
    // Forgets everything that a stream has heard so far.
    virtual void reset(int stream) = 0;

    // Tap `index` (in the order of the description) of the first stream's latest hop, along its axes as they are to be read.
    virtual void read_tap(size_t index, float * out) const = 0;

    // By block, in the order of the description; empty where a backend does not know.
    virtual std::vector<BlockCost> costs() const { return {}; }
    // Convolutions that run as integer products.
    virtual int integer_layers() const { return 0; }
    // Statistics of what each layer reads, from the moment they are switched on. Throws Error where a backend keeps none.
    virtual void set_observing(bool on) = 0;
    // The mean square of each channel that the layer of this weight tensor has read; empty if there is none.
    virtual std::vector<float> input_power(const std::string & tensor) const = 0;
};

// A net and its weights, ready to run; read-only, for any number of streams.
class Program {
public:
    virtual ~Program() = default;

    // Sessions of one call of run_together: with more, each would have as much to do as with these.
    static constexpr int kMostTogether = 64;

    // threads: workers, where the backend has use for them. batch: most hops of one run; results do not depend on it, nor
    // on how many streams there are. Throws Error when there is no room.
    virtual std::unique_ptr<Session> open(int threads, int batch, int streams, Profile & profile) const = 0;
    // The hops of a run that take the least time each, where a call has `batch` of them.
    virtual int hops_of_a_run(int /*threads*/, int batch) const { return batch; }
    // How many streams there is room for in one session, and use; 1 where sessions of their own are as fast.
    virtual int most_streams(int batch) const = 0;
    // One hop of each of these sessions of this program, of one stream each, at most kMostTogether; as run(1) of each.
    virtual void run_together(Session * const * sessions, int count) const {
        for (int i = 0; i < count; ++i) {
            sessions[i]->run(1);
        }
    }
};

} // namespace localvqe
