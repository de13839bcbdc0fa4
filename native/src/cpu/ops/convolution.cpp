#include "convolution.h"

#include <algorithm>

namespace localvqe {
namespace {

// Weights of less than this share of what may be fetched ahead, an eighth of the cache, stay in it from frame to frame.
constexpr size_t kStays = 4;

} // namespace

ConvOp::ConvOp(const Kernels & kernels, const ConvWeights & weights, const ConvPlan & plan, const Frames & in,
               const IntFrames * integers, const Frames * residual, Frames & out)
    : kernels_(kernels), tensor_(weights.tensor), conv_(weights.packed()), plan_(plan), in_(in), integers_(integers),
      residual_(residual), out_(out), by_panel_(read_demand().reads.bytes > default_reach() / kStays),
      mostly_weights_(read_demand().reads.bytes > 2 * window_bytes()) {
    const int channels = conv_.outputs / plan.groups;
    call_.step = plan.stride * in.channels();
    call_.activation = plan.activation;
    call_.group = channels;
    if (plan.planar) {
        call_.position_step = 1;
        call_.channel_step = plan.groups * plan.positions;
        call_.group_step = size_t(plan.positions);
    } else {
        call_.position_step = channels;
        call_.channel_step = 1;
        call_.group_step = size_t(plan.positions) * size_t(channels);
    }
}

bool ConvOp::shared(int frames) const {
    // Handing over takes half a microsecond to one, and what a core reads of another's results 0.2 ns a byte: it pays from
    // three microseconds of work on, in which a core does so many multiply-adds.
    const int64_t worth_sharing = integers_ != nullptr ? 300000 : 150000;
    return int64_t(frames) * plan_.positions * conv_.rows * conv_.taps * conv_.outputs > worth_sharing;
}

size_t ConvOp::window_bytes() const {
    const size_t values = size_t(conv_.rows) * size_t(in_.bins()) * size_t(in_.channels());
    return values * (integers_ != nullptr ? sizeof(int16_t) : sizeof(float));
}

void ConvOp::run(int frames, int thread, int n_threads) {
    const int positions = frames * plan_.positions;
    if (n_threads > 1 && ((frames == 1 && mostly_weights_) || positions < n_threads)) {
        const int total = conv_.n_panels * positions;
        const int begin = int(int64_t(total) * thread / n_threads),
                  end = int(int64_t(total) * (thread + 1) / n_threads);
        for (int at = begin; at < end;) {
            const int panel = at / positions, first = at % positions;
            const int count = std::min(positions - first, end - at);
            run_panels(panel, 1, first, first + count, ahead(at, total));
            at += count;
        }
        return;
    }
    const int begin = positions * thread / n_threads, end = positions * (thread + 1) / n_threads;
    const int together = frames > 1 && by_panel_ ? 1 : conv_.n_panels;
    for (int panel = 0; panel < conv_.n_panels; panel += together) {
        run_panels(panel, together, begin, end, ahead(thread, n_threads));
    }
}

PrefetchCursor ConvOp::ahead(int part, int parts) const {
    return {ahead_.data(), int(ahead_.size()), ahead_lines_ * size_t(part) / size_t(parts)};
}

void ConvOp::run_piece(int piece) {
    // Nothing is fetched ahead: what one stream fetches serves all, as in clips.
    run_panels(by_panel_ ? piece : 0, by_panel_ ? 1 : conv_.n_panels, 0, plan_.positions, {});
}

void ConvOp::run_panels(int first, int count, int begin, int end, const PrefetchCursor & ahead) {
    PackedConv part = conv_;
    part.panels += first;
    part.n_panels = count;
    ConvCall call = call_;
    call.conv = &part;
    call.ahead = ahead;
    for (int t = begin / plan_.positions; t * plan_.positions < end; ++t) {
        const int base = t * plan_.positions;
        const int from = begin > base ? begin - base : 0;
        const int to = end - base < plan_.positions ? end - base : plan_.positions;
        for (int r = 0; r < part.rows; ++r) {
            const int from_frame = t - (part.rows - 1) + r;
            const size_t padding = size_t(plan_.pad_left) * size_t(in_.channels());
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
        if (plan_.positions > 1 && kernels_.lanes >= 16) {
            demand.spare_lines += size_t((plan_.positions + together - 1) / together) * steps;
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

std::vector<float> ConvOp::input_power() const {
    std::vector<float> power;
    if (observed_ > 0) {
        for (double sum : squares_) {
            power.push_back(float(sum / double(observed_)));
        }
    }
    return power;
}

} // namespace localvqe
