#include "lowering.h"

#include "../error.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>

namespace localvqe {
namespace {

constexpr size_t kNodesPerOperation = 48;

std::vector<int> hops_back(const Net & net) {
    std::vector<int> back(net.operations().size(), 0);
    for (const Operation & op : net.operations()) {
        if (const Past past = past_of(op); past.of) {
            int & most = back[size_t(past.of.id)];
            most = std::max(most, past.hops);
        }
    }
    return back;
}

class Lowering {
public:
    Lowering(ggml_context * context, const GgmlProgram & program, const GgmlMemory & memory,
             const std::vector<ggml_tensor *> & s4d, int hops)
        : c_(context), program_(program), memory_(memory), s4d_(s4d), hops_(hops), streams_(memory.streams),
          values_(program.net().operations().size()), whole_(values_.size()) {}

    GgmlGraph run() {
        const Net & net = program_.net();
        out_.graph = ggml_new_graph_custom(c_, kNodesPerOperation * net.operations().size(), false);
        for (const Operation & op : net.operations()) {
            ggml_tensor * made = lower(op);
            values_[size_t(op.out.id)] = made;
        }
        for (const NetTap & tap : net.taps()) {
            out_.taps.push_back(lasting(value(tap.value)));
        }
        out_.output = lasting(value(net.result()));
        ggml_build_forward_expand(out_.graph, out_.output);
        for (ggml_tensor * keep : keeps_) { // after all that reads the past
            ggml_build_forward_expand(out_.graph, keep);
        }
        return out_;
    }

private:
    // Marks a tensor, and what it is a view of, as not to be written over.
    static ggml_tensor * lasting(ggml_tensor * x) {
        ggml_set_output(x);
        if (x->view_src != nullptr) {
            ggml_set_output(x->view_src);
        }
        return x;
    }

    ggml_tensor * value(Value v) const { return values_[size_t(v.id)]; }

    // Hops [first, first + count) of (bins, hops, streams, channels), where they lie; likewise bins and channels.
    ggml_tensor * hops_of(ggml_tensor * x, int64_t first, int64_t count) {
        return part(x, {x->ne[0], count, x->ne[2], x->ne[3]}, size_t(first) * x->nb[1]);
    }
    ggml_tensor * channels_of(ggml_tensor * x, int64_t first, int64_t count) {
        return part(x, {x->ne[0], x->ne[1], x->ne[2], count}, size_t(first) * x->nb[3]);
    }
    ggml_tensor * bins_of(ggml_tensor * x, int64_t first, int64_t count) {
        return part(x, {count, x->ne[1], x->ne[2], x->ne[3]}, size_t(first) * x->nb[0]);
    }
    ggml_tensor * part(ggml_tensor * x, const std::array<int64_t, 4> & shape, size_t offset) {
        return ggml_view_4d(c_, x, shape[0], shape[1], shape[2], shape[3], x->nb[1], x->nb[2], x->nb[3], offset);
    }

    // `past` in front of x; afterwards past holds the latest hops of both.
    ggml_tensor * behind(ggml_tensor * past, ggml_tensor * x) {
        ggml_tensor * both = ggml_concat(c_, past, x, 1);
        keeps_.push_back(ggml_cpy(c_, hops_of(both, hops_, past->ne[1]), past));
        return both;
    }

    // What an operation reads hops of, those before the run's included.
    ggml_tensor * with_past(const Operation & op) {
        const Value v = past_of(op).of;
        const int64_t back = past_of(op).hops;
        if (back == 0) {
            return value(v);
        }
        ggml_tensor *& whole = whole_[size_t(v.id)];
        ggml_tensor * past = memory_.past[size_t(v.id)];
        if (whole == nullptr) {
            whole = behind(past, value(v));
        }
        const int64_t beyond = past->ne[1] - back;
        return beyond == 0 ? whole : ggml_cont(c_, hops_of(whole, beyond, hops_ + back));
    }

