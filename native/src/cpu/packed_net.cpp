#include "packed_net.h"

#include "../error.h"
#include "../weights.h"
#include "read_ahead.h"
#include "session.h"
#include "thread_team.h"

#include <algorithm>

namespace localvqe {
namespace {

int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

} // namespace

PackedNet::PackedNet(const Net & net, const Loader & loader, const Kernels & kernels, Precision precision)
    : net_(net), kernels_(kernels), widths_(net.operations().size()), weights_(net.operations().size()) {
    find_widths();
    std::vector<float> encoder, decoder;
    std::shared_ptr<const ConvWeights> dense_analysis; // read once a hop for both ends
    if (leaves_out_bases(loader.file)) {
        transform_ = standard_transform(net_.config.version);
    } else {
        encoder = loader.read(kEncoderBasis);
        decoder = loader.read(kDecoderBasis);
        transform_ = find_transform(encoder, decoder);
    }
    precision = decided(precision);
    const auto integers = [&](const Operation & op) {
        return precision == Precision::int16 || (precision == Precision::automatic && kernels.integer_is_faster &&
                                                 loader.quantized(op.name + ".weight"));
    };
    // Attention sharpens its logits by 1 / tau, and their error: its projections stay in floats.
    std::vector<bool> exact(weights_.size());
    for (const Operation & op : net_.operations()) {
        if (op.verb == Verb::similarity) {
            exact[size_t(op.x.id)] = exact[size_t(op.y.id)] = true;
        }
    }
    for (const Operation & op : net_.operations()) {
        Weights & w = weights_[size_t(op.out.id)];
        switch (op.verb) {
            case Verb::conv: w.conv = pack_conv(loader, op, !exact[size_t(op.out.id)] && integers(op)); break;
            case Verb::linear: w.conv = pack_linear(loader, op); break;
            case Verb::analysis:
                if (transform_ == nullptr && dense_analysis == nullptr) {
                    dense_analysis = pack_basis(op, encoder);
                }
                w.conv = dense_analysis;
                break;
            case Verb::synthesis:
                if (transform_ == nullptr) {
                    w.conv = pack_basis(op, decoder);
                }
                break;
            case Verb::norm: {
                const size_t n = size_t(op.x.channels);
                w.values = AlignedFloats(2 * n);
                std::memcpy(w.values.data(), loader.read(op.name + ".weight").data(), n * sizeof(float));
                std::memcpy(w.values.data() + n, loader.read(op.name + ".bias").data(), n * sizeof(float));
                break;
            }
            case Verb::scale: w.values = channel_last(loader.read(op.name), op.x); break;
            case Verb::s4d: {
                const size_t n = size_t(width(op.x));
                w.values = AlignedFloats(6 * n);
                float * to = w.values.data();
                for (const char * part : kS4dParts) {
                    const std::vector<float> values = loader.read(op.name + part);
                    std::memcpy(to, values.data(), values.size() * sizeof(float));
                    to += n;
                }
                break;
            }
            case Verb::softmax_lags: {
                const std::vector<float> weight = loader.read(op.name + ".weight"); // (1, channels, hops, lags)
                const int channels = op.x.channels, n = width(op.x), taps = kSmoothHops * kSmoothLags;
                w.values = AlignedFloats(size_t(taps) * size_t(n));
                for (int c = 0; c < channels; ++c) {
                    for (int tap = 0; tap < taps; ++tap) {
                        w.values[size_t(tap) * size_t(n) + size_t(c)] = weight[size_t(c) * size_t(taps) + size_t(tap)];
                    }
                }
                w.bias = loader.read(op.name + ".bias")[0];
                break;
            }
            default: break;
        }
    }
}

std::unique_ptr<Session> PackedNet::open(int threads, int batch, int streams, Profile & profile) const {
    if (streams != 1) {
        throw Error("the cpu backend runs every stream on its own");
    }
    return std::unique_ptr<Session>(new CpuSession(*this, threads, batch, profile));
}

int PackedNet::hops_of_a_run(int threads, int batch) const {
    // The hops of a run share each reading of the weights, but their activations push each other out of the cache. Two hops
    // are best where the weights are less than the activations of four and those of all are far more than the cache has:
    // that of several threads, which meet less often with more hops, is larger.
    size_t activations = 0, weights = 0;
    for (const Operation & op : net_.operations()) {
        activations += size_t(width(op.out)) * size_t(op.out.bins) * sizeof(float);
        weights += this->weights(op).conv != nullptr ? this->weights(op).conv->bytes() : 0;
    }
    const bool crowded = weights < 4 * activations && size_t(batch) * activations > 8 * default_reach();
    return crowded && useful_threads(threads) == 1 ? std::min(batch, 2) : batch;
}

void PackedNet::run_together(Session * const * sessions, int count) const { CpuSession::run_together(sessions, count); }

void PackedNet::find_widths() {
    const auto whole_vectors = [&](Value v) { widths_[size_t(v.id)] = round_up(v.channels, kernels_.lanes); };
    for (const Operation & op : net_.operations()) {
        widths_[size_t(op.out.id)] = op.out.channels;
        if (op.verb == Verb::similarity) {
            whole_vectors(op.x);
            whole_vectors(op.y);
            whole_vectors(op.out);
        } else if (op.verb == Verb::s4d) {
            whole_vectors(op.x);
            whole_vectors(op.out);
        }
    }
}

AlignedFloats PackedNet::channel_last(const std::vector<float> & values, Value v) const {
    const int n = width(v);
    AlignedFloats out(size_t(n) * size_t(v.bins));
    for (int c = 0; c < v.channels; ++c) {
        for (int f = 0; f < v.bins; ++f) {
            out[size_t(f) * size_t(n) + size_t(c)] = values[size_t(c) * size_t(v.bins) + size_t(f)];
        }
    }
    return out;
}

std::unique_ptr<ConvWeights> PackedNet::pack_conv(const Loader & loader, const Operation & op, bool integers) const {
    const std::string tensor = op.name + ".weight";
    const std::vector<float> biases = loader.conv_bias(op);
    const int existing = conv_outputs(op);
    const int outputs = op.conv.shuffle ? existing : width(op.out);
    const int inputs = width(op.x);
    const int kh = op.conv.kernel_h, kw = op.conv.kernel_w;
    const auto bias = [&](int o) { return o < existing ? biases[size_t(o)] : 0.0f; };
    // A window of fewer channels has too few taps to a scale for integers to pay.
    constexpr int kFewestInputs = 8;
    const std::vector<float> weight = loader.conv_weight(op);
    const int channels = op.x.channels;
    const auto weight_of = [&](int o, int row, int tap) {
        // A channel-last window holds bin 0's channels, then bin 1's.
        const int column = tap / inputs, channel = tap % inputs;
        if (o >= existing || channel >= channels) {
            return 0.0f;
        }
        const size_t at = (size_t(o) * size_t(channels) + size_t(channel)) * size_t(kh) + size_t(row);
        return weight[at * size_t(kw) + size_t(column)];
    };
    const bool fits = inputs >= kFewestInputs && inputs == channels && outputs == existing;
    std::unique_ptr<ConvWeights> packed =
        integers && fits ? ConvWeights::integers(kernels_, outputs, kh, kw * inputs, weight_of, bias)
                         : std::make_unique<ConvWeights>(kernels_, outputs, kh, kw * inputs, false, weight_of, bias);
    packed->tensor = tensor;
    return packed;
}

std::unique_ptr<ConvWeights> PackedNet::pack_linear(const Loader & loader, const Operation & op) const {
    const std::string tensor = op.name + ".weight";
    const std::vector<float> weight = loader.read(tensor), biases = loader.read(op.name + ".bias");
    const int inputs = width(op.x), outputs = width(op.out);
    const size_t columns = size_t(op.x.channels) * size_t(op.x.bins);
    // The model flattens (C, F); a channel-last row is (F, C). -1 for a channel that is not there.
    const auto flat = [](int i, int n, Value v) { return i % n < v.channels ? (i % n) * v.bins + i / n : -1; };
    std::unique_ptr<ConvWeights> packed(new ConvWeights(
        kernels_, outputs * op.out.bins, 1, inputs * op.x.bins, true,
        [&](int o, int, int tap) {
            const int row = flat(o, outputs, op.out), column = flat(tap, inputs, op.x);
            return row < 0 || column < 0 ? 0.0f : weight[size_t(row) * columns + size_t(column)];
        },
        [&](int o) {
            const int row = flat(o, outputs, op.out);
            return row < 0 ? 0.0f : biases[size_t(row)];
        }));
    packed->tensor = tensor;
    return packed;
}

std::unique_ptr<ConvWeights> PackedNet::pack_basis(const Operation & op, const std::vector<float> & basis) const {
    const auto no_bias = [](int) { return 0.0f; };
    if (op.verb == Verb::analysis) {
        // Two rows of one hop each: the hop before and the present one. 512 samples -> 512 interleaved (re, im).
        return std::unique_ptr<ConvWeights>(new ConvWeights(
            kernels_, kFft, 2, kHop, true,
            [&](int o, int row, int tap) { return basis[size_t(o) * kFft + size_t(row) * kHop + size_t(tap)]; },
            no_bias));
    }
    // Planar re[256], im[256] -> 512 samples.
    return std::unique_ptr<ConvWeights>(new ConvWeights(
        kernels_, kFft, 1, kFft, true,
        [&](int o, int, int tap) {
            const int channel = 2 * (tap % kBins) + tap / kBins; // planar input, interleaved weights
            return basis[size_t(o) * kFft + size_t(channel)];
        },
        no_bias));
}

} // namespace localvqe
