// One live stream over a shared model: all state between hops, the graph that updates it, and nothing else.
#pragma once

#include "blocks/builder.h"
#include "blocks/frontend.h"
#include "blocks/residual_echo.h"
#include "model.h"

#include <deque>
#include <memory>

namespace localvqe {

class Stream {
public:
    // threads: workers of this stream. batch: most hops one graph run processes; results do not depend on it.
    Stream(std::shared_ptr<const Model> model, int threads, int batch);
    Stream(const Stream &) = delete;
    Stream & operator=(const Stream &) = delete;

    // hops * 256 samples in and out; out lags in by one hop. NaN and infinite samples count as zero, and levels are
    // limited to +-1e6, so that no input can leave a lasting trace in the recurrent state. Throws Error, after silence and a reset, when the output is not finite.
    void process(const float * mic, const float * ref, float * out, size_t hops);
    void reset();

    const Model & model() const { return *model_; }
    Graph & graph() { return graph_; }
    // Hops by which the front-end delays the reference; 0 without one.
    int frontend_offset() const { return frontend_ ? frontend_->offset() : 0; }
    const std::deque<Tap> & taps() const { return taps_; }
    // Convolutions that run as integer products.
    int integer_layers() const { return int(integers_.size()); }
    // Copies the block output of the latest hop in (dim0, dim1) order.
    void read_tap(const Tap & tap, float * out) const;

private:
    void build();
    // From the samples that the front-end leaves, or microphone and reference, to the output.
    Frames & build_network(Builder & b, const FrontendOutput & heard);

    std::shared_ptr<const Model> model_;
    int batch_;
    uint64_t clock_ = 0; // hops before the current call
    int last_frames_ = 1;
    Graph graph_;
    std::deque<Frames> storage_;
    std::deque<IntFrames> integers_;
    std::deque<Tap> taps_;
    std::unique_ptr<FrontendState> frontend_;
    std::unique_ptr<ResidualEchoState> residual_echo_;
    AlignedFloats s4d_state_;
    AlignedFloats overlap_tail_;
    Frames * mic_samples_ = nullptr;
    Frames * ref_samples_ = nullptr;
    Frames * output_ = nullptr;
};

} // namespace localvqe