    // (bins, hops, streams, channels) -> (bins * channels, hops * streams): each hop of each stream in one piece.
    ggml_tensor * whole_hops(ggml_tensor * x) {
        const int64_t bins = x->ne[0], channels = x->ne[3];
        if (channels != 1 && hops_ * streams_ != 1) { // otherwise the same bytes
            x = ggml_cont(c_, ggml_permute(c_, x, 0, 2, 3, 1));
        }
        return ggml_reshape_2d(c_, x, bins * channels, hops_ * streams_);
    }
    // And back.
    ggml_tensor * by_channel(ggml_tensor * x, Value shape) {
        if (shape.channels == 1 || hops_ * streams_ == 1) {
            return ggml_reshape_4d(c_, x, shape.bins, hops_, streams_, shape.channels);
        }
        return ggml_cont(
            c_, ggml_permute(c_, ggml_reshape_4d(c_, x, shape.bins, shape.channels, hops_, streams_), 0, 3, 1, 2));
    }

    ggml_tensor * multiply(ggml_tensor * a, ggml_tensor * b) {
        ggml_tensor * product = ggml_mul_mat(c_, a, b);
        ggml_mul_mat_set_prec(product, GGML_PREC_F32);
        return product;
    }

    ggml_tensor * activate(Activation kind, ggml_tensor * x) {
        switch (kind) {
            case Activation::relu6: return ggml_clamp(c_, x, 0.0f, 6.0f);
            case Activation::silu: return ggml_silu(c_, x);
            case Activation::elu: return ggml_elu(c_, x);
            default: return x;
        }
    }

    // What a kernel (kw, kh, inputs, any) of odd width sees, in hops with kh - 1 more in front: (kw * kh * inputs, bins, hops,
    // streams).
    ggml_tensor * windows(ggml_tensor * kernel, ggml_tensor * x, int stride) {
        x = ggml_permute(c_, x, 0, 1, 3, 2);
        if (streams_ > 1) { // some devices take windows of whole tensors only
            x = ggml_cont(c_, x);
        }
        return ggml_im2col(c_, kernel, x, stride, 1, int(kernel->ne[0] / 2), 0, 1, 1, true, GGML_TYPE_F32);
    }

    // A kernel (kw, kh, inputs, outputs) of odd width over hops with kh - 1 more in front, plus bias.
    ggml_tensor * convolve(ggml_tensor * kernel, ggml_tensor * bias, ggml_tensor * x, int stride) {
        const int64_t outputs = kernel->ne[3];
        ggml_tensor * seen = windows(kernel, x, stride);
        const int64_t taps = seen->ne[0], bins = seen->ne[1];
        ggml_tensor * flat = ggml_reshape_2d(c_, seen, taps, bins * hops_ * streams_);
        ggml_tensor * sums = multiply(flat, ggml_reshape_2d(c_, kernel, taps, outputs));
        return ggml_add(c_, ggml_reshape_4d(c_, sums, bins, hops_, streams_, outputs), bias);
    }

    ggml_tensor * lower(const Operation & op) {
        const GgmlProgram::Weights & w = program_.weights(op);
        switch (op.verb) {
            case Verb::input: return input(op);
            case Verb::analysis: return analysis(op, w);
            case Verb::synthesis: return synthesis(op, w);
            case Verb::power_law: return power_law(op);
            case Verb::gain: return ggml_mul(c_, value(op.x), value(op.y));
            case Verb::join: return ggml_concat(c_, value(op.x), value(op.y), 3);
            case Verb::norm: return norm(op, w);
            case Verb::conv: return conv(op, w);
            case Verb::linear: return linear(op, w);
            case Verb::scale: return ggml_mul(c_, value(op.x), w.matrix);
            case Verb::s4d: return s4d(op);
            case Verb::similarity: return similarity(op);
            case Verb::softmax_lags: return ggml_soft_max(c_, convolve(w.matrix, w.second, with_past(op), 1));
            case Verb::delayed_sum: return delayed_sum(op);
            case Verb::mask: return mask(op, w);
        }
        return nullptr;
    }

