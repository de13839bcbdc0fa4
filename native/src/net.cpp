#include "net.h"

namespace localvqe {

Past past_of(const Operation & op) {
    switch (op.verb) {
        case Verb::analysis: return {op.x, 1};
        case Verb::conv: return {op.x, op.conv.kernel_h - 1};
        case Verb::similarity: return {op.y, op.out.bins - 1};
        case Verb::softmax_lags: return {op.x, kSmoothHops - 1};
        case Verb::delayed_sum: return {op.x, op.y.bins - 1};
        case Verb::mask: return {op.y, 2};
        default: return {};
    }
}

uint64_t multiply_adds(const Operation & op) {
    const auto size = [](Value v) { return uint64_t(v.channels) * uint64_t(v.bins); };
    switch (op.verb) {
        case Verb::analysis:
        case Verb::synthesis: return uint64_t(kFft) * uint64_t(kFft);
        case Verb::conv: {
            // A shuffle makes half as many positions with twice the outputs.
            const uint64_t taps = uint64_t(op.x.channels) * uint64_t(op.conv.kernel_h) * uint64_t(op.conv.kernel_w);
            return size(op.out) * taps;
        }
        case Verb::linear: return size(op.x) * size(op.out);
        case Verb::scale: return size(op.x);
        case Verb::s4d: return 8 * uint64_t(op.x.channels); // complex: four of a h, two of B x, two of Re(C h)
        case Verb::similarity: return size(op.out) * uint64_t(op.x.bins);
        case Verb::softmax_lags: return uint64_t(kSmoothHops) * uint64_t(kSmoothLags) * size(op.x);
        case Verb::delayed_sum: return size(op.x) * uint64_t(op.y.bins);
        case Verb::mask: return 9 * (4 + 2) * uint64_t(op.out.bins);
        default: return 0;
    }
}

Value Net::add(Verb verb, const std::string & name, int channels, int bins, Value x, Value y, const ConvShape & conv) {
    const Value out{int(operations_.size()), channels, bins};
    operations_.push_back({verb, block_, name, out, x, y, conv});
    return out;
}

Value Net::input(const std::string & name, int channels, int bins) {
    return add(Verb::input, name, channels, bins, {});
}

Value Net::analysis(Value samples) { return add(Verb::analysis, "", 2, kBins, samples); }

Value Net::synthesis(Value spectrum) { return add(Verb::synthesis, "", 1, kHop, spectrum); }

Value Net::power_law(Value spectrum) { return add(Verb::power_law, "", spectrum.channels, spectrum.bins, spectrum); }

Value Net::gain(Value x, Value g) { return add(Verb::gain, "", x.channels, x.bins, x, g); }

Value Net::join(Value a, Value b) { return add(Verb::join, "", a.channels + b.channels, a.bins, a, b); }

Value Net::norm(const std::string & name, Value x) { return add(Verb::norm, name, x.channels, x.bins, x); }

Value Net::conv(const std::string & name, Value x, const ConvShape & shape, Value residual) {
    return add(Verb::conv, name, shape.channels, x.bins / shape.stride * (shape.shuffle ? 2 : 1), x, residual, shape);
}

Value Net::linear(const std::string & name, Value x, int channels, int bins, Value residual) {
    return add(Verb::linear, name, channels, bins, x, residual);
}

Value Net::scale(const std::string & name, Value x) { return add(Verb::scale, name, x.channels, x.bins, x); }

Value Net::s4d(const std::string & name, Value x) { return add(Verb::s4d, name, x.channels, 1, x); }

Value Net::similarity(Value q, Value k, int lags) { return add(Verb::similarity, "", q.channels, lags, q, k); }

Value Net::softmax_lags(const std::string & name, Value v) { return add(Verb::softmax_lags, name, 1, v.bins, v); }

Value Net::delayed_sum(Value x, Value weights) { return add(Verb::delayed_sum, "", x.channels, x.bins, x, weights); }

Value Net::mask(Value m, Value spectrum) { return add(Verb::mask, "", spectrum.channels, spectrum.bins, m, spectrum); }

Value Net::tap(const std::string & name, Value x, bool bins_first) {
    taps_.push_back({name, x, bins_first});
    return x;
}

} // namespace localvqe
