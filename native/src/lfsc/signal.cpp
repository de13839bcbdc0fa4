#include "signal.h"

#include "contract/lfsc.h"
#include "parts.h"

#include <algorithm>
#include <cstring>

namespace localvqe {
namespace lfsc {

void activate(const float * in, float * out, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        out[i] = std::max(in[i], kLeak * in[i]);
    }
}

Extended::Extended(const Signal & in, int pad, int dilation, bool active, ThreadTeam & team)
    : values_(in.channels, in.length + 2 * pad) {
    int start = 0;
    for (int f = 0; f < dilation; ++f) {
        starts_.push_back(start);
        start += (values_.length - f + dilation - 1) / dilation;
    }
    const int last = in.length - 1;
    share(team, values_.length, [&](int first, int end) {
        for (int e = first; e < end; ++e) {
            int position = e - pad;
            position = position < 0 ? -position : position;
            position = position > last ? 2 * last - position : position;
            float * const to = values_.at(starts_[size_t(e % dilation)] + e / dilation);
            if (active) {
                activate(in.at(position), to, size_t(in.channels));
            } else {
                std::memcpy(to, in.at(position), size_t(in.channels) * sizeof(float));
            }
        }
    });
}

Signal between_zeros(const Signal & in, ThreadTeam & team) {
    Signal out(in.channels, in.length + 2);
    share(team, in.length, [&](int first, int end) {
        activate(in.at(first), out.at(first + 1), size_t(end - first) * size_t(in.channels));
    });
    return out;
}

} // namespace lfsc
} // namespace localvqe
