// Every kernel of every set this CPU can run, or of those that are named, against plain double-precision loops.

#include "transform.h"
#include "check.h"
#include "cpu/kernels/kernels.h"
#include "cpu/packing.h"
#include "cpu/read_ahead.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

using namespace localvqe;

namespace {

std::mt19937 generator(1);

std::vector<float> noise(size_t n, float level = 1.0f) {
    std::normal_distribution<float> normal(0.0f, level);
    std::vector<float> out(n);
    for (float & x : out) {
        x = normal(generator);
    }
    return out;
}

double activation(Activation kind, double x) {
    switch (kind) {
        case Activation::relu6: return std::fmin(std::fmax(x, 0.0), 6.0);
        case Activation::silu: return x / (1.0 + std::exp(-x));
        case Activation::elu: return x > 0.0 ? x : std::expm1(x);
        default: return x;
    }
}

void test_activations(const Kernels & k) {
    for (Activation kind : {Activation::none, Activation::relu6, Activation::silu, Activation::elu}) {
        double worst = 0.0;
        for (double x = -100.0; x <= 100.0; x += 0.0137) {
            float y = float(x);
            k.activate(kind, &y, 1);
            const double want = activation(kind, double(float(x)));
            worst = std::fmax(worst, std::fabs(double(y) - want) / std::fmax(1.0, std::fabs(want)));
        }
        CHECK(worst < 3e-7, "%s: activation %d is off by %g", k.name, int(kind), worst);
        for (float x : {-1e-6f, -1e-20f, 0.0f, 1e-20f}) { // no cancellation near zero
            float y = x;
            k.activate(kind, &y, 1);
            CHECK(std::fabs(double(y) - activation(kind, double(x))) <= 2e-7 * std::fabs(double(x)),
                  "%s: activation %d(%g)", k.name, int(kind), double(x));
        }
    }
}

// One convolution of arbitrary shape; positions are split at `cut` to check that blocking leaves no trace.
void test_conv(const Kernels & k, int positions, int inputs, int outputs, int kh, int kw, int stride, int groups,
               bool planar, bool one_position, Activation kind, bool residual, int cut) {
    const int taps = kw * inputs;
    const std::vector<float> weight = noise(size_t(outputs) * size_t(kh) * size_t(taps), 0.2f);
    const std::vector<float> bias = noise(size_t(outputs), 0.2f);
    const ConvWeights weights(
        k, outputs, kh, taps, one_position,
        [&](int o, int r, int t) { return weight[(size_t(o) * size_t(kh) + size_t(r)) * size_t(taps) + size_t(t)]; },
        [&](int o) { return bias[size_t(o)]; });
    const size_t row_length = size_t(positions) * size_t(stride) * size_t(inputs) + size_t(taps);
    std::vector<std::vector<float>> rows;
    for (int r = 0; r < kh; ++r) {
        rows.push_back(noise(row_length));
    }
    const int channels = outputs / groups;
    const size_t n = size_t(positions) * size_t(outputs);
    const std::vector<float> add = noise(n);
    std::vector<float> out(n + 1, 77.0f); // one guard value

    ConvCall call;
    call.conv = &weights.packed();
    for (int r = 0; r < kh; ++r) {
        call.rows[r] = rows[size_t(r)].data();
    }
    call.step = stride * inputs;
    call.activation = kind;
    call.residual = residual ? add.data() : nullptr;
    call.out = out.data();
    call.group = channels;
    call.position_step = planar ? 1 : channels;
    call.channel_step = planar ? groups * positions : 1;
    call.group_step = planar ? size_t(positions) : size_t(positions) * size_t(channels);
    k.conv(call, 0, cut);
    k.conv(call, cut, positions);

    double worst = 0.0;
    for (int p = 0; p < positions; ++p) {
        for (int o = 0; o < outputs; ++o) {
            double sum = double(bias[size_t(o)]), size = 1.0;
            for (int r = 0; r < kh; ++r) {
                for (int t = 0; t < taps; ++t) {
                    const double term =
                        double(weight[(size_t(o) * size_t(kh) + size_t(r)) * size_t(taps) + size_t(t)]) *
                        double(rows[size_t(r)][size_t(p) * size_t(stride) * size_t(inputs) + size_t(t)]);
                    sum += term;
                    size += std::fabs(term);
                }
            }
            const int g = o / channels, c = o % channels;
            const size_t at = size_t(g) * call.group_step + size_t(p) * size_t(call.position_step) +
                              size_t(c) * size_t(call.channel_step);
            const double want = activation(kind, sum) + (residual ? double(add[at]) : 0.0);
            worst = std::fmax(worst, std::fabs(double(out[at]) - want) / size);
        }
    }
    CHECK(worst < 1e-6,
          "%s: conv %dx(%d->%d) kernel %dx%d stride %d groups %d planar %d is off by %g of the terms' size", k.name,
          positions, inputs, outputs, kh, kw, stride, groups, int(planar), worst);
    CHECK(out[n] == 77.0f, "%s: conv wrote beyond its output", k.name);
}

void test_convs(const Kernels & k) {
    std::uniform_int_distribution<int> width(1, 60), kernel(1, 8), bins(1, 40), activations(0, 3), coin(0, 1);
    for (int i = 0; i < 150; ++i) {
        const int positions = bins(generator);
        const int groups = coin(generator) + 1;
        const int outputs = width(generator) * groups;
        const bool planar = coin(generator) == 1;
        std::uniform_int_distribution<int> cut(0, positions);
        test_conv(k, positions, width(generator), outputs, kernel(generator), kernel(generator), coin(generator) + 1,
                  groups, planar, false, Activation(activations(generator)), coin(generator) == 1, cut(generator));
    }
    test_conv(k, 8, 40, 40, 4, 4, 1, 1, false, false, Activation::silu, true, 4);    // the deepest stage
    test_conv(k, 128, 32, 54, 4, 4, 1, 2, true, false, Activation::none, false, 64); // dec1
    test_conv(k, 1, 512, 512, 1, 1, 1, 1, false, true, Activation::none, false, 0);  // a filterbank
}

// A matrix read back from packed integers, [output][row * taps + tap]; checks that no segment can overflow.
std::vector<double> unpacked(const Kernels & k, const PackedConv & conv, std::vector<double> & steps) {
    std::vector<double> weights(size_t(conv.outputs * conv.rows * conv.taps));
    steps.resize(weights.size());
    int64_t largest = 0;
    bool beyond = false; // a weight that does not exist is not zero
    for (int i = 0; i < conv.n_panels; ++i) {
        const Panel & panel = conv.panels[i];
        const int width = panel.vectors * k.lanes;
        const int16_t * w = conv.integers + ptrdiff_t(panel.first) * conv.pairs * 2;
        const float * scales = conv.scales + ptrdiff_t(panel.first) * conv.n_segments;
        for (int s = 0; s < conv.n_segments; ++s) {
            const Segment & segment = conv.segments[s];
            for (int o = 0; o < width; ++o) {
                int64_t sum = 0;
                for (int pair = 0; pair < 2 * segment.pairs; ++pair) {
                    const int integer = w[(pair / 2 * width + o) * 2 + pair % 2], tap = segment.tap + pair;
                    sum += std::abs(integer);
                    const bool exists = panel.first + o < conv.outputs && tap < conv.taps;
                    beyond = beyond || (!exists && integer != 0);
                    if (exists) {
                        const size_t at = size_t(((panel.first + o) * conv.rows + segment.row) * conv.taps + tap);
                        weights[at] = double(integer) * double(scales[o]);
                        steps[at] = double(scales[o]);
                    }
                }
                largest = std::max(largest, sum);
            }
            w += segment.pairs * width * 2;
            scales += width;
        }
    }
    CHECK(!beyond, "%s: a weight that does not exist counts", k.name);
    CHECK(largest * kLargestActivation <= INT32_MAX, "%s: the weights of a segment are %lld in all", k.name,
          static_cast<long long>(largest));
    return weights;
}

// Weights as integers are the weights to half a step; sums of products are those in double precision.
void test_int_conv(const Kernels & k, int positions, int inputs, int outputs, int kh, int kw, int stride,
                   Activation kind, int cut) {
    const int taps = kw * inputs, columns = kh * taps;
    std::uniform_int_distribution<int> value(-kLargestActivation, kLargestActivation);
    const std::vector<float> wanted = noise(size_t(outputs * columns)), bias = noise(size_t(outputs), 0.2f);
    const std::unique_ptr<ConvWeights> packed = ConvWeights::integers(
        k, outputs, kh, taps, [&](int o, int row, int tap) { return wanted[size_t((o * kh + row) * taps + tap)]; },
        [&](int o) { return bias[size_t(o)]; });
    CHECK(packed->integer(), "%s: the weights are no integers", k.name);
    std::vector<double> steps;
    const std::vector<double> weights = unpacked(k, packed->packed(), steps);
    double coarsest = 0.0, furthest = 0.0;
    for (size_t i = 0; i < weights.size(); ++i) {
        furthest = std::fmax(furthest, std::fabs(weights[i] - double(wanted[i])) / steps[i]);
        coarsest = std::fmax(coarsest, steps[i]);
    }
    CHECK(furthest <= 0.501, "%s: a weight is off by %g steps", k.name, furthest);
    CHECK(coarsest < 2e-3, "%s: integers in steps of %g for weights around 1", k.name, coarsest);
    const size_t row_length = size_t(positions) * size_t(stride) * size_t(inputs) + size_t(taps);
    std::vector<std::vector<int16_t>> rows;
    ConvCall call;
    for (int r = 0; r < kh; ++r) {
        rows.emplace_back(row_length + 1); // pairs may reach one beyond
        for (int16_t & x : rows.back()) {
            x = int16_t(value(generator));
        }
    }
    for (int r = 0; r < kh; ++r) {
        call.int_rows[r] = rows[size_t(r)].data();
        call.row_scales[r] = 1e-5f * float(r + 1);
    }
    std::vector<float> out(size_t(positions * outputs) + 1, 77.0f);
    call.conv = &packed->packed();
    call.step = stride * inputs;
    call.activation = kind;
    call.out = out.data();
    call.group = outputs;
    call.position_step = outputs;
    k.int_conv(call, 0, cut);
    k.int_conv(call, cut, positions);
    double worst = 0.0;
    for (int p = 0; p < positions; ++p) {
        for (int o = 0; o < outputs; ++o) {
            double sum = double(bias[size_t(o)]), size = 1.0;
            for (int c = 0; c < columns; ++c) {
                const double x = double(rows[size_t(c / taps)][size_t(p * stride * inputs + c % taps)]) *
                                 double(call.row_scales[c / taps]);
                const double term = x * weights[size_t(o * columns + c)];
                sum += term;
                size += std::fabs(term);
            }
            worst = std::fmax(worst, std::fabs(double(out[size_t(p * outputs + o)]) - activation(kind, sum)) / size);
        }
    }
    CHECK(worst < 1e-6, "%s: integer conv %dx(%d->%d) kernel %dx%d stride %d is off by %g of the terms' size", k.name,
          positions, inputs, outputs, kh, kw, stride, worst);
    CHECK(out.back() == 77.0f, "%s: an integer conv wrote beyond its output", k.name);
}

void test_int_convs(const Kernels & k) {
    std::uniform_int_distribution<int> width(1, 60), kernel(1, 8), bins(1, 40), activations(0, 3), stride(1, 2);
    for (int i = 0; i < 80; ++i) {
        const int positions = bins(generator);
        std::uniform_int_distribution<int> cut(0, positions);
        test_int_conv(k, positions, width(generator), width(generator), kernel(generator), kernel(generator),
                      stride(generator), Activation(activations(generator)), cut(generator));
    }
    // The largest sums that a segment can have, in both directions; weights that are nothing, too little or too much.
    const int n = kSegmentTaps;
    const auto no_bias = [](int) { return 0.0f; };
    const auto sum_of = [&](float weight, int activation) {
        const auto packed = ConvWeights::integers(k, 1, 1, n, [=](int, int, int) { return weight; }, no_bias);
        const std::vector<int16_t> x(size_t(n) + 2, int16_t(activation));
        float sum = 0.0f;
        ConvCall call;
        call.conv = &packed->packed();
        call.int_rows[0] = x.data();
        call.row_scales[0] = 1.0f;
        call.out = &sum;
        call.group = call.position_step = 1;
        k.int_conv(call, 0, 1);
        return double(sum);
    };
    const double largest = double(n) * kLargestActivation;
    for (int sign : {-1, 1}) {
        CHECK(std::fabs(sum_of(-0.5f, sign * kLargestActivation) / (sign * -0.5 * largest) - 1.0) < 1e-3,
              "%s: the extremes sum to %g", k.name, sum_of(-0.5f, sign * kLargestActivation));
    }
    CHECK(sum_of(0.0f, 5) == 0.0 && sum_of(1e-37f, 5) == 0.0, "%s: weights of nothing", k.name);
    CHECK(!std::isfinite(sum_of(HUGE_VALF, 5)), "%s: infinite weights must show", k.name);

    for (int count : {1, 7, 64, 1000}) {
        const std::vector<float> x = noise(size_t(count), 3.0f);
        std::vector<int16_t> y(size_t(count) + 1, int16_t(99));
        const float scale = k.to_integers(x.data(), count, y.data());
        int top = 0;
        for (int i = 0; i < count; ++i) {
            CHECK(std::fabs(double(x[size_t(i)]) - double(y[size_t(i)]) * double(scale)) <= 0.502 * double(scale),
                  "%s: integer %d", k.name, i);
            top = std::max(top, std::abs(int(y[size_t(i)])));
        }
        CHECK(top == kLargestActivation && y.back() == 99, "%s: %d integers up to %d", k.name, count, top);
    }
    const std::vector<float> silence(50, 0.0f), tiny(50, 1e-39f);
    std::vector<int16_t> zeros(50, int16_t(5));
    CHECK(k.to_integers(silence.data(), 50, zeros.data()) == 0.0f && zeros[49] == 0, "%s: silence", k.name);
    CHECK(k.to_integers(tiny.data(), 50, zeros.data()) == 0.0f && zeros[0] == 0, "%s: denormals", k.name);
}

// Weights in words, unpacked: any number of taps, every half-precision number and every byte.
void test_unpack(const Kernels & k) {
    const int width = 2 * k.lanes;
    for (const int taps : {1, 2, 3, 4, 5, 6, 7, 8, 1024}) {
        std::vector<uint32_t> halves(size_t((taps + 1) / 2 * width)), bytes(size_t((taps + 3) / 4 * width));
        std::vector<float> scales = noise(size_t(width)), out(size_t(taps * width) + 1, 77.0f);
        const auto half = [&](int tap, int o) { // neither infinite nor NaN
            const uint32_t bits = uint32_t((tap * width + o) * 61) & 0xffffu;
            return (bits & 0x7c00u) == 0x7c00u ? bits & 0x83ffu : bits;
        };
        const auto byte = [&](int tap, int o) { return int8_t((tap * width + o) * 7); };
        for (int tap = 0; tap < taps; ++tap) {
            for (int o = 0; o < width; ++o) {
                halves[size_t(tap / 2 * width + o)] |= half(tap, o) << (tap % 2 * 16);
                bytes[size_t(tap / 4 * width + o)] |= uint32_t(uint8_t(byte(tap, o))) << (tap % 4 * 8);
            }
        }
        k.unpack_halves(halves.data(), taps, width, out.data());
        bool same = true;
        for (int i = 0; i < taps * width; ++i) {
            const uint32_t bits = half(i / width, i % width);
            const int exponent = int(bits >> 10 & 31u);
            const double mantissa = double(bits & 1023u) / 1024.0 + (exponent == 0 ? 0.0 : 1.0);
            const float want = float(std::ldexp(mantissa, (exponent == 0 ? 1 : exponent) - 15));
            same = same && out[size_t(i)] == ((bits & 0x8000u) != 0 ? -want : want);
        }
        CHECK(same && out.back() == 77.0f, "%s: halves of %d taps", k.name, taps);
        k.unpack_bytes(bytes.data(), scales.data(), taps, width, out.data());
        same = true;
        for (int i = 0; i < taps * width; ++i) {
            same = same && out[size_t(i)] == float(byte(i / width, i % width)) * scales[size_t(i % width)];
        }
        CHECK(same && out.back() == 77.0f, "%s: bytes of %d taps", k.name, taps);
    }
}

void test_norm(const Kernels & k) {
    for (size_t na : {size_t(1), size_t(7), size_t(512), size_t(4096)}) {
        for (size_t nb : {size_t(0), size_t(3), size_t(640)}) {
            std::vector<float> a = noise(na, 3.0f), b = noise(nb, 0.5f);
            for (float & x : a) {
                x += 10.0f; // a mean far from zero
            }
            double total = 0.0, squares = 0.0;
            for (float x : a) {
                total += double(x);
            }
            for (float x : b) {
                total += double(x);
            }
            const double mean = total / double(na + nb);
            for (float x : a) {
                squares += (double(x) - mean) * (double(x) - mean);
            }
            for (float x : b) {
                squares += (double(x) - mean) * (double(x) - mean);
            }
            const double scale = 1.0 / std::sqrt(squares / double(na + nb) + 1e-5);
            float m = 0.0f, s = 0.0f;
            k.norm_stats(a.data(), na, b.data(), nb, &m, &s);
            CHECK(std::fabs(double(m) - mean) < 2e-6 * std::fabs(mean) + 1e-7, "%s: mean %g, want %g", k.name,
                  double(m), mean);
            CHECK(std::fabs(double(s) / scale - 1.0) < 1e-4, "%s: scale %g, want %g", k.name, double(s), scale);
        }
    }
    const std::vector<float> x = noise(6 * 13), gamma = noise(13), beta = noise(13);
    std::vector<float> y(6 * 20, 5.0f);
    k.norm_apply(x.data(), 6, 13, 0.3f, 1.7f, gamma.data(), beta.data(), y.data(), 20);
    for (int f = 0; f < 6; ++f) {
        for (int c = 0; c < 20; ++c) {
            const double want = c < 13 ? (double(x[size_t(f * 13 + c)]) - 0.3) * 1.7 * double(gamma[size_t(c)]) +
                                             double(beta[size_t(c)])
                                       : 5.0;
            CHECK(std::fabs(double(y[size_t(f * 20 + c)]) - want) < 2e-5, "%s: norm_apply at %d, %d", k.name, f, c);
        }
    }
}

void test_power_law(const Kernels & k) {
    for (float level : {0.0f, 1e-20f, 1e-6f, 0.1f, 1.0f, 1e6f}) {
        const std::vector<float> spectrum = noise(512, level);
        std::vector<float> features(512);
        k.power_law(spectrum.data(), features.data(), 256, 0.3f);
        double worst = 0.0;
        for (size_t f = 0; f < 256; ++f) {
            const double re = double(spectrum[2 * f]), im = double(spectrum[2 * f + 1]);
            const double magnitude = std::sqrt(re * re + im * im + 1e-12);
            const double gain = 1.0 / (std::pow(magnitude, 0.7) + 1e-12);
            const double size = std::fmax(std::hypot(re, im) * gain, 1e-6);
            worst = std::fmax(
                worst, std::hypot(double(features[2 * f]) - re * gain, double(features[2 * f + 1]) - im * gain) / size);
        }
        CHECK(worst < 3e-6, "%s: power law at level %g is off by %g", k.name, double(level), worst);
    }
}

void test_align(const Kernels & k) {
    for (int width = k.lanes; width <= 6 * k.lanes; width += k.lanes) {
        const int bins = 64;
        const std::vector<float> q = noise(size_t(bins * width)), key = noise(size_t(bins * width));
        std::vector<float> out(size_t(width) + 1, 9.0f);
        k.similarity(q.data(), key.data(), bins, width, 0.125f, out.data());
        for (int h = 0; h < width; ++h) {
            double want = 0.0;
            for (int f = 0; f < bins; ++f) {
                want += double(q[size_t(f * width + h)]) * double(key[size_t(f * width + h)]);
            }
            CHECK(std::fabs(double(out[size_t(h)]) - want * 0.125) < 1e-5, "%s: similarity %d", k.name, h);
        }
        CHECK(out[size_t(width)] == 9.0f, "%s: similarity wrote too far", k.name);
    }
    for (int n : {1, 5, 96, 301}) {
        const int n_rows = 5;
        std::vector<std::vector<float>> a;
        std::vector<const float *> pointers;
        const std::vector<float> b = noise(size_t(n_rows * n));
        double want = 0.0;
        for (int r = 0; r < n_rows; ++r) {
            a.push_back(noise(size_t(n)));
            pointers.push_back(a.back().data());
            for (int i = 0; i < n; ++i) {
                want += double(a.back()[size_t(i)]) * double(b[size_t(r * n + i)]);
            }
        }
        CHECK(std::fabs(double(k.dot(pointers.data(), b.data(), n_rows, n)) - want) < 2e-5, "%s: dot of %d", k.name, n);
    }
    std::vector<float> logits = noise(33, 50.0f);
    const std::vector<float> before = logits;
    k.softmax(logits.data(), 33);
    double total = 0.0, top = -1e30;
    for (float x : before) {
        top = std::fmax(top, double(x));
    }
    for (float x : before) {
        total += std::exp(double(x) - top);
    }
    for (size_t i = 0; i < 33; ++i) {
        CHECK(std::fabs(double(logits[i]) - std::exp(double(before[i]) - top) / total) < 1e-6, "%s: softmax %zu",
              k.name, i);
    }
    const int n = 301;
    std::vector<std::vector<float>> rows;
    std::vector<const float *> pointers;
    for (int d = 0; d < 7; ++d) {
        rows.push_back(noise(size_t(n)));
        pointers.push_back(rows.back().data());
    }
    const std::vector<float> weights = noise(7);
    const size_t length = size_t(n);
    std::vector<float> whole(length), parts(length);
    k.weighted_sum(pointers.data(), weights.data(), 7, whole.data(), 0, n);
    k.weighted_sum(pointers.data(), weights.data(), 7, parts.data(), 0, 48);
    k.weighted_sum(pointers.data(), weights.data(), 7, parts.data(), 48, n);
    for (size_t i = 0; i < size_t(n); ++i) {
        double want = 0.0;
        for (size_t d = 0; d < 7; ++d) {
            want += double(weights[d]) * double(rows[d][i]);
        }
        CHECK(std::fabs(double(whole[i]) - want) < 5e-6, "%s: weighted sum %zu", k.name, i);
        CHECK(whole[i] == parts[i], "%s: weighted sum depends on how it is shared", k.name);
    }
}

void test_s4d(const Kernels & k) {
    const int n = 2 * k.lanes;
    const std::vector<float> c = noise(size_t(6 * n), 0.5f), v = noise(size_t(n));
    const size_t width = size_t(n);
    std::vector<float> state = noise(2 * width), y(width);
    const std::vector<float> h = state;
    k.s4d_step(c.data(), state.data(), v.data(), y.data(), n);
    const auto at = [&](int part, int i) { return double(c[size_t(part * n + i)]); };
    for (int i = 0; i < n; ++i) {
        const double re =
            at(0, i) * double(h[size_t(i)]) - at(1, i) * double(h[size_t(n + i)]) + at(2, i) * double(v[size_t(i)]);
        const double im =
            at(0, i) * double(h[size_t(n + i)]) + at(1, i) * double(h[size_t(i)]) + at(3, i) * double(v[size_t(i)]);
        CHECK(std::fabs(double(state[size_t(i)]) - re) < 1e-6, "%s: s4d re %d", k.name, i);
        CHECK(std::fabs(double(state[size_t(n + i)]) - im) < 1e-6, "%s: s4d im %d", k.name, i);
        CHECK(std::fabs(double(y[size_t(i)]) - (at(4, i) * re - at(5, i) * im)) < 2e-6, "%s: s4d y %d", k.name, i);
    }
    std::vector<float> silence(width, 0.0f), decaying(6 * width, 0.0f);
    for (int i = 0; i < n; ++i) {
        decaying[size_t(i)] = 0.5f;
        state[size_t(i)] = state[size_t(n + i)] = 1.0f;
    }
    for (int step = 0; step < 200; ++step) {
        k.s4d_step(decaying.data(), state.data(), silence.data(), y.data(), n);
    }
    CHECK(state[0] == 0.0f, "%s: the state decays to %g instead of zero", k.name, double(state[0]));
}

void test_mask(const Kernels & k) {
    const std::vector<float> m = noise(27 * 256);
    std::vector<std::vector<float>> padded;
    for (int i = 0; i < 6; ++i) {
        padded.push_back(noise(258));
        padded.back().front() = padded.back().back() = 0.0f;
    }
    const float * re[3] = {padded[0].data() + 1, padded[1].data() + 1, padded[2].data() + 1};
    const float * im[3] = {padded[3].data() + 1, padded[4].data() + 1, padded[5].data() + 1};
    std::vector<float> out_re(256), out_im(256);
    k.mask(m.data(), 256, re, im, out_re.data(), out_im.data(), 0, 112);
    k.mask(m.data(), 256, re, im, out_re.data(), out_im.data(), 112, 256);
    for (int f = 0; f < 256; ++f) {
        double want_re = 0.0, want_im = 0.0;
        for (int tap = 0; tap < 9; ++tap) {
            const double m0 = double(m[size_t(tap * 256 + f)]), m1 = double(m[size_t((9 + tap) * 256 + f)]),
                         m2 = double(m[size_t((18 + tap) * 256 + f)]);
            const double h_re = m0 - 0.5 * m1 - 0.5 * m2, h_im = std::sqrt(3.0) / 2.0 * (m1 - m2);
            const double x_re = double(re[tap / 3][f + tap % 3 - 1]), x_im = double(im[tap / 3][f + tap % 3 - 1]);
            want_re += h_re * x_re - h_im * x_im;
            want_im += h_re * x_im + h_im * x_re;
        }
        CHECK(std::fabs(double(out_re[size_t(f)]) - want_re) < 1e-5, "%s: mask re %d", k.name, f);
        CHECK(std::fabs(double(out_im[size_t(f)]) - want_im) < 1e-5, "%s: mask im %d", k.name, f);
    }
}

// The dense bases in float, as a file holds them, must be recognised, and only they.
void test_transforms() {
    const double pi = std::acos(-1.0);
    for (int kind = 0; kind < 2; ++kind) {
        std::vector<float> encoder(512 * 512), decoder(512 * 512);
        for (int row = 0; row < 512; ++row) {
            for (int n = 0; n < 512; ++n) {
                double value, back;
                if (kind == 0) {
                    const double window = std::sqrt(0.5 - 0.5 * std::cos(2.0 * pi * (n + 0.5) / 512));
                    const double phase = 2.0 * pi * (row / 2 + 1) * n / 512;
                    value = window * (row % 2 == 0 ? std::cos(phase) : -std::sin(phase));
                    back = value * 2.0 / 512;
                } else {
                    value = back = std::sqrt((row == 0 ? 1.0 : 2.0) / 512) * std::cos(pi * (n + 0.5) * row / 512);
                }
                encoder[size_t(row * 512 + n)] = float(value);
                decoder[size_t(n * 512 + row)] = float(back);
            }
        }
        CHECK(find_transform(encoder, decoder) != nullptr, "basis %d is not recognised", kind);
        std::vector<float> changed = decoder;
        changed[777] += 1e-4f;
        CHECK(find_transform(encoder, changed) == nullptr, "a changed decoder of basis %d counts as standard", kind);
        changed = encoder;
        changed[512 * 300 + 5] *= -1.0f;
        CHECK(find_transform(changed, decoder) == nullptr, "a changed encoder of basis %d counts as standard", kind);
    }
}

} // namespace

