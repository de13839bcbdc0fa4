#include "line_conv.h"

#include "parts.h"

#include <algorithm>

namespace localvqe {
namespace lfsc {
namespace {

constexpr int kTaps = 512;      // with a panel of 64 channels 128 KiB
constexpr int kPositions = 512; // that take turns with a block of weights

} // namespace

LineConv::LineConv(const Kernels & kernels, int outputs, int window, int inputs,
                   const std::function<float(int, int, int)> & weight, const std::function<float(int)> & bias)
    : kernels_(kernels), outputs_(outputs) {
    const int taps = window * inputs;
    const int count = (taps + kTaps - 1) / kTaps;
    for (int b = 0; b < count; ++b) {
        const int first = int(int64_t(taps) * b / count), end = int(int64_t(taps) * (b + 1) / count);
        const auto part = [&](int output, int, int tap) {
            return weight(output, (first + tap) / inputs, (first + tap) % inputs);
        };
        const auto once = [&](int output) { return b == 0 ? bias(output) : 0.0f; };
        blocks_.push_back({first, std::make_unique<ConvWeights>(kernels, outputs, 1, end - first, false, part, once)});
    }
}

void LineConv::run(const float * x, int step, int count, float * out, int out_step, const float * residual,
                   ThreadTeam & team) const {
    share(team, count, [&](int first, int last) {
        for (int begin = first; begin < last; begin += kPositions) {
            const int end = std::min(last, begin + kPositions);
            const float * added = residual;
            for (const Block & block : blocks_) {
                ConvCall call;
                call.conv = &block.weights->packed();
                call.rows[0] = x + block.first;
                call.step = step;
                call.residual = added;
                call.out = out;
                call.position_step = out_step;
                call.group = outputs_;
                kernels_.conv(call, begin, end);
                added = out;
            }
        }
    });
}

} // namespace lfsc
} // namespace localvqe
