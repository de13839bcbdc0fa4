// Storage of one activation of a stream: a ring of frames, channel-last, with zero bins left and right of each frame.
//
// A frame with padding is a persistent convolution window: the zeros are written once, history stays where it is, and
// only the position in the ring moves. Frame indices are relative to the call: 0 is the first frame of the current
// call, -1 the one before it.
#pragma once

#include "../aligned.h"
#include "kernels/prefetch.h"

#include <cstdint>
#include <vector>

namespace localvqe {

template <class T> class Ring {
public:
    // clock: frames consumed before the current call; owned by the session. batch: most frames one call processes.
    Ring(const uint64_t & clock, int bins, int channels, int batch, int history, int left = 0, int right = 0)
        : clock_(clock), bins_(bins), channels_(channels), history_(history), slots_(batch + history),
          origin_(size_t(left) * size_t(channels)),
          stride_((size_t(left + bins + right) * size_t(channels) + kLine - 1) / kLine * kLine),
          // An integer convolution reads its values in pairs, so it may touch one beyond the last.
          data_((stride_ * size_t(slots_) + kLine) * sizeof(T) / sizeof(float)) {}

    int bins() const { return bins_; }
    int channels() const { return channels_; }
    int history() const { return history_; }

    // First real bin of frame t, -history <= t < batch.
    T * row(int t) { return values() + slot(t) * stride_ + origin_; }
    const T * row(int t) const { return const_cast<Ring *>(this)->row(t); }

    void clear() { data_.clear(); }
    MemorySpan memory() const {
        return {reinterpret_cast<const char *>(data_.data()), stride_ * size_t(slots_) * sizeof(T)};
    }

protected:
    int slots() const { return slots_; }
    size_t slot(int t) const {
        // Without history nothing has to survive the call, so frames can stay in order.
        return history_ == 0 ? size_t(t)
                             : size_t((clock_ + uint64_t(slots_) + uint64_t(int64_t(t))) % uint64_t(slots_));
    }

private:
    static constexpr size_t kLine = kCacheLine / sizeof(T);

    T * values() { return reinterpret_cast<T *>(data_.data()); }

    const uint64_t & clock_;
    int bins_;
    int channels_;
    int history_;
    int slots_;
    size_t origin_; // of the first real bin in a frame
    size_t stride_;
    AlignedFloats data_; // its bytes hold values of type T and are never read as another
};

using Frames = Ring<float>;

// Frames as 16-bit integers with one scale each: what an integer convolution reads.
class IntFrames : public Ring<int16_t> {
public:
    IntFrames(const uint64_t & clock, int bins, int channels, int batch, int history, int left, int right)
        : Ring(clock, bins, channels, batch, history, left, right), scales_(size_t(slots()), 0.0f) {}

    // A value of frame t is its integer times this.
    float & scale(int t) { return scales_[slot(t)]; }
    float scale(int t) const { return scales_[slot(t)]; }

    void clear() {
        Ring::clear();
        scales_.assign(scales_.size(), 0.0f);
    }

private:
    std::vector<float> scales_;
};

} // namespace localvqe
