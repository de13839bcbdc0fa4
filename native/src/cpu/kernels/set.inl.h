// Body of one kernel set. The including file defines LVQE_SET (its name), LVQE_LANES, LVQE_ACCUMULATORS and LVQE_INTEGER_IS_FASTER, and is
// compiled with the flags of its instruction set.

#include "compiler.h"
#include "kernels.h"

#if defined(LVQE_PLAIN_VECTORS)
// The vectors are arrays.
#elif defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

namespace localvqe {
namespace {

#include "vector.inl.h"

#include "conv.inl.h"

#include "int_conv.inl.h"

#include "unpack.inl.h"

#include "blocks.inl.h"

#include "frontend.inl.h"

#include "frontend_gain.inl.h"

// By name, since several of them have the same signature.
constexpr Kernels slots() {
    Kernels k{};
    k.name = LVQE_SET_NAME;
    k.lanes = LVQE_LANES;
    k.registers = LVQE_ACCUMULATORS;
    k.integer_is_faster = LVQE_INTEGER_IS_FASTER;
    k.conv = conv;
    k.int_conv = int_conv;
    k.to_integers = to_integers;
    k.unpack_halves = unpack_halves;
    k.unpack_bytes = unpack_bytes;
    k.norm_stats = norm_stats;
    k.norm_apply = norm_apply;
    k.power_law = power_law;
    k.similarity = similarity;
    k.dot = dot;
    k.softmax = softmax;
    k.weighted_sum = weighted_sum;
    k.s4d_step = s4d_step;
    k.mask = mask;
    k.peak = peak;
    k.activate = activate;
    k.whiten = whiten;
    k.agree = agree;
    k.kalman_predict = kalman_predict;
    k.kalman_levels = kalman_levels;
    k.gain_features = gain_features;
    k.gain_step = gain_step;
    k.kalman_echo = kalman_echo;
    k.kalman_update = kalman_update;
    return k;
}

} // namespace

extern const Kernels LVQE_SET;
constexpr Kernels LVQE_SET = slots(); // known when compiled: nothing of the set may run before the CPU is looked at

} // namespace localvqe