// Every byte that is read is fetched exactly once a hop, before its turn, by operations that have lines to spare.
void test_read_ahead() {
    static const char memory[1 << 20] = {};
    std::vector<ReadDemand> ops;
    size_t at = 0;
    for (const size_t bytes : {size_t(4096), size_t(0), size_t(100000), size_t(200000), size_t(64), size_t(200001)}) {
        ops.push_back({{memory + at, bytes}, 8000});
        at += bytes;
    }
    const size_t reach = 250000;
    const auto plan = plan_read_ahead(ops, reach);
    CHECK(plan.size() == ops.size(), "a plan for %zu of %zu operations", plan.size(), ops.size());
    std::vector<int> fetched(at);
    for (size_t i = 0; i < plan.size(); ++i) {
        size_t lines = 0;
        for (const MemorySpan & span : plan[i]) {
            CHECK(span.begin >= memory && span.begin + span.bytes <= memory + at, "a span outside of what is read");
            lines += PrefetchCursor::lines_of(span);
            for (size_t b = 0; b < span.bytes; ++b) {
                fetched[size_t(span.begin - memory) + b] += 1;
            }
        }
        CHECK(lines <= ops[i].spare_lines, "operation %zu fetches %zu lines", i, lines);
    }
    for (size_t b = 0; b < at; ++b) {
        CHECK(fetched[b] == 1, "byte %zu is fetched %d times", b, fetched[b]);
    }
    for (const auto & spans : plan_read_ahead(ops, at)) {
        CHECK(spans.empty(), "what fits the cache is fetched again");
    }
    for (ReadDemand & op : ops) {
        op.spare_lines = 0;
    }
    for (const auto & spans : plan_read_ahead(ops, reach)) {
        CHECK(spans.empty(), "a fetch by an operation without a line to spare");
    }
    // The cursor goes through a list line by line, from any line on.
    const MemorySpan spans[] = {{memory, 130}, {memory + 1024, 64}, {memory + 4096, 640}};
    for (size_t skip = 0; skip <= 14; ++skip) {
        size_t count = 0;
        for (PrefetchCursor cursor(spans, 3, skip); !cursor.done(); cursor.advance(1)) {
            ++count;
        }
        CHECK(count == 14 - skip, "%zu lines after %zu of 14", count, skip);
    }
}

int main(int argc, char ** argv) {
    test_transforms();
    test_read_ahead();
    const Kernels * sets[kMaxKernelSets] = {};
    const int n = available_kernels(sets, kMaxKernelSets);
    const auto wanted = [&](const std::string & name) {
        return argc == 1 || std::find(argv + 1, argv + argc, name) != argv + argc;
    };
    for (int i = 0; i < n; ++i) {
        if (!wanted(sets[i]->name)) {
            continue;
        }
        std::printf("%s\n", sets[i]->name);
        test_activations(*sets[i]);
        test_convs(*sets[i]);
        test_int_convs(*sets[i]);
        test_unpack(*sets[i]);
        test_norm(*sets[i]);
        test_power_law(*sets[i]);
        test_align(*sets[i]);
        test_s4d(*sets[i]);
        test_mask(*sets[i]);
    }
    return check::report();
}
