// Storage of one activation of a stream: a ring of frames, channel-last, with zero bins left and right of each frame.
//
// A frame with padding is a persistent convolution window: the zeros are written once, history stays where it is, and
// only the position in the ring moves. Frame indices are relative to the call: 0 is the first frame of the current
// call, -1 the one before it.
#pragma once

#include "aligned.h"
#include "kernels/prefetch.h"

#include <cstdint>

namespace localvqe {

class Frames {
public:
    // clock: frames consumed before the current call; owned by the stream. batch: most frames one call processes.
    Frames(const uint64_t & clock, int bins, int channels, int batch, int history, int left = 0, int right = 0)
        : clock_(clock), bins_(bins), channels_(channels), history_(history), left_(left),
          slots_(batch + history),
          stride_((size_t(left + bins + right) * size_t(channels) + 15) / 16 * 16),
          data_(stride_ * size_t(slots_)) {}

    int bins() const { return bins_; }
    int channels() const { return channels_; }
    int history() const { return history_; }
    int left() const { return left_; }

    // First real bin of frame t, -history <= t < batch.
    float * row(int t) { return data_.data() + offset(t); }
    const float * row(int t) const { return data_.data() + offset(t); }

    void clear() { data_.clear(); }
    float * data() { return data_.data(); }
    size_t size() const { return data_.size(); }
    MemorySpan memory() const { return {reinterpret_cast<const char *>(data_.data()), data_.size() * sizeof(float)}; }

private:
    size_t offset(int t) const {
        // Without history nothing has to survive the call, so frames can stay in order.
        const size_t slot = history_ == 0 ? size_t(t) : size_t((clock_ + uint64_t(slots_) + uint64_t(int64_t(t))) % uint64_t(slots_));
        return slot * stride_ + size_t(left_) * size_t(channels_);
    }

    const uint64_t & clock_;
    int bins_;
    int channels_;
    int history_;
    int left_;
    int slots_;
    size_t stride_;
    AlignedFloats data_;
};

} // namespace localvqe