    ggml_tensor * input(const Operation & op) {
        ggml_tensor * x = ggml_new_tensor_4d(c_, GGML_TYPE_F32, op.out.bins, hops_, streams_, op.out.channels);
        ggml_set_input(x);
        out_.inputs.push_back(x);
        return x;
    }

    ggml_tensor * analysis(const Operation & op, const GgmlProgram::Weights & w) {
        ggml_tensor * samples = with_past(op);
        ggml_tensor * frames = ggml_concat(c_, hops_of(samples, 0, hops_), hops_of(samples, 1, hops_), 0);
        return ggml_concat(c_, multiply(w.matrix, frames), multiply(w.second, frames), 3);
    }

    ggml_tensor * synthesis(const Operation & op, const GgmlProgram::Weights & w) {
        ggml_tensor * x = value(op.x);
        ggml_tensor * frames =
            ggml_add(c_, multiply(w.matrix, channels_of(x, 0, 1)), multiply(w.second, channels_of(x, 1, 1)));
        const auto half = [&](int64_t i) { return ggml_cont(c_, bins_of(frames, i * kHop, kHop)); };
        ggml_tensor * late = behind(memory_.own[size_t(op.out.id)], half(1));
        ggml_tensor * sum = ggml_add(c_, half(0), ggml_cont(c_, hops_of(late, 0, hops_)));
        return program_.net().config.version == 1 ? ggml_scale(c_, sum, 0.5f) : sum;
    }

    ggml_tensor * power_law(const Operation & op) {
        ggml_tensor * x = value(op.x);
        const float exponent = 0.5f * (1.0f - program_.net().config.power_law_c);
        ggml_tensor * squares = ggml_sqr(c_, x);
        ggml_tensor * power = ggml_add(c_, channels_of(squares, 0, 1), channels_of(squares, 1, 1));
        power = ggml_scale_bias(c_, power, 1.0f, 1e-12f);
        ggml_tensor * size = ggml_exp(c_, ggml_scale(c_, ggml_log(c_, power), exponent));
        return ggml_div(c_, x, ggml_scale_bias(c_, size, 1.0f, 1e-12f));
    }

    ggml_tensor * norm(const Operation & op, const GgmlProgram::Weights & w) {
        ggml_tensor * x = ggml_norm(c_, whole_hops(value(op.x)), 1e-5f);
        x = ggml_reshape_3d(c_, x, op.x.bins, op.x.channels, hops_ * streams_);
        return by_channel(ggml_add(c_, ggml_mul(c_, x, w.matrix), w.second), op.out);
    }

    ggml_tensor * conv(const Operation & op, const GgmlProgram::Weights & w) {
        ggml_tensor * x = convolve(w.matrix, w.second, with_past(op), op.conv.stride);
        if (op.conv.shuffle) {
            x = ggml_concat(c_, channels_of(x, 0, op.out.channels), channels_of(x, op.out.channels, op.out.channels),
                            0);
        }
        x = activate(op.conv.activation, x);
        return op.y ? ggml_add(c_, x, value(op.y)) : x;
    }

    ggml_tensor * linear(const Operation & op, const GgmlProgram::Weights & w) {
        ggml_tensor * x = ggml_add(c_, multiply(w.matrix, whole_hops(value(op.x))), w.second);
        x = by_channel(x, op.out);
        return op.y ? ggml_add(c_, x, value(op.y)) : x;
    }

