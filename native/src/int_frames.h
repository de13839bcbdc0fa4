// A ring of frames like Frames, as 16-bit integers with one scale per frame: what an integer convolution reads.
#pragma once

#include "aligned.h"

#include <cstdint>
#include <vector>

namespace localvqe {

class IntFrames {
public:
    // The arguments are those of Frames.
    IntFrames(const uint64_t & clock, int bins, int channels, int batch, int history, int left, int right)
        : clock_(clock), bins_(bins), channels_(channels), left_(left), slots_(batch + history),
          stride_((size_t(left + bins + right) * size_t(channels) + 31) / 32 * 32),
          // A convolution reads integers in pairs, so it may touch one beyond the last.
          data_((stride_ * size_t(slots_) + 2) / 2 + 1), scales_(size_t(slots_), 0.0f) {}

    int bins() const { return bins_; }
    int channels() const { return channels_; }

    // First real bin of frame t, -history <= t < batch; a value is its integer times scale(t).
    int16_t * row(int t) { return integers() + slot(t) * stride_ + size_t(left_) * size_t(channels_); }
    const int16_t * row(int t) const { return const_cast<IntFrames *>(this)->row(t); }
    float & scale(int t) { return scales_[slot(t)]; }
    float scale(int t) const { return scales_[slot(t)]; }

    void clear() {
        data_.clear();
        scales_.assign(scales_.size(), 0.0f);
    }

private:
    int16_t * integers() { return reinterpret_cast<int16_t *>(data_.data()); }
    size_t slot(int t) const { return size_t((clock_ + uint64_t(slots_) + uint64_t(int64_t(t))) % uint64_t(slots_)); }

    const uint64_t & clock_;
    int bins_;
    int channels_;
    int left_;
    int slots_;
    size_t stride_;
    AlignedFloats data_; // two integers each; never read as floats
    std::vector<float> scales_;
};

} // namespace localvqe
