// The net of a model, as the blocks describe it and the backends run it.
//
// A description is a list of operations on values that have a shape only: (channels, bins), what one hop is worth there.
// Time and history are implicit: an operation that looks back sees zeros before the first hop, and how a backend lays
// out values, keeps history or cuts up the work is its own affair. Names are those of the model's tensors; a
// convolution "dec1.deconv.conv" has "dec1.deconv.conv.weight" and ".bias".
#pragma once

#include "activation.h"
#include "config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace localvqe {

struct Value {
    int id = -1; // the operation that makes it; -1 for none
    int channels = 0;
    int bins = 0;

    explicit operator bool() const { return id >= 0; }
};

// A convolution over the present and kernel_h - 1 past hops, with (kernel_w - 1) / 2 zero bins below the first and the
// rest of the kernel's width above the last.
struct ConvShape {
    int channels = 0; // of the result
    int kernel_h = 1;
    int kernel_w = 1;
    int stride = 1; // along frequency
    Activation activation = Activation::none;
    bool shuffle =
        false; // the kernel has twice as many outputs, whose second half is the upper half of twice as many bins
    std::string affine{}; // "<affine>.scale" and "<affine>.bias" per channel, before the activation; or none
};

enum class Verb {
    input,
    analysis,
    power_law,
    gain,
    join,
    norm,
    conv,
    linear,
    scale,
    s4d,
    similarity,
    softmax_lags,
    delayed_sum,
    mask,
    synthesis
};

struct Operation {
    Verb verb;
    std::string block; // of the model, for profiles
    std::string name;  // of its tensors, without the ending; of the input
    Value out;
    Value x;
    Value y{}; // the second operand: what a join appends, a residual, a gain, keys, weights of lags, a mask's spectrum
    ConvShape conv{}; // of a conv
};

// What a block gives to be compared with the reference.
struct NetTap {
    std::string name;
    Value value;
    bool bins_first; // read as (bins, channels), not (channels, bins)
};

// The hops before the present one that an operation reads, and whose they are; of none for most.
struct Past {
    Value of;
    int hops = 0;
};
Past past_of(const Operation & op);

// Of one hop: products of weights and activations and of the attention, as localvqe_cli/complexity.py counts them.
uint64_t multiply_adds(const Operation & op);

class Net {
public:
    explicit Net(const ModelConfig & model) : config(model) {}

    const ModelConfig config;

    // What is said from here on belongs to this block.
    void block(const std::string & name) { block_ = name; }

    // Numbers from outside, every hop.
    Value input(const std::string & name, int channels, int bins);
    // Spectrum (2, 256) of a hop of samples (1, 256) and the hop before it.
    Value analysis(Value samples);
    // Samples (1, 256) from spectra: the first half of this hop's frame over the second half of the one before.
    Value synthesis(Value spectrum);
    // Each bin (2, bins) by its magnitude to the power of 1 - c, c the model's.
    Value power_law(Value spectrum);
    // x with every channel of a bin multiplied by g (1, bins).
    Value gain(Value x, Value g);
    // The channels of a, then those of b.
    Value join(Value a, Value b);
    // Mean 0 and variance 1 over all that a hop has, then a factor and an offset per channel.
    Value norm(const std::string & name, Value x);
    // activation(affine(kernel * x + bias)) + residual; a residual has the shape of the result.
    Value conv(const std::string & name, Value x, const ConvShape & shape, Value residual = {});
    // A matrix over all that a hop has, channels outermost on both sides, plus bias and residual.
    Value linear(const std::string & name, Value x, int channels, int bins, Value residual = {});
    // Every number of a hop by one of its own; `name` is the tensor.
    Value scale(const std::string & name, Value x);
    // h <- a h + B x, Re(C h), all per channel; tensors "<name>.a_real" and so on.
    Value s4d(const std::string & name, Value x);
    // (channels, lags): products of q and of k some hops ago, summed over bins, by sqrt(bins). Oldest lag first.
    Value similarity(Value q, Value k, int lags);
    // (1, lags): a kernel of kSmoothHops and kSmoothLags over all channels plus bias, then the softmax over lags.
    Value softmax_lags(const std::string & name, Value v);
    // The hops of x that the weights (1, lags) belong to, oldest first, weighted and summed.
    Value delayed_sum(Value x, Value weights);
    // A complex kernel of 3 hops and 3 bins per bin, over a spectrum; m (27, bins) holds it on the cube roots of unity.
    Value mask(Value m, Value spectrum);

    // Lets x be compared; returns it.
    Value tap(const std::string & name, Value x, bool bins_first = false);
    // What the net is for: samples (1, 256).
    void output(Value samples) { output_ = samples; }

    const std::vector<Operation> & operations() const { return operations_; } // an operand comes before its use
    const std::vector<NetTap> & taps() const { return taps_; }
    Value result() const { return output_; }

private:
    Value add(Verb verb, const std::string & name, int channels, int bins, Value x, Value y = {},
              const ConvShape & conv = {});

    std::string block_;
    std::vector<Operation> operations_;
    std::vector<NetTap> taps_;
    Value output_;
};

} // namespace localvqe