    ggml_tensor * s4d(const Operation & op) {
        ggml_tensor * state = ggml_reshape_3d(c_, memory_.own[size_t(op.out.id)], 2, streams_, op.x.channels);
        ggml_tensor * x =
            ggml_reshape_3d(c_, value(op.x), hops_, streams_, op.x.channels); // one bin: hops are innermost
        ggml_tensor * y = multiply(s4d_[size_t(op.out.id)], ggml_concat(c_, x, state, 0));
        keeps_.push_back(ggml_cpy(c_, bins_of(y, hops_, 2), state));
        return ggml_reshape_4d(c_, ggml_cont(c_, bins_of(y, 0, hops_)), 1, hops_, streams_, op.x.channels);
    }

    ggml_tensor * similarity(const Operation & op) {
        const int64_t lags = op.out.bins, width = lags - 1 + hops_;
        // Every hop against every key, of which a hop's own are a run that moves with it.
        ggml_tensor * all = multiply(with_past(op), value(op.x)); // (width, hops, streams, channels)
        const size_t step = size_t(width + 1) * sizeof(float);
        ggml_tensor * own =
            ggml_view_4d(c_, all, lags, hops_, streams_, op.out.channels, step, all->nb[2], all->nb[3], 0);
        return ggml_scale(c_, ggml_cont(c_, own), 1.0f / std::sqrt(float(op.x.bins)));
    }

    ggml_tensor * delayed_sum(const Operation & op) {
        const int64_t lags = op.y.bins, width = lags - 1 + hops_;
        ggml_tensor * x =
            ggml_cont(c_, ggml_permute(c_, with_past(op), 1, 0, 3, 2)); // (width, bins, channels, streams)
        x = ggml_reshape_3d(c_, x, width, op.x.bins * op.x.channels, streams_);
        // Rows of weights, each one place further to the right than the one before: what follows a row's weights are
        // `hops_` zeros, and a row that is one shorter begins one later.
        ggml_tensor * w = ggml_reshape_3d(c_, value(op.y), lags, hops_, streams_);
        if (hops_ > 1) {
            ggml_tensor * padded = ggml_pad(c_, w, int(hops_), 0, 0, 0);
            w = ggml_cont(
                c_, ggml_view_3d(c_, padded, width, hops_, streams_, size_t(width) * sizeof(float), padded->nb[2], 0));
        }
        ggml_tensor * sum = multiply(w, x); // (hops, bins * channels, streams)
        if (hops_ * streams_ > 1) {
            sum = ggml_reshape_4d(c_, sum, hops_, op.x.bins, op.x.channels, streams_);
            return ggml_cont(c_, ggml_permute(c_, sum, 1, 0, 3, 2));
        }
        return ggml_reshape_4d(c_, sum, op.x.bins, 1, 1, op.x.channels);
    }

    ggml_tensor * mask(const Operation & op, const GgmlProgram::Weights & w) {
        constexpr int64_t taps = 9;
        ggml_tensor * m = value(op.x);
        ggml_tensor * m0 = channels_of(m, 0, taps);
        ggml_tensor * m1 = channels_of(m, taps, taps);
        ggml_tensor * m2 = channels_of(m, 2 * taps, taps);
        // (bins, hops, streams, taps) -> (taps, bins, hops, streams)
        const auto taps_first = [&](ggml_tensor * x) { return ggml_cont(c_, ggml_permute(c_, x, 1, 2, 3, 0)); };
        ggml_tensor * h_re = taps_first(ggml_sub(c_, m0, ggml_scale(c_, ggml_add(c_, m1, m2), 0.5f)));
        ggml_tensor * h_im = taps_first(ggml_scale(c_, ggml_sub(c_, m1, m2), float(std::sqrt(0.75))));
        ggml_tensor * patches = windows(w.matrix, with_past(op), 1);
        ggml_tensor * x_re = ggml_cont(c_, bins_of(patches, 0, taps));
        ggml_tensor * x_im = ggml_cont(c_, bins_of(patches, taps, taps));
        const auto over_taps = [&](ggml_tensor * x) {
            return ggml_reshape_4d(c_, ggml_sum_rows(c_, x), op.out.bins, hops_, streams_, 1);
        };
        ggml_tensor * re = over_taps(ggml_sub(c_, ggml_mul(c_, h_re, x_re), ggml_mul(c_, h_im, x_im)));
        ggml_tensor * im = over_taps(ggml_add(c_, ggml_mul(c_, h_re, x_im), ggml_mul(c_, h_im, x_re)));
        return ggml_concat(c_, re, im, 3);
    }

