// The one operation behind every convolution, 1x1 convolution and linear layer.
#pragma once

#include "../graph.h"
#include "../packing.h"
#include "../read_ahead.h"
#include "../ring.h"

#include <string>
#include <vector>

namespace localvqe {

// How a convolution goes over its frames: out = activation(conv(in)) + residual.
struct ConvPlan {
    int positions;    // output bins of one frame before a pixel shuffle
    int stride = 1;   // along frequency
    int pad_left = 0; // zero bins the window starts before the frame
    Activation activation = Activation::none;
    int groups = 1;      // 2: pixel shuffle, the second half of the channels is the upper half of the bins
    bool planar = false; // output as [channel][bin]
};

// Frames as integers, for an integer convolution.
class ToIntegersOp : public Op {
public:
    ToIntegersOp(const Kernels & kernels, const Frames & in, IntFrames & out) : kernels_(kernels), in_(in), out_(out) {}
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override { return frames > 1; }

private:
    const Kernels & kernels_;
    const Frames & in_;
    IntFrames & out_;
};

class ConvOp : public Op {
public:
    // in: a window, unless the weights are integers: then `integers` is, else null. residual may be null; otherwise it is
    // laid out like out.
    ConvOp(const Kernels & kernels, const ConvWeights & weights, const ConvPlan & plan, const Frames & in,
           const IntFrames * integers, const Frames * residual, Frames & out);
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override;
    int pieces() const override { return by_panel_ ? conv_.n_panels : 1; }
    void run_piece(int piece) override;

    // Calibration: adds up the frames just computed.
    void observe(int frames);
    // The mean square of each channel of what it reads; empty before the first frame.
    std::vector<float> input_power() const;
    void forget();
    const std::string & tensor() const { return tensor_; }

    // For plan_read_ahead; the spans that come of it.
    ReadDemand read_demand() const;
    void fetch_ahead(std::vector<MemorySpan> spans);

private:
    // What it reads of a frame's activations.
    size_t window_bytes() const;
    // What the part is to fetch meanwhile.
    PrefetchCursor ahead(int part, int parts) const;
    // Positions [begin, end), counted over all frames of the call, of some panels.
    void run_panels(int first, int count, int begin, int end, const PrefetchCursor & ahead);

    const Kernels & kernels_;
    std::string tensor_;
    PackedConv conv_;
    ConvPlan plan_;
    const Frames & in_;
    const IntFrames * integers_;
    const Frames * residual_;
    Frames & out_;
    // Each frame of a call wants all weights, and each stream of those that go together. Where these leave the cache
    // meanwhile, a panel of them stays there until the last one had it.
    const bool by_panel_;
    // Of what it reads of one frame. Threads then share the panels out, each with all positions, rather than the
    // positions: each reads a part of the weights and all of the activations.
    const bool mostly_weights_;
    ConvCall call_;
    std::vector<double> squares_; // per input channel, over the observed frames
    uint64_t observed_ = 0;       // values per channel
    std::vector<MemorySpan> ahead_;
    size_t ahead_lines_ = 0;
};

} // namespace localvqe
