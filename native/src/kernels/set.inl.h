// Body of one kernel set. The including file defines LVQE_SET (its name), LVQE_LANES, LVQE_ACCUMULATORS and LVQE_INTEGER_IS_FASTER, and is
// compiled with the flags of its instruction set.

#include "kernels.h"

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace localvqe {
namespace {

#include "vector.inl.h"

#include "conv.inl.h"

#include "int_conv.inl.h"

#include "blocks.inl.h"

#include "frontend.inl.h"

#include "frontend_gain.inl.h"

} // namespace

extern const Kernels LVQE_SET;
const Kernels LVQE_SET = {
    LVQE_SET_NAME, LVQE_LANES, LVQE_ACCUMULATORS, LVQE_INTEGER_IS_FASTER, conv, int_conv, to_integers, norm_stats, norm_apply, power_law, similarity, dot,
    softmax, weighted_sum, s4d_step, mask, peak, activate,
    whiten, agree, kalman_predict, kalman_levels, gain_features, gain_step, kalman_echo, kalman_update,
};

} // namespace localvqe
