// Signals of several channels, and what stands before a convolution: activation, and what lies beyond the ends.
#pragma once

#include "../aligned.h"

#include <cstddef>
#include <vector>

namespace localvqe {

class ThreadTeam;

namespace lfsc {

// length positions of `channels` floats each.
struct Signal {
    Signal() = default;
    Signal(int of_channels, int of_length)
        : channels(of_channels), length(of_length), values(size_t(of_channels) * size_t(of_length)) {}

    float * at(int position) { return values.data() + size_t(position) * size_t(channels); }
    const float * at(int position) const { return values.data() + size_t(position) * size_t(channels); }

    int channels = 0;
    int length = 0;
    AlignedFloats values;
};

// x, and kLeak times x below zero.
void activate(const float * in, float * out, size_t n);

// What a convolution with `dilation` reads: the signal with `pad` positions of its mirror image on either side,
// activated if asked, sorted by position modulo `dilation`. Position p of phase f is position f + p * dilation of the
// extended signal and stands at phase_start(f) + p.
class Extended {
public:
    Extended(const Signal & in, int pad, int dilation, bool active, ThreadTeam & team);

    const float * phase(int f) const { return values_.at(starts_[size_t(f)]); }

private:
    Signal values_;
    std::vector<int> starts_;
};

// The signal with a position of zeros on either side, activated.
Signal between_zeros(const Signal & in, ThreadTeam & team);

} // namespace lfsc
} // namespace localvqe
