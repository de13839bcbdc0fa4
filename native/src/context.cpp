#include "context.h"

#include "runaway.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace localvqe {
namespace {

constexpr int kClipBatch = 8;
constexpr int kMaxAutoThreads = 8;

} // namespace

int auto_threads() {
    const int asked = threads_from_environment();
    return asked > 0 ? asked : std::max(1, std::min(int(std::thread::hardware_concurrency()), kMaxAutoThreads));
}

int threads_from_environment() {
    const char * text = std::getenv("GGML_NTHREADS");
    if (text == nullptr) {
        return 0;
    }
    char * end = nullptr;
    const long count = std::strtol(text, &end, 10);
    return end != text && *end == '\0' && count >= 1 && count <= kMaxThreads ? int(count) : 0;
}

Context::Context(std::shared_ptr<const Model> model, int threads, int max_hops)
    : model_(std::move(model)), threads_(threads > 0 ? threads : threads_from_environment()),
      stream_(new Stream(model_, std::max(1, threads_), max_hops)) {}

void Context::process_hops(const float * mic, const float * ref, size_t hops, float * out) {
    stream_->process(mic, ref, out, hops);
    gate.apply(out, hops);
}

void Context::process_together(Context * const * contexts, int count, const float * const * mic,
                               const float * const * ref, float * const * out, bool * ran_away) {
    Stream * streams[Stream::kMostTogether] = {};
    for (int i = 0; i < count; ++i) {
        streams[i] = contexts[i]->stream_.get();
    }
    Stream::process_together(streams, count, mic, ref, out, ran_away);
    for (int i = 0; i < count; ++i) {
        contexts[i]->gate.apply(out[i], 1);
        contexts[i]->error = ran_away[i] ? kRanAway : "";
    }
}

void Context::process_clip(const float * mic, const float * ref, size_t n, float * out) {
    if (!clip_) {
        clip_.reset(new Stream(model_, threads_ > 0 ? threads_ : auto_threads(), kClipBatch));
    }
    reset();
    const size_t hops = n / kHop;
    const size_t rest = n % kHop;
    clip_->process(mic, ref, out, hops);
    gate.apply(out, hops);
    if (rest != 0) {
        float m[kHop] = {}, r[kHop] = {}, o[kHop];
        std::memcpy(m, mic + hops * kHop, rest * sizeof(float));
        std::memcpy(r, ref + hops * kHop, rest * sizeof(float));
        clip_->process(m, r, o, 1);
        gate.apply(o, 1);
        std::memcpy(out + hops * kHop, o, rest * sizeof(float));
    }
}

void Context::reset() {
    stream_->reset();
    if (clip_) {
        clip_->reset();
    }
}

int Context::find_tap(const char * name) const {
    const std::vector<Tap> & taps = stream_->taps();
    for (size_t i = 0; i < taps.size(); ++i) {
        if (taps[i].name == name) {
            return int(i);
        }
    }
    return -1;
}

} // namespace localvqe
