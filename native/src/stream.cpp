#include "stream.h"

#include "error.h"
#include "runaway.h"

#include <algorithm>
#include <cstring>

namespace localvqe {

Stream::Stream(std::shared_ptr<const Model> model, int threads, int batch)
    : model_(std::move(model)), batch_(batch),
      front_(model_->config(), model_->frontend_gain(), model_->kernels(), batch, profile_) {
    for (const Front::Output & output : front_.outputs()) {
        taps_.push_back({output.name, output.dim0, output.dim1});
    }
    if (const Program * program = model_->program()) {
        session_ = program->open(threads, batch, 1, profile_);
        for (const NetTap & tap : model_->net()->taps()) {
            const int channels = tap.value.channels, bins = tap.value.bins;
            taps_.push_back({tap.name, tap.bins_first ? bins : channels, tap.bins_first ? channels : bins});
        }
    }
}

void Stream::step(int hops, const float * mic, const float * ref) {
    front_.run(mic, ref, hops);
    if (session_) {
        front_.feed(*session_, 0, hops);
        session_->run(hops);
    }
    profile_.count(hops);
}

void Stream::process(const float * mic, const float * ref, float * out, size_t hops) {
    while (hops > 0) {
        const int n = int(std::min<size_t>(hops, size_t(batch_)));
        step(n, mic, ref);
        for (int t = 0; t < n; ++t) {
            const float * result = session_ ? session_->output(t, 0) : front_.samples(t);
            if (!all_finite(result)) {
                std::fill(out + size_t(t) * kHop, out + hops * kHop, 0.0f);
                reset();
                throw Error("the output is not finite: the model's weights make it run away; silence was returned and "
                            "the stream reset");
            }
            std::memcpy(out + size_t(t) * kHop, result, kHop * sizeof(float));
        }
        mic += size_t(n) * kHop;
        ref += size_t(n) * kHop;
        out += size_t(n) * kHop;
        hops -= size_t(n);
    }
}

void Stream::reset() {
    front_.reset();
    if (session_) {
        session_->reset(0);
    }
}

void Stream::read_tap(size_t index, float * out) const {
    const std::vector<Front::Output> & outputs = front_.outputs();
    if (index < outputs.size()) {
        const Front::Output & output = outputs[index];
        std::copy_n(output.values(front_), size_t(output.dim0) * size_t(output.dim1), out);
        return;
    }
    session_->read_tap(index - outputs.size(), out);
}

void Stream::set_observing(bool on) {
    if (session_) {
        session_->set_observing(on);
    }
}

std::vector<float> Stream::input_power(const std::string & tensor) const {
    return session_ ? session_->input_power(tensor) : std::vector<float>();
}

} // namespace localvqe
