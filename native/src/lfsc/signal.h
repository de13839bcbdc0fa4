// Signals of several channels, and what stands before a convolution: activation, and what lies beyond the ends.
#pragma once

#include "../aligned.h"

#include <cstddef>
#include <vector>

namespace localvqe {
namespace lfsc {

// length positions of `channels` floats each.
struct Signal {
    Signal() = default;
    Signal(int of_channels, int of_length) { reshape(of_channels, of_length); }

    // To another size, in the same memory where that suffices; the values are then anything.
    void reshape(int of_channels, int of_length) {
        channels = of_channels;
        length = of_length;
        const size_t size = size_t(of_channels) * size_t(of_length);
        if (values.size() < size) {
            values = AlignedFloats(); // gone before its successor comes
            values = AlignedFloats(size);
        }
    }

    float * at(int position) { return values.data() + size_t(position) * size_t(channels); }
    const float * at(int position) const { return values.data() + size_t(position) * size_t(channels); }

    int channels = 0;
    int length = 0;
    AlignedFloats values;
};

// x, and kLeak times x below zero.
void activate(const float * in, float * out, size_t n);

// Where a convolution reads: the window of output t begins at t * stride - pad and takes every dilation-th position.
// There is no dilation where there is a stride.
struct Reach {
    int window = 1, pad = 0, dilation = 1, stride = 1;
    bool active = true; // the signal is activated before
    bool mirror = true; // beyond the ends lies the signal's mirror image without the edge; else zeros
};

// What some consecutive outputs of a convolution read, sorted by position modulo `dilation`, so that each window is
// contiguous: that of output p * dilation + f is at phase(f) + p * step().
class Windows {
public:
    void fill(const Signal & in, const Reach & reach, int first, int count);

    int phases() const { return int(starts_.size()); }
    const float * phase(int f) const { return values_.at(starts_[size_t(f)]); }
    int channels() const { return values_.channels; }
    int step() const { return step_; }

private:
    Signal values_;
    std::vector<int> starts_;
    int step_ = 0;
};

} // namespace lfsc
} // namespace localvqe
