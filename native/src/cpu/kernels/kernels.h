// The arithmetic of the engine as a table of functions, one table per instruction set. Every set computes each output
// value by the same sequence of operations whatever the blocking, so results do not depend on the thread count or on
// how many frames one call processes.
#pragma once

#include "../../activation.h"
#include "contract/constants.h"
#include "prefetch.h"

#include <cstddef>
#include <cstdint>

namespace localvqe {

constexpr int kMaxRows = 8;         // time taps of a convolution
constexpr int kMaxPanelVectors = 8; // output vectors one micro-kernel keeps in registers

// A run of output channels whose weights are contiguous in memory: [row][tap][vectors * lanes].
struct Panel {
    int first;     // first output channel
    int vectors;   // width in vectors
    size_t offset; // into PackedConv::weights, in floats
};

// Integer convolutions add up the products of a segment exactly, in 32 bits: activations are at most kLargestActivation,
// and the weights of an output in a segment at most kLargestWeights in all. What two bits less would cost is about the
// same on either side.
constexpr int kLargestActivation = 16383;
constexpr int kLargestWeights = 131072;
static_assert(int64_t(kLargestActivation) * kLargestWeights <= INT32_MAX, "a sum of products may overflow");

// A run of taps within one time tap whose products one scale serves. Shorter ones have finer weights, longer ones less
// to do beside multiplying.
struct Segment {
    int row;
    int tap;   // first tap
    int pairs; // taps, two by two; the last weight is zero where their number is odd
};
constexpr int kSegmentTaps = 160;

// Weights of one convolution (or linear layer: one row, one position), packed for a kernel set.
struct PackedConv {
    int rows = 0; // time taps kh
    int taps = 0; // kw * input channels, contiguous in a channel-last frame
    int outputs = 0;
    int n_panels = 0;
    const Panel * panels = nullptr;
    const float * weights = nullptr;
    const float * bias = nullptr; // outputs rounded up to whole panels

    // Instead of `weights`, for int_conv: integers per panel as [segment][pair][vectors * lanes][2], scales as
    // [segment][vectors * lanes].
    const int16_t * integers = nullptr;
    const float * scales = nullptr;
    const Segment * segments = nullptr;
    int n_segments = 0;
    int pairs = 0; // of all segments
};

// Positions one micro-kernel handles for a panel of V vectors. Panels of more than four belong to layers with one position.
constexpr int positions_per_tile(int accumulators, int vectors) {
    return accumulators / vectors < 1 || vectors > 4 ? 1 : accumulators / vectors > 8 ? 8 : accumulators / vectors;
}

// One frame of a convolution. Inputs are channel-last, so a window of kw bins is `taps` contiguous floats.
struct ConvCall {
    const PackedConv * conv = nullptr;
    const float * rows[kMaxRows] = {};       // oldest frame first, at the first (padded) bin
    const int16_t * int_rows[kMaxRows] = {}; // the same as integers, for int_conv
    float row_scales[kMaxRows] = {};         // and what they are multiples of
    int step = 0;                            // values between the windows of neighbouring outputs (stride * channels)
    Activation activation = Activation::none;
    const float * residual = nullptr; // added after the activation, laid out like out; or null
    float * out = nullptr;
    int position_step = 0; // floats between neighbouring output positions
    int channel_step = 1;  // floats between neighbouring channels
    int group = 0;         // channels per group; group g starts at out + g * group_step
    size_t group_step = 0; // the upper half of the frequency axis after a pixel shuffle (report, 2.3)
    PrefetchCursor ahead;  // what to fetch meanwhile
};

// The learned controller of the front-end's gain; see frontend_gain.inl.h and host/frontend_gain.h.
struct GainWeights {
    int hidden = 0;
    const float * weight_ih = nullptr; // (3 hidden, features), rows: reset, update, state
    const float * weight_hh = nullptr; // (3 hidden, hidden)
    const float * bias_ih = nullptr;
    const float * bias_hh = nullptr;
    const float * out_weight = nullptr; // (2, hidden)
    const float * out_bias = nullptr;
};

// What it listens to: spectra and powers of one hop.
struct GainInputs {
    const float * error_re;
    const float * error_im;
    const float * echo_re;
    const float * echo_im;
    const float * far_re; // of the newest frame that the filter hears
    const float * far_im;
    const float * mic_power;
    const float * far_power;
    const float * unsure;
    const float * noise;
};

// The smoothed levels it keeps.
struct GainLevels {
    float * far;
    float * error;
    float * echo;
    float * cross_re;
    float * cross_im;
    float * before_re; // the far end's spectrum a hop ago
    float * before_im;
    float * recent;    // its smoothed power
    float * steady_re; // its smoothed product with the one before it
    float * steady_im;
    float * tonality; // one number
};

struct Kernels {
    const char * name;
    int lanes;              // floats per vector
    int registers;          // accumulators a micro-kernel may use
    bool integer_is_faster; // int_conv beats conv on unpacked weights (docs/reference/quantization.md says by how much)

