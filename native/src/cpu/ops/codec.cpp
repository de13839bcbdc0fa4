#include "codec.h"

#include "../../config.h"

namespace localvqe {

void AnalysisOp::run(int frames, int thread, int n_threads) {
    for (int t = thread; t < frames; t += n_threads) {
        transform_.analyse(in_.row(t - 1), in_.row(t), out_.row(t));
    }
}

void SynthesisOp::run(int frames, int thread, int n_threads) {
    for (int t = thread; t < frames; t += n_threads) {
        transform_.synthesise(in_.row(t), out_.row(t));
    }
}

OverlapAddOp::OverlapAddOp(float gain, const Frames & frames, Frames & out)
    : gain_(gain), in_(frames), tail_(kHop), out_(out) {}

void OverlapAddOp::run(int frames, int, int) {
    float * tail = tail_.data();
    for (int t = 0; t < frames; ++t) {
        const float * frame = in_.row(t);
        float * out = out_.row(t);
        for (int i = 0; i < kHop; ++i) {
            out[i] = (tail[i] + frame[i]) * gain_;
            tail[i] = frame[kHop + i];
        }
    }
}

} // namespace localvqe
