// Weights that make the output grow beyond all numbers: how that is seen.
#pragma once

#include "config.h"

namespace localvqe {

constexpr char kRanAway[] =
    "the output is not finite: the model's weights make it run away; silence was returned and the stream reset";

// Of a hop, (256).
inline bool all_finite(const float * x) {
    float sum = 0.0f; // NaN once a product with zero is NaN, which it is for NaN and infinities only
    for (int i = 0; i < kHop; ++i) {
        sum += x[i] * 0.0f;
    }
    return sum == 0.0f;
}

} // namespace localvqe
