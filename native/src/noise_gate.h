// Silence for hops that hold noise only.
#pragma once

#include <cstddef>

namespace localvqe {

struct NoiseGate {
    bool enabled = false;
    float threshold_dbfs = -60.0f;

    // Zeroes hops of `out` whose RMS is at or below the threshold.
    void apply(float * out, size_t hops) const;
};

} // namespace localvqe
