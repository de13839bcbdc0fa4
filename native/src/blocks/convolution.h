// The one operation behind every convolution, 1x1 convolution and linear layer.
#pragma once

#include "../kernels/packing.h"
#include "builder.h"

namespace localvqe {

struct ConvShape {
    int positions;                     // output bins of one frame before a pixel shuffle
    int stride = 1;                    // along frequency
    int pad_left = 0;                  // zero bins the window starts before the frame
    Activation activation = Activation::none;
    int groups = 1;                    // 2: pixel shuffle, the second half of the channels is the upper half of the bins
    bool planar = false;               // output as [channel][bin]
};

// Puts a convolution into the graph: out = activation(conv(in)) + residual. residual may be null; otherwise it is laid out
// like out. `in` must be a window (conv_input) unless the weights are integers, which get a window of their own.
void add_conv(Builder & b, const std::string & block, const ConvWeights & weights, const ConvShape & shape, Frames & in,
              const Frames * residual, Frames & out);

// Frames as integers, for an integer convolution.
class ToIntegersOp : public Op {
public:
    ToIntegersOp(const std::string & block, const Kernels & kernels, const Frames & in, IntFrames & out)
        : Op(block), kernels_(kernels), in_(in), out_(out) {}
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override { return frames > 1; }

private:
    const Kernels & kernels_;
    const Frames & in_;
    IntFrames & out_;
};

class ConvOp : public Op {
public:
    // integers: the input of integer weights, else null.
    ConvOp(const std::string & block, const Kernels & kernels, const ConvWeights & weights, const ConvShape & shape,
           const Frames & in, const IntFrames * integers, const Frames * residual, Frames & out);
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override;
    void observe(int frames) override;
    std::vector<float> input_power(const std::string & tensor) const override;
    void forget() override;
    ReadDemand read_demand() const override;
    void fetch_ahead(std::vector<MemorySpan> spans) override;

private:
    const Kernels & kernels_;
    std::string tensor_;
    PackedConv conv_;
    ConvShape shape_;
    const Frames & in_;
    const IntFrames * integers_;
    const Frames * residual_;
    Frames & out_;
    ConvCall call_;
    std::vector<double> squares_; // per input channel, over the observed frames
    uint64_t observed_ = 0;       // values per channel
    std::vector<MemorySpan> ahead_;
    size_t ahead_lines_ = 0;
};

// Weights of `name`.{weight,bias} in (O, I, kh, kw) order, packed; scale/shift (may be empty) are applied to output
// channel o modulo their length: the affine of a norm behind a pixel shuffle.
std::unique_ptr<ConvWeights> load_conv(const struct Loader & loader, const std::string & name, int outputs, int inputs, int kh,
                                       int kw, const std::vector<float> & scale = {}, const std::vector<float> & shift = {});

} // namespace localvqe
