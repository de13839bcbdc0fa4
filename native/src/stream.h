// One live stream over a shared model: all state between hops, and nothing else.
#pragma once

#include "backend.h"
#include "host/front.h"
#include "model.h"
#include "profile.h"

#include <memory>
#include <string>
#include <vector>

namespace localvqe {

// Where the output of a block can be read after a hop, for block-by-block verification.
struct Tap {
    std::string name;
    int dim0; // as in the reference: channels or bins
    int dim1; // bins, or 2 for a spectrum; 1 for a vector
};

class Stream {
public:
    // threads: workers of this stream. batch: most hops one run of the net takes; results do not depend on it.
    Stream(std::shared_ptr<const Model> model, int threads, int batch);
    Stream(const Stream &) = delete;
    Stream & operator=(const Stream &) = delete;

    // hops * 256 samples in and out; out lags in by one hop. Throws Error, after silence and a reset, when the output is not
    // finite.
    void process(const float * mic, const float * ref, float * out, size_t hops);
    // A hop of each of these streams of one model, at most kMostTogether, each of which gives what process() would: (256)
    // samples in and out. ran_away (count): where that would have thrown.
    static constexpr int kMostTogether = Program::kMostTogether;
    static void process_together(Stream * const * streams, int count, const float * const * mic,
                                 const float * const * ref, float * const * out, bool * ran_away);
    void reset();

    // Hops by which the front-end delays the reference; 0 without one.
    int frontend_offset() const { return front_.offset(); }
    const std::vector<Tap> & taps() const { return taps_; }
    // Copies tap `index` of the latest hop in (dim0, dim1) order.
    void read_tap(size_t index, float * out) const;
    // Convolutions that run as integer products.
    int integer_layers() const { return session_ ? session_->integer_layers() : 0; }
    Profile & profile() { return profile_; }
    std::vector<BlockCost> costs() const { return session_ ? session_->costs() : std::vector<BlockCost>(); }

    // Calibration; see backend.h.
    void set_observing(bool on);
    std::vector<float> input_power(const std::string & tensor) const;

private:
    // Runs what stands before the net, and gives that to it.
    void prepare(int hops, const float * mic, const float * ref);
    // Copies hop t of the latest run to `out`, (256); false where it is not finite.
    bool take(int t, float * out) const;

    std::shared_ptr<const Model> model_;
    int batch_;
    Profile profile_;
    Front front_;
    std::unique_ptr<Session> session_; // null without a network
    std::vector<Tap> taps_;            // the front's, then the net's
};

} // namespace localvqe
