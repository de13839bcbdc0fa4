#include "convolution.h"

#include "../quantized.h"
#include "../weights.h"

namespace localvqe {

ConvOp::ConvOp(const std::string & block, const Kernels & kernels, const ConvWeights & weights, const ConvShape & shape,
               const Frames & in, const IntFrames * integers, const Frames * residual, Frames & out)
    : Op(block), kernels_(kernels), tensor_(weights.tensor), conv_(weights.packed()), shape_(shape), in_(in),
      integers_(integers), residual_(residual), out_(out) {
    const int channels = conv_.outputs / shape.groups;
    call_.step = shape.stride * in.channels();
    call_.activation = shape.activation;
    call_.group = channels;
    if (shape.planar) {
        call_.position_step = 1;
        call_.channel_step = shape.groups * shape.positions;
        call_.group_step = size_t(shape.positions);
    } else {
        call_.position_step = channels;
        call_.channel_step = 1;
        call_.group_step = size_t(shape.positions) * size_t(channels);
    }
}

bool ConvOp::shared(int frames) const {
    // Meeting costs a microsecond or two; a core does some fifty thousand multiply-adds in that time.
    constexpr int64_t kWorthSharing = 100000;
    return int64_t(frames) * shape_.positions * conv_.rows * conv_.taps * conv_.outputs > kWorthSharing;
}

void ConvOp::run(int frames, int thread, int n_threads) {
    ConvCall call = call_;
    PackedConv part = conv_;
    call.conv = &part;
    int begin = frames * shape_.positions * thread / n_threads;
    int end = frames * shape_.positions * (thread + 1) / n_threads;
    if (frames * shape_.positions < n_threads) {
        // A linear layer has one position a frame: share its outputs instead.
        begin = 0;
        end = frames * shape_.positions;
        const int first = conv_.n_panels * thread / n_threads;
        part.panels += first;
        part.n_panels = conv_.n_panels * (thread + 1) / n_threads - first;
    }
    call.ahead = PrefetchCursor(ahead_.data(), int(ahead_.size()), ahead_lines_ * size_t(thread) / size_t(n_threads));
    for (int t = begin / shape_.positions; t * shape_.positions < end; ++t) {
        const int base = t * shape_.positions;
        const int from = begin > base ? begin - base : 0;
        const int to = end - base < shape_.positions ? end - base : shape_.positions;
        for (int r = 0; r < part.rows; ++r) {
            const int from_frame = t - (part.rows - 1) + r;
            const size_t padding = size_t(shape_.pad_left) * size_t(in_.channels());
            if (integers_ != nullptr) {
                call.int_rows[r] = integers_->row(from_frame) - padding;
                call.row_scales[r] = integers_->scale(from_frame);
            } else {
                call.rows[r] = in_.row(from_frame) - padding;
            }
        }
        call.residual = residual_ != nullptr ? residual_->row(t) : nullptr;
        call.out = out_.row(t);
        (integers_ != nullptr ? kernels_.int_conv : kernels_.conv)(call, from, to);
    }
}

void ToIntegersOp::run(int frames, int thread, int n_threads) {
    for (int t = frames * thread / n_threads; t < frames * (thread + 1) / n_threads; ++t) {
        out_.scale(t) = kernels_.to_integers(in_.row(t), in_.bins() * in_.channels(), out_.row(t));
    }
}

void add_conv(Builder & b, const std::string & block, const ConvWeights & weights, const ConvShape & shape, Frames & in,
              const Frames * residual, Frames & out) {
    IntFrames * integers = nullptr;
    if (weights.integer()) {
        const int right = weights.packed().taps / in.channels() - 1 - shape.pad_left;
        b.integers.emplace_back(b.clock, in.bins(), in.channels(), b.batch, weights.packed().rows - 1, shape.pad_left, right);
        integers = &b.integers.back();
        b.add<ToIntegersOp>(block, in, *integers);
    }
    b.add<ConvOp>(block, weights, shape, in, integers, residual, out);
}

ReadDemand ConvOp::read_demand() const {
    ReadDemand demand;
    // Steps of the inner loop for a tile, each over one vector of weights per panel vector: a tap, or a pair of integer ones.
    const size_t steps = integers_ != nullptr ? size_t(conv_.pairs) : size_t(conv_.rows) * size_t(conv_.taps);
    size_t floats = 0;
    for (int i = 0; i < conv_.n_panels; ++i) {
        const int vectors = conv_.panels[i].vectors;
        floats += size_t(vectors) * size_t(kernels_.lanes) * steps;
        const int together = positions_per_tile(kernels_.registers, vectors);
        // A single position waits for its own weights as it is, and narrow vectors have no loads to spare.
        if (shape_.positions > 1 && kernels_.lanes >= 16) {
            demand.spare_lines += size_t((shape_.positions + together - 1) / together) * steps;
        }
    }
    const void * const weights = integers_ != nullptr ? static_cast<const void *>(conv_.integers) : conv_.weights;
    demand.reads = {static_cast<const char *>(weights), floats * sizeof(float)};
    return demand;
}

void ConvOp::fetch_ahead(std::vector<MemorySpan> spans) {
    ahead_ = std::move(spans);
    ahead_lines_ = 0;
    for (const MemorySpan & span : ahead_) {
        ahead_lines_ += PrefetchCursor::lines_of(span);
    }
}

void ConvOp::forget() {
    squares_.assign(size_t(in_.channels()), 0.0);
    observed_ = 0;
}

void ConvOp::observe(int frames) {
    for (int t = 0; t < frames; ++t) {
        const float * x = in_.row(t);
        for (int f = 0; f < in_.bins(); ++f) {
            for (size_t c = 0; c < squares_.size(); ++c, ++x) {
                squares_[c] += double(*x) * double(*x);
            }
        }
    }
    observed_ += uint64_t(frames) * uint64_t(in_.bins());
}

std::vector<float> ConvOp::input_power(const std::string & tensor) const {
    std::vector<float> power;
    if (tensor == tensor_ && observed_ > 0) {
        for (double sum : squares_) {
            power.push_back(float(sum / double(observed_)));
        }
    }
    return power;
}

std::unique_ptr<ConvWeights> load_conv(const Loader & loader, const std::string & name, int outputs, int inputs, int kh, int kw,
                                       const std::vector<float> & scale, const std::vector<float> & shift) {
    const std::string tensor = name + ".weight";
    const std::vector<float> biases = loader.read(name + ".bias");
    const auto gain = [&](int o) { return scale.empty() ? 1.0f : scale[size_t(o) % scale.size()]; };
    const auto bias = [&](int o) {
        const float b = biases[size_t(o)] * gain(o);
        return shift.empty() ? b : b + shift[size_t(o) % shift.size()];
    };
    std::unique_ptr<ConvWeights> packed;
    size_t row_bytes = 0;
    // A window of fewer channels has too few taps to a scale for integers to pay.
    constexpr int kFewestInputs = 8;
    const std::vector<uint8_t> blocks = loader.integers && inputs >= kFewestInputs ? loader.read_q8(tensor, &row_bytes) : std::vector<uint8_t>();
    if (!blocks.empty()) {
        const BlockFormat & format = *find_format(kTypeQ8);
        const auto block_of = [&](int o, int index) { return blocks.data() + size_t(o) * row_bytes + size_t(index) * size_t(format.bytes); };
        packed.reset(new ConvWeights(
            loader.kernels, outputs, kh, kw * inputs, format.block,
            // A block is its scale in half precision, then one signed byte per weight.
            [&](int o, int column) { return int(int8_t(block_of(o, column / format.block)[2 + column % format.block])); },
            [&](int o, int index) { return half_to_float(block_of(o, index)) * gain(o); }, bias));
        packed->tensor = tensor;
        return packed;
    }
    const std::vector<float> weight = loader.read(tensor);
    packed.reset(new ConvWeights(
        loader.kernels, outputs, kh, kw * inputs, false,
        [&](int o, int row, int tap) {
            // A channel-last window holds bin 0's channels, then bin 1's.
            const int column = tap / inputs;
            const int channel = tap % inputs;
            const size_t at = ((size_t(o) * size_t(inputs) + size_t(channel)) * size_t(kh) + size_t(row)) * size_t(kw) + size_t(column);
            return weight[at] * gain(o);
        },
        bias));
    packed->tensor = tensor;
    return packed;
}

} // namespace localvqe