    ggml_context * c_;
    const GgmlProgram & program_;
    const GgmlMemory & memory_;
    const std::vector<ggml_tensor *> & s4d_;
    const int64_t hops_, streams_;
    std::vector<ggml_tensor *> values_;
    std::vector<ggml_tensor *> whole_; // values with all the past that anybody reads
    std::vector<ggml_tensor *> keeps_; // what writes the memory
    GgmlGraph out_;
};

} // namespace

GgmlMemory make_memory(ggml_context * context, const Net & net, int streams) {
    const size_t operations = net.operations().size();
    GgmlMemory memory{streams, std::vector<ggml_tensor *>(operations), std::vector<ggml_tensor *>(operations)};
    const std::vector<int> back = hops_back(net);
    for (const Operation & op : net.operations()) {
        const size_t id = size_t(op.out.id);
        if (back[id] > 0) {
            memory.past[id] =
                ggml_new_tensor_4d(context, GGML_TYPE_F32, op.out.bins, back[id], streams, op.out.channels);
        }
        if (op.verb == Verb::s4d) {
            memory.own[id] = ggml_new_tensor_4d(context, GGML_TYPE_F32, 2, 1, streams, op.out.channels);
        } else if (op.verb == Verb::synthesis) {
            memory.own[id] = ggml_new_tensor_3d(context, GGML_TYPE_F32, kHop, 1, streams);
        }
    }
    return memory;
}

std::vector<float> s4d_matrices(const std::vector<double> & recurrence, int hops) {
    using complex = std::complex<double>;
    const size_t channels = recurrence.size() / 6, n = size_t(hops), side = n + 2;
    std::vector<float> out(channels * side * side, 0.0f);
    for (size_t h = 0; h < channels; ++h) {
        const auto coefficient = [&](size_t i) {
            return complex(recurrence[2 * i * channels + h], recurrence[(2 * i + 1) * channels + h]);
        };
        const complex a = coefficient(0), b = coefficient(1), c = coefficient(2);
        float * m = out.data() + h * side * side; // rows are results
        std::vector<complex> powers(n + 1, complex(1.0));
        for (size_t k = 1; k <= n; ++k) {
            powers[k] = powers[k - 1] * a;
        }
        for (size_t t = 0; t < n; ++t) {
            for (size_t s = 0; s <= t; ++s) {
                m[t * side + s] = float((c * powers[t - s] * b).real());
            }
            const complex past = c * powers[t + 1];
            m[t * side + n] = float(past.real());
            m[t * side + n + 1] = float(-past.imag());
        }
        for (size_t s = 0; s < n; ++s) {
            const complex effect = powers[n - 1 - s] * b;
            m[n * side + s] = float(effect.real());
            m[(n + 1) * side + s] = float(effect.imag());
        }
        m[n * side + n] = m[(n + 1) * side + n + 1] = float(powers[n].real());
        m[n * side + n + 1] = float(-powers[n].imag());
        m[(n + 1) * side + n] = float(powers[n].imag());
    }
    return out;
}

GgmlGraph lower(ggml_context * context, const GgmlProgram & program, const GgmlMemory & memory,
                const std::vector<ggml_tensor *> & s4d, int hops) {
    return Lowering(context, program, memory, s4d, hops).run();
}

size_t lowering_size(const Net & net) {
    const size_t nodes = kNodesPerOperation * net.operations().size();
    return nodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(nodes, false);
}

} // namespace localvqe
