#include "stream.h"

#include "error.h"
#include "runaway.h"

#include <algorithm>
#include <cstring>

namespace localvqe {

Stream::Stream(std::shared_ptr<const Model> model, int threads, int batch)
    : model_(std::move(model)),
      batch_(model_->program() != nullptr ? model_->program()->hops_of_a_run(threads, batch) : batch),
      front_(model_->config(), model_->frontend_gain(), model_->kernels(), batch_, profile_) {
    for (const Front::Output & output : front_.outputs()) {
        taps_.push_back({output.name, output.dim0, output.dim1});
    }
    if (const Program * program = model_->program()) {
        session_ = program->open(threads, batch_, 1, profile_);
        for (const NetTap & tap : model_->net()->taps()) {
            const int channels = tap.value.channels, bins = tap.value.bins;
            taps_.push_back({tap.name, tap.bins_first ? bins : channels, tap.bins_first ? channels : bins});
        }
    }
}

void Stream::prepare(int hops, const float * mic, const float * ref) {
    front_.run(mic, ref, hops);
    if (session_) {
        front_.feed(*session_, 0, hops);
    }
    profile_.count(hops);
}

bool Stream::take(int t, float * out) const {
    const float * result = session_ ? session_->output(t, 0) : front_.samples(t);
    std::memcpy(out, result, kHop * sizeof(float));
    return all_finite(result);
}

void Stream::process(const float * mic, const float * ref, float * out, size_t hops) {
    while (hops > 0) {
        const int n = int(std::min<size_t>(hops, size_t(batch_)));
        prepare(n, mic, ref);
        if (session_) {
            session_->run(n);
        }
        for (int t = 0; t < n; ++t) {
            if (!take(t, out + size_t(t) * kHop)) {
                std::fill(out + size_t(t) * kHop, out + hops * kHop, 0.0f);
                reset();
                throw Error(kRanAway);
            }
        }
        mic += size_t(n) * kHop;
        ref += size_t(n) * kHop;
        out += size_t(n) * kHop;
        hops -= size_t(n);
    }
}

void Stream::process_together(Stream * const * streams, int count, const float * const * mic, const float * const * ref,
                              float * const * out, bool * ran_away) {
    Session * sessions[kMostTogether] = {};
    int together = 0;
    for (int i = 0; i < count; ++i) {
        Stream & stream = *streams[i];
        stream.prepare(1, mic[i], ref[i]);
        if (stream.session_ && stream.profile_.on()) {
            stream.session_->run(1); // whose times would be those of all
        } else if (stream.session_) {
            sessions[together++] = stream.session_.get();
        }
    }
    if (together == 1) {
        sessions[0]->run(1);
    } else if (together > 1) {
        streams[0]->model_->program()->run_together(sessions, together);
    }
    for (int i = 0; i < count; ++i) {
        ran_away[i] = !streams[i]->take(0, out[i]);
        if (ran_away[i]) {
            std::fill_n(out[i], kHop, 0.0f);
            streams[i]->reset();
        }
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
