#include "session.h"

#include "../error.h"
#include "ops/attention.h"
#include "ops/codec.h"
#include "ops/norm.h"
#include "ops/s4d.h"
#include "ops/spectrum.h"

#include <algorithm>
#include <utility>

namespace localvqe {

CpuSession::CpuSession(const PackedNet & packed, int threads, int batch, Profile & profile)
    : packed_(packed), net_(packed.net()), kernels_(packed.kernels()), batch_(batch), graph_(profile),
      layouts_(net_.operations().size()), frames_(net_.operations().size()) {
    plan_layouts();
    for (const Operation & op : net_.operations()) {
        const size_t operations = readings_.size(), bytes = state_bytes();
        lower(op);
        count(op, readings_.size() - operations, state_bytes() - bytes);
    }
    graph_.share(threads, batch_);
    output_ = &frames(net_.result());
    if (batch_ == 1) { // more frames share a reading
        plan_fetching();
    }
}

void CpuSession::plan_layouts() {
    const auto of = [&](Value v) -> Layout & { return layouts_[size_t(v.id)]; };
    const auto at_least = [&](Value v, int history, int left, int right) {
        Layout & l = of(v);
        l.history = std::max(l.history, history);
        l.left = std::max(l.left, left);
        l.right = std::max(l.right, right);
    };
    for (const Operation & op : net_.operations()) {
        const Past past = past_of(op);
        // A mask and an integer convolution keep windows of their own.
        const bool own = op.verb == Verb::mask || (op.verb == Verb::conv && packed_.weights(op).conv->integer());
        if (past.of && !own) {
            int left = 0, right = 0;
            if (op.verb == Verb::conv) {
                left = (op.conv.kernel_w - 1) / 2;
                right = op.conv.kernel_w - 1 - left;
            } else if (op.verb == Verb::softmax_lags) {
                left = right = 1;
            }
            at_least(past.of, past.hops, left, right);
        }
        if (op.verb == Verb::mask || op.verb == Verb::synthesis) {
            of(op.x).planar = true;
        }
    }
}

size_t CpuSession::state_bytes() const {
    size_t bytes = 0;
    for (const Frames & frames : storage_) {
        bytes += frames.memory().bytes;
    }
    for (const IntFrames & frames : integers_) {
        bytes += frames.memory().bytes;
    }
    return bytes;
}

void CpuSession::count(const Operation & op, size_t operations, size_t state_bytes) {
    if (costs_.empty() || costs_.back().block != op.block) {
        costs_.push_back({op.block});
    }
    BlockCost & cost = costs_.back();
    cost.operations += int(operations);
    cost.multiply_adds += multiply_adds(op);
    cost.state_bytes += state_bytes;
    const PackedNet::Weights & w = packed_.weights(op);
    cost.weight_bytes += w.values.size() * sizeof(float);
    // The far end's analysis has the matrix of the near end's.
    const auto same = [&](const Operation & other) {
        return other.out.id < op.out.id && packed_.weights(other).conv == w.conv;
    };
    if (w.conv != nullptr && std::none_of(net_.operations().begin(), net_.operations().end(), same)) {
        cost.weight_bytes += w.conv->bytes();
    }
}

void CpuSession::plan_fetching() {
    std::vector<ReadDemand> demands;
    demands.reserve(readings_.size());
    for (const Reading & reading : readings_) {
        demands.push_back(reading.demand);
    }
    std::vector<std::vector<MemorySpan>> plan = plan_read_ahead(demands, default_reach());
    for (size_t i = 0; i < readings_.size(); ++i) {
        if (readings_[i].conv != nullptr) {
            readings_[i].conv->fetch_ahead(std::move(plan[i]));
        }
    }
}

Frames & CpuSession::make(int bins, int channels, int history, int left, int right) {
    storage_.emplace_back(clock_, bins, channels, batch_, history, left, right);
    return storage_.back();
}

Frames & CpuSession::make(Value v) {
    const Layout & l = layout(v);
    Frames & made = make(v.bins, packed_.width(v), l.history, l.left, l.right);
    frames_[size_t(v.id)] = &made;
    return made;
}

template <class T, class... Args> T & CpuSession::add(const Operation & op, const ReadDemand & demand,
                                                      Args &&... args) {
    T * const made = new T(std::forward<Args>(args)...);
    graph_.add(op.block, std::unique_ptr<Op>(made));
    readings_.push_back({demand, nullptr});
    return *made;
}

void CpuSession::lower(const Operation & op) {
    const PackedNet::Weights & w = packed_.weights(op);
    // Masks are planar; a convolution's result may be, where that is what its reader wants.
    const bool wanted = layout(op.out).planar, always = op.verb == Verb::mask;
    if (always ? !wanted : wanted && op.verb != Verb::conv) {
        throw Error("the cpu backend cannot lay out a result of " + op.block + " as its reader wants it");
    }
    switch (op.verb) {
        case Verb::input: inputs_.push_back(&make(op.out)); break;
        case Verb::analysis:
            if (packed_.transform() != nullptr) {
                add<AnalysisOp>(op, {}, *packed_.transform(), frames(op.x), make(op.out));
            } else {
                add_conv(op, {1}, frames(op.x), nullptr, make(op.out));
            }
            break;
        case Verb::power_law:
            add<PowerLawOp>(op, {}, kernels_, net_.config.power_law_c, frames(op.x), make(op.out));
            break;
        case Verb::gain: add<GainOp>(op, {}, frames(op.x), frames(op.y), make(op.out)); break;
        case Verb::join: {
            const auto reads_it_whole = [&](const Operation & reader) {
                return reader.x.id == op.out.id && reader.verb != Verb::norm;
            };
            if (std::any_of(net_.operations().begin(), net_.operations().end(), reads_it_whole)) {
                add<NormOp>(op, {}, kernels_, nullptr, nullptr, frames(op.x), &frames(op.y), make(op.out));
            }
            break;
        }
        case Verb::norm: {
            // The two halves of a join are normed where they are.
            const Operation & before = net_.operations()[size_t(op.x.id)];
            const bool apart = frames_[size_t(op.x.id)] == nullptr;
            const Frames & first = frames(apart ? before.x : op.x);
            const Frames * const second = apart ? &frames(before.y) : nullptr;
            add<NormOp>(op, {}, kernels_, w.values.data(), w.values.data() + op.x.channels, first, second,
                        make(op.out));
            break;
        }
        case Verb::conv: lower_conv(op); break;
        case Verb::linear: add_conv(op, {1}, frames(op.x), op.y ? &frames(op.y) : nullptr, make(op.out)); break;
        case Verb::scale: add<ScaleOp>(op, {}, w.values.data(), frames(op.x), make(op.out)); break;
        case Verb::s4d: add<S4dOp>(op, {}, kernels_, w.values.data(), frames(op.x), make(op.out)); break;
        case Verb::similarity:
            add<SimilarityOp>(op, {frames(op.y).memory(), 0}, kernels_, frames(op.x), frames(op.y), make(op.out));
            break;
        case Verb::softmax_lags:
            add<SoftmaxLagsOp>(op, {}, kernels_, w.values.data(), w.bias, frames(op.x), make(op.out));
            break;
        case Verb::delayed_sum:
            add<DelayedSumOp>(op, {frames(op.x).memory(), 0}, kernels_, frames(op.x), frames(op.y), make(op.out));
            break;
        case Verb::mask: lower_mask(op); break;
        case Verb::synthesis: lower_synthesis(op); break;
    }
}

void CpuSession::lower_conv(const Operation & op) {
    ConvPlan plan{op.x.bins / op.conv.stride};
    plan.stride = op.conv.stride;
    plan.pad_left = (op.conv.kernel_w - 1) / 2;
    plan.activation = op.conv.activation;
    plan.groups = op.conv.shuffle ? 2 : 1;
    plan.planar = layout(op.out).planar;
    add_conv(op, plan, frames(op.x), op.y ? &frames(op.y) : nullptr, make(op.out));
}

void CpuSession::add_conv(const Operation & op, const ConvPlan & plan, const Frames & in, const Frames * residual,
                          Frames & out) {
    const ConvWeights & weights = *packed_.weights(op).conv;
    IntFrames * integers = nullptr;
    if (weights.integer()) {
        const int right = weights.packed().taps / in.channels() - 1 - plan.pad_left;
        integers_.emplace_back(clock_, in.bins(), in.channels(), batch_, weights.packed().rows - 1, plan.pad_left,
                               right);
        integers = &integers_.back();
        add<ToIntegersOp>(op, {}, kernels_, in, *integers);
    }
    ConvOp & conv = add<ConvOp>(op, {}, kernels_, weights, plan, in, integers, residual, out);
    readings_.back() = {conv.read_demand(), &conv};
    convs_.push_back(&conv);
}

void CpuSession::lower_mask(const Operation & op) {
    // The latest spectra, planar, with one zero bin on either side.
    Frames & re = make(op.y.bins, 1, past_of(op).hops, 1, 1);
    Frames & im = make(op.y.bins, 1, past_of(op).hops, 1, 1);
    add<PlanarOp>(op, {}, frames(op.y), re, im);
    add<MaskOp>(op, {}, kernels_, frames(op.x), re, im, make(op.out));
}

void CpuSession::lower_synthesis(const Operation & op) {
    Frames & frame = make(kFft, 1, 0, 0, 0);
    if (packed_.transform() != nullptr) {
        add<SynthesisOp>(op, {}, *packed_.transform(), frames(op.x), frame);
    } else {
        add_conv(op, {1}, frames(op.x), nullptr, frame);
    }
    add<OverlapAddOp>(op, {}, net_.config.version == 1 ? 0.5f : 1.0f, frame, make(op.out));
}

void CpuSession::run(int hops) {
    graph_.compute(hops);
    finish(hops);
}

void CpuSession::run_together(Session * const * sessions, int count) {
    Graph * graphs[Program::kMostTogether] = {};
    for (int i = 0; i < count; ++i) {
        graphs[i] = &static_cast<CpuSession *>(sessions[i])->graph_;
    }
    Graph::compute_together(graphs, count);
    for (int i = 0; i < count; ++i) {
        static_cast<CpuSession *>(sessions[i])->finish(1);
    }
}

void CpuSession::finish(int hops) {
    if (observing_) {
        for (ConvOp * conv : convs_) {
            conv->observe(hops);
        }
    }
    last_hops_ = hops;
    clock_ += uint64_t(hops);
}

void CpuSession::reset(int) {
    for (Frames & frames : storage_) {
        frames.clear();
    }
    for (IntFrames & frames : integers_) {
        frames.clear();
    }
    graph_.reset();
    clock_ = 0;
    last_hops_ = 1;
}

void CpuSession::read_tap(size_t index, float * out) const {
    const NetTap & tap = net_.taps()[index];
    const Frames & source = frames(tap.value);
    // Seen from the next call, a ring's latest frame is -1; storage without history is indexed by frame of its call.
    const float * row = source.row(source.history() == 0 ? last_hops_ - 1 : -1);
    const bool planar = layout(tap.value).planar;
    const size_t per_channel = planar ? size_t(source.bins()) : 1, per_bin = planar ? 1 : size_t(source.channels());
    const int dim0 = tap.bins_first ? tap.value.bins : tap.value.channels,
              dim1 = tap.bins_first ? tap.value.channels : tap.value.bins;
    const size_t stride0 = tap.bins_first ? per_bin : per_channel, stride1 = tap.bins_first ? per_channel : per_bin;
    for (int i = 0; i < dim0; ++i) {
        for (int j = 0; j < dim1; ++j) {
            *out++ = row[size_t(i) * stride0 + size_t(j) * stride1];
        }
    }
}

void CpuSession::set_observing(bool on) {
    observing_ = on;
    if (on) {
        for (ConvOp * conv : convs_) {
            conv->forget();
        }
    }
}

std::vector<float> CpuSession::input_power(const std::string & tensor) const {
    for (const ConvOp * conv : convs_) {
        if (conv->tensor() == tensor) {
            return conv->input_power();
        }
    }
    return {};
}

} // namespace localvqe