    // Output positions [first, last) of one frame.
    void (*conv)(const ConvCall & call, int first, int last);

    // The same with quantized weights and integer input.
    void (*int_conv)(const ConvCall & call, int first, int last);
    // n values as integers up to kLargestActivation with a common scale, which is returned.
    float (*to_integers)(const float * x, int n, int16_t * out);

    // Weights of `width` outputs (a multiple of lanes) as floats: out[tap][output]. A word has two half-precision numbers,
    // none of them NaN or infinite, of consecutive taps: words[tap / 2][output].
    void (*unpack_halves)(const uint32_t * words, int taps, int width, float * out);
    // Likewise of four signed bytes, words[tap / 4][output], each times the output's scale.
    void (*unpack_bytes)(const uint32_t * words, const float * scales, int taps, int width, float * out);

    // CausalGroupNorm statistics over n values: mean and 1/sqrt(variance + 1e-5) (report, 3).
    // The values come in two contiguous pieces (the second may be empty).
    void (*norm_stats)(const float * a, size_t na, const float * b, size_t nb, float * mean, float * scale);

    // y = gamma * (x - mean) * scale + beta per channel, over bins; y_step is floats between bins of y (report, eq. 17).
    void (*norm_apply)(const float * x, int bins, int channels, float mean, float scale, const float * gamma,
                       const float * beta, float * y, int y_step);

    // Power-law features of `bins` interleaved (re, im) pairs (report, 2.2).
    void (*power_law)(const float * spectrum, float * features, int bins, float c);

    // sum_f q[f][h] * k[f][h] for every h of `width` (a multiple of lanes), times scale (report, eq. 6).
    void (*similarity)(const float * q, const float * k, int bins, int width, float scale, float * out);

    // Sum over rows r of the products of a[r] and b, whose rows of n follow each other.
    float (*dot)(const float * const * a, const float * b, int n_rows, int n);

    void (*softmax)(float * x, int n);

    // out[i] = sum_d weights[d] * rows[d][i] for i in [first, last) (report, eq. 4).
    void (*weighted_sum)(const float * const * rows, const float * weights, int n_rows, float * out, int first,
                         int last);

    // One step of the diagonal recurrence over `n` states (a multiple of lanes); see net.h.
    void (*s4d_step)(const float * coefficients, float * state, const float * v, float * y, int n);

    // Complex convolving mask over bins [first, last), planar inputs; see net.h.
    void (*mask)(const float * mask, size_t mask_stride, const float * const * re, const float * const * im,
                 float * out_re, float * out_im, int first, int last);

    // Runs `rounds` rounds of independent multiply-adds, `*per_round` each, all in registers: the machine's peak.
    // Returns a value that depends on all of them.
    float (*peak)(long rounds, long * per_round);

    // x[i] = activation(x[i]); used by tests of the vector functions.
    void (*activate)(Activation kind, float * x, int n);

    // Passes of the adaptive front-end over `n` bins (a multiple of 16) in split format; see frontend.inl.h.
    void (*whiten)(const float * re, const float * im, float memory, float share, float floor, float * power,
                   float * white_re, float * white_im, int n);
    float (*agree)(const float * far_re, const float * far_im, const float * near_re, const float * near_im,
                   float memory, float * sum_re, float * sum_im, int n);
    void (*kalman_predict)(const float * w_re, const float * w_im, float keep, float floor, const float * process,
                           float * variance, int n);
    void (*kalman_levels)(const float * const * far_re, const float * const * far_im, const float * variance,
                          int partitions, float * far_power, float * unsure, int n);
    void (*gain_features)(const GainInputs & in, bool first, int bins, GainLevels & levels, float * features, int n);
    void (*gain_step)(const GainWeights & weights, const float * features, float tonality, float * hidden,
                      float * scratch, float * noise_factor, float * process_factor, int n);
    void (*kalman_echo)(const float * const * far_re, const float * const * far_im, const float * w_re,
                        const float * w_im, int partitions, float * out_re, float * out_im, int n);
    void (*kalman_update)(const float * const * far_re, const float * const * far_im, const float * error_re,
                          const float * error_im, const float * noise, float floor, float restraint, float limit,
                          int partitions, float * w_re, float * w_im, float * variance, int n);
};

// The best set for this CPU, or the one named by the environment variable LOCALVQE_KERNELS (portable, wide, avx2, avx512,
// avx512vnni). Throws Error for a name that is unknown or that this CPU cannot run.
const Kernels & select_kernels();

constexpr int kMaxKernelSets = 5;

// Names of the sets this CPU can run; returns how many were written to out (at most capacity).
int available_kernels(const Kernels ** out, int capacity);

} // namespace localvqe
