#include "norm.h"

#include <cstring>

namespace localvqe {

void NormOp::run(int frames, int thread, int n_threads) {
    for (int t = frames * thread / n_threads; t < frames * (thread + 1) / n_threads; ++t) {
        apply(t);
    }
}

void NormOp::apply(int t) {
    float mean = 0.0f, scale = 1.0f;
    if (gamma_ != nullptr) {
        const auto length = [](const Frames * f) {
            return f == nullptr ? 0 : size_t(f->bins()) * size_t(f->channels());
        };
        kernels_.norm_stats(sources_[0]->row(t), length(sources_[0]),
                            sources_[1] == nullptr ? nullptr : sources_[1]->row(t), length(sources_[1]), &mean, &scale);
    }
    const int step = out_.channels();
    int offset = 0;
    for (const Frames * source : sources_) {
        if (source == nullptr) {
            continue;
        }
        const int channels = source->channels();
        const float * x = source->row(t);
        float * y = out_.row(t) + offset;
        if (gamma_ != nullptr) {
            kernels_.norm_apply(x, out_.bins(), channels, mean, scale, gamma_ + offset, beta_ + offset, y, step);
        } else {
            for (int f = 0; f < out_.bins(); ++f, x += channels, y += step) {
                std::memcpy(y, x, size_t(channels) * sizeof(float));
            }
        }
        offset += channels;
    }
}

} // namespace localvqe
