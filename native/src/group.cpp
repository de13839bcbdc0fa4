#include "group.h"

#include "error.h"
#include "runaway.h"

#include <algorithm>
#include <cstring>

namespace localvqe {

Group::Group(std::shared_ptr<const Model> model, int threads, int streams, int batch)
    : model_(std::move(model)), batch_(batch), team_(std::min(threads, streams)) {
    const Program * program = model_->program();
    if (program == nullptr) {
        throw Error("a model without a network runs every stream on its own");
    }
    session_ = program->open(threads, batch, streams, profile_);
    profiles_.resize(size_t(streams));
    for (Profile & profile : profiles_) {
        fronts_.emplace_back(model_->config(), model_->frontend_gain(), model_->kernels(), batch, profile);
    }
}

void Group::process(const float * mic, const float * ref, size_t hops, float * out, std::vector<char> & ran_away) {
    const size_t stride = hops * kHop;
    ran_away.assign(fronts_.size(), 0);
    for (size_t first = 0; first < hops; first += size_t(batch_)) {
        const int n = int(std::min(hops - first, size_t(batch_)));
        Work work{this, mic + first * kHop, ref + first * kHop, stride, n};
        team_.run(
            [](void * argument, int part, int) {
                const Work & w = *static_cast<const Work *>(argument);
                Front & front = w.group->fronts_[size_t(part)];
                front.run(w.mic + size_t(part) * w.stride, w.ref + size_t(part) * w.stride, w.hops);
                front.feed(*w.group->session_, part, w.hops);
            },
            &work, streams());
        session_->run(n);
        for (int stream = 0; stream < streams(); ++stream) {
            float * to = out + size_t(stream) * stride + first * kHop;
            for (int t = 0; t < n; ++t, to += kHop) {
                const float * result = session_->output(t, stream);
                if (!ran_away[size_t(stream)] && !all_finite(result)) {
                    ran_away[size_t(stream)] = 1;
                }
                if (ran_away[size_t(stream)]) {
                    std::memset(to, 0, kHop * sizeof(float));
                } else {
                    std::memcpy(to, result, kHop * sizeof(float));
                }
            }
        }
    }
    for (int stream = 0; stream < streams(); ++stream) {
        gate.apply(out + size_t(stream) * stride, hops);
        if (ran_away[size_t(stream)]) {
            reset(stream);
        }
    }
}

void Group::reset(int stream) {
    fronts_[size_t(stream)].reset();
    session_->reset(stream);
}

} // namespace localvqe
