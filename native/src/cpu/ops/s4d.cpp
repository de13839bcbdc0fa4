#include "s4d.h"

namespace localvqe {

void S4dOp::run(int frames, int, int) {
    for (int t = 0; t < frames; ++t) {
        kernels_.s4d_step(coefficients_, state_.data(), v_.row(t), out_.row(t), v_.channels());
    }
}

void ScaleOp::run(int frames, int, int) {
    const int n = in_.bins() * in_.channels();
    for (int t = 0; t < frames; ++t) {
        const float * x = in_.row(t);
        float * out = out_.row(t);
        for (int i = 0; i < n; ++i) {
            out[i] = factors_[i] * x[i];
        }
    }
}

} // namespace localvqe
