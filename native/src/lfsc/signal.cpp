#include "signal.h"

#include "contract/lfsc.h"

#include <algorithm>
#include <cstring>

namespace localvqe {
namespace lfsc {

void activate(const float * in, float * out, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        out[i] = std::max(in[i], kLeak * in[i]);
    }
}

void Windows::fill(const Signal & in, const Reach & reach, int first, int count) {
    const int dilation = reach.dilation, last = in.length - 1;
    const int length = (count - 1) * reach.stride + (reach.window - 1) * dilation + 1;
    values_.reshape(in.channels, length);
    step_ = reach.stride * in.channels;
    starts_.clear();
    int start = 0;
    for (int f = 0; f < dilation; ++f) {
        starts_.push_back(start);
        start += (length - f + dilation - 1) / dilation;
    }
    const size_t channels = size_t(in.channels);
    for (int e = 0; e < length; ++e) {
        int position = first * reach.stride - reach.pad + e;
        float * const to = values_.at(starts_[size_t(e % dilation)] + e / dilation);
        if (!reach.mirror && (position < 0 || position > last)) {
            std::memset(to, 0, channels * sizeof(float));
            continue;
        }
        position = position < 0 ? -position : position;
        position = position > last ? 2 * last - position : position;
        if (reach.active) {
            activate(in.at(position), to, channels);
        } else {
            std::memcpy(to, in.at(position), channels * sizeof(float));
        }
    }
}

} // namespace lfsc
} // namespace localvqe
