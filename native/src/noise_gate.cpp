#include "noise_gate.h"

#include "config.h"

#include <cmath>
#include <cstring>

namespace localvqe {

void NoiseGate::apply(float * out, size_t hops) const {
    if (!enabled) {
        return;
    }
    const double limit = std::pow(10.0, double(threshold_dbfs) / 10.0);
    for (size_t h = 0; h < hops; ++h, out += kHop) {
        double power = 0.0;
        for (int i = 0; i < kHop; ++i) {
            power += double(out[i]) * double(out[i]);
        }
        if (power / kHop <= limit) {
            std::memset(out, 0, kHop * sizeof(float));
        }
    }
}

} // namespace localvqe
