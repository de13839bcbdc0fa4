// The C ABI: argument checks, exceptions to return codes, 16-bit samples. No exception leaves this file.

#include "localvqe_api.h"

#include "backends.h"
#include "context.h"
#include "cpu/kernels/kernels.h"
#include "error.h"
#include "group.h"
#include "lfsc/codec.h"
#include "profile_table.h"
#include "quantized.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <new>
#include <vector>

using localvqe::BlockFormat;
using localvqe::Context;
using localvqe::Error;
using localvqe::Group;
using localvqe::Model;
using localvqe::Tap;

namespace {

constexpr int kNull = -1;
constexpr int kBadValue = -2;
constexpr int kFailed = -3;
constexpr int kMaxSamples = 1 << 28;
constexpr int kMaxHops = 64;
constexpr int kMaxStreams = 256;
constexpr uint64_t kMaxMatrix = uint64_t(1) << 28; // elements

struct Options {
    std::string model_path;
    localvqe::Place place;
    int threads = 0;

    std::shared_ptr<const Model> load() const {
        if (model_path.empty()) {
            throw Error("the options name no model path");
        }
        return Model::load(model_path, place);
    }
};

struct ModelHandle {
    std::shared_ptr<const Model> model;
};

struct CodecHandle {
    std::unique_ptr<localvqe::lfsc::Codec> codec;
    std::string error;
};

thread_local std::string creation_error;

template <class T> T * handle(uintptr_t value) { return reinterpret_cast<T *>(value); }

// Runs `body`, which returns a new object, and turns every failure into 0 and a text.
template <class Body> uintptr_t create(Body && body) {
    creation_error.clear();
    try {
        return reinterpret_cast<uintptr_t>(body());
    } catch (const std::bad_alloc &) {
        creation_error = "out of memory";
    } catch (const std::exception & e) {
        creation_error = e.what();
    } catch (...) {
        creation_error = "unknown failure";
    }
    return 0;
}

// Runs `body` and turns every failure into a code and a text of the context's or group's.
template <class Handle, class Body> int guarded(Handle & ctx, Body && body) {
    try {
        ctx.error.clear();
        body();
        return 0;
    } catch (const std::bad_alloc &) {
        ctx.error = "out of memory";
    } catch (const std::exception & e) {
        ctx.error = e.what();
    } catch (...) {
        ctx.error = "unknown failure";
    }
    return kFailed;
}

template <class Handle> int refuse(Handle & ctx, const std::string & why) {
    ctx.error = why;
    return kBadValue;
}

void to_float(const int16_t * in, float * out, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        out[i] = float(in[i]) / 32768.0f;
    }
}

void to_s16(const float * in, int16_t * out, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        const float x = in[i] * 32768.0f;
        out[i] = x >= 32767.0f ? int16_t(32767) : x <= -32768.0f ? int16_t(-32768) : int16_t(std::lrintf(x));
    }
}

int check_clip(Context & ctx, int n_samples) {
    if (n_samples < localvqe::kHop) {
        return refuse(ctx, "a clip needs at least one hop of " + std::to_string(localvqe::kHop) + " samples, got " +
                               std::to_string(n_samples));
    }
    if (n_samples > kMaxSamples) {
        return refuse(ctx, "a clip may have at most " + std::to_string(kMaxSamples) +
                               " samples; feed longer audio hop by hop");
    }
    return 0;
}

int check_hop(Context & ctx, int hop_samples) {
    return hop_samples == localvqe::kHop ? 0
                                         : refuse(ctx, "a hop has " + std::to_string(localvqe::kHop) +
                                                           " samples, got " + std::to_string(hop_samples));
}

// Streams of one model, each named once.
int check_together(const uintptr_t * streams, int n) {
    Context & first = *handle<Context>(streams[0]);
    std::string why;
    int named = 0;
    for (; named < n; ++named) {
        Context & c = *handle<Context>(streams[named]);
        if (&c.model() != &first.model()) {
            why = "stream " + std::to_string(named) + " is of another model than stream 0";
            break;
        }
        if (c.named) {
            why = "stream " + std::to_string(named) + " is there twice";
            break;
        }
        c.named = true;
    }
    for (int i = 0; i < named; ++i) {
        handle<Context>(streams[i])->named = false;
    }
    return why.empty() ? 0 : refuse(first, why);
}

template <class Handle> int set_gate(Handle & h, int enabled, float threshold_dbfs) {
    if (!std::isfinite(threshold_dbfs)) {
        return refuse(h, "the noise gate's threshold is not a number");
    }
    h.gate.enabled = enabled != 0;
    h.gate.threshold_dbfs = threshold_dbfs;
    return 0;
}

void check_range(const char * what, int value, int least, int most) {
    if (value < least || value > most) {
        throw Error(std::string(what) + " is " + std::to_string(value) + ", expected " + std::to_string(least) + ".." +
                    std::to_string(most));
    }
}

bool has_device(int i) { return i >= 0 && i < localvqe_device_count(); }

} // namespace

extern "C" {

uintptr_t localvqe_new(const char * model_path) {
    return create([&] {
        if (model_path == nullptr) {
            throw Error("no model path given");
        }
        return new Context(Model::load(model_path), 0, 1);
    });
}

uintptr_t localvqe_options_new(void) {
    return create([] { return new Options(); });
}

void localvqe_options_free(uintptr_t options) { delete handle<Options>(options); }

int localvqe_options_set_model_path(uintptr_t options, const char * model_path) {
    if (options == 0) {
        return kNull;
    }
    if (model_path == nullptr || *model_path == 0) {
        return kBadValue;
    }
    try {
        handle<Options>(options)->model_path = model_path;
        return 0;
    } catch (...) {
        return kBadValue;
    }
}

int localvqe_options_set_backend(uintptr_t options, const char * name) {
    if (options == 0) {
        return kNull;
    }
    if (name == nullptr) {
        return kBadValue;
    }
    try {
        if (!localvqe::has_backend(name)) {
            return kBadValue;
        }
        localvqe::Place & place = handle<Options>(options)->place;
        place.backend = name;
        place.device = 0;
        return 0;
    } catch (...) {
        return kBadValue;
    }
}

int localvqe_options_set_device(uintptr_t options, int index) {
    if (options == 0) {
        return kNull;
    }
    try {
        Options & o = *handle<Options>(options);
        if (index < 0 || index >= localvqe::device_count(o.place.backend)) {
            return kBadValue;
        }
        o.place.device = index;
        return 0;
    } catch (...) {
        return kBadValue;
    }
}

int localvqe_options_set_precision(uintptr_t options, const char * name) {
    if (options == 0) {
        return kNull;
    }
    try {
        return name != nullptr && localvqe::find_precision(name, handle<Options>(options)->place.precision) ? 0
                                                                                                            : kBadValue;
    } catch (...) {
        return kBadValue;
    }
}

int localvqe_options_set_threads(uintptr_t options, int threads) {
    if (options == 0) {
        return kNull;
    }
    if (threads < 0 || threads > localvqe::kMaxThreads) {
        return kBadValue;
    }
    handle<Options>(options)->threads = threads;
    return 0;
}

uintptr_t localvqe_new_with_options(uintptr_t options) {
    return create([&] {
        if (options == 0) {
            throw Error("no options given");
        }
        const Options & o = *handle<Options>(options);
        return new Context(o.load(), o.threads, 1);
    });
}

void localvqe_free(uintptr_t ctx) { delete handle<Context>(ctx); }

void localvqe_list_devices(void) {
    for (int i = 0; i < localvqe_device_count(); ++i) {
        std::fprintf(stderr, "%s %d: %s\n", localvqe_device_backend(i), localvqe_device_index(i),
                     localvqe_device_description(i));
    }
}

int localvqe_process_f32(uintptr_t ctx, const float * mic, const float * ref, int n_samples, float * out) {
    if (ctx == 0 || mic == nullptr || ref == nullptr || out == nullptr) {
        return kNull;
    }
    Context & c = *handle<Context>(ctx);
    if (const int bad = check_clip(c, n_samples)) {
        return bad;
    }
    return guarded(c, [&] { c.process_clip(mic, ref, size_t(n_samples), out); });
}

int localvqe_process_s16(uintptr_t ctx, const int16_t * mic, const int16_t * ref, int n_samples, int16_t * out) {
    if (ctx == 0 || mic == nullptr || ref == nullptr || out == nullptr) {
        return kNull;
    }
    Context & c = *handle<Context>(ctx);
    if (const int bad = check_clip(c, n_samples)) {
        return bad;
    }
    return guarded(c, [&] {
        const size_t n = size_t(n_samples);
        std::vector<float> m(n), r(n), o(n);
        to_float(mic, m.data(), n);
        to_float(ref, r.data(), n);
        c.process_clip(m.data(), r.data(), n, o.data());
        to_s16(o.data(), out, n);
    });
}

int localvqe_process_frame_f32(uintptr_t ctx, const float * mic, const float * ref, int hop_samples, float * out) {
    if (ctx == 0 || mic == nullptr || ref == nullptr || out == nullptr) {
        return kNull;
    }
    Context & c = *handle<Context>(ctx);
    if (const int bad = check_hop(c, hop_samples)) {
        return bad;
    }
    return guarded(c, [&] { c.process_hops(mic, ref, 1, out); });
}

int localvqe_process_frame_s16(uintptr_t ctx, const int16_t * mic, const int16_t * ref, int hop_samples,
                               int16_t * out) {
    if (ctx == 0 || mic == nullptr || ref == nullptr || out == nullptr) {
        return kNull;
    }
    Context & c = *handle<Context>(ctx);
    if (const int bad = check_hop(c, hop_samples)) {
        return bad;
    }
    return guarded(c, [&] {
        float m[localvqe::kHop], r[localvqe::kHop], o[localvqe::kHop];
        to_float(mic, m, localvqe::kHop);
        to_float(ref, r, localvqe::kHop);
        c.process_hops(m, r, 1, o);
        to_s16(o, out, localvqe::kHop);
    });
}

void localvqe_reset(uintptr_t ctx) {
    if (ctx != 0) {
        handle<Context>(ctx)->reset();
    }
}

int localvqe_set_noise_gate(uintptr_t ctx, int enabled, float threshold_dbfs) {
    return ctx == 0 ? kNull : set_gate(*handle<Context>(ctx), enabled, threshold_dbfs);
}

int localvqe_get_noise_gate(uintptr_t ctx, int * enabled, float * threshold_dbfs) {
    if (ctx == 0) {
        return kNull;
    }
    const Context & c = *handle<Context>(ctx);
    if (enabled != nullptr) {
        *enabled = c.gate.enabled ? 1 : 0;
    }
    if (threshold_dbfs != nullptr) {
        *threshold_dbfs = c.gate.threshold_dbfs;
    }
    return 0;
}

const char * localvqe_last_error(uintptr_t ctx) {
    return ctx == 0 ? "null handle" : handle<Context>(ctx)->error.c_str();
}

int localvqe_sample_rate(uintptr_t ctx) { return ctx == 0 ? 0 : localvqe::kSampleRate; }

int localvqe_hop_length(uintptr_t ctx) { return ctx == 0 ? 0 : localvqe::kHop; }

int localvqe_fft_size(uintptr_t ctx) { return ctx == 0 ? 0 : localvqe::kFft; }

void localvqe_print_profile(uintptr_t ctx) {
    if (ctx == 0) {
        return;
    }
    localvqe::Stream & stream = handle<Context>(ctx)->stream();
    if (stream.profile().hops() == 0) {
        std::printf("no profile: call localvqe_set_profiling(ctx, 1) and process some hops\n");
        return;
    }
    localvqe::print_profile(stream.profile(), stream.costs());
}

const char * localvqe_version(void) { return LOCALVQE_VERSION; }

const char * localvqe_kernels(void) {
    try {
        return localvqe::select_kernels().name;
    } catch (...) {
        return "unavailable";
    }
}

int localvqe_device_count(void) {
    try {
        return int(localvqe::devices().size());
    } catch (...) {
        return 0;
    }
}

const char * localvqe_device_backend(int i) {
    return has_device(i) ? localvqe::devices()[size_t(i)].place.backend.c_str() : "";
}

int localvqe_device_index(int i) { return has_device(i) ? localvqe::devices()[size_t(i)].place.device : kBadValue; }

const char * localvqe_device_description(int i) {
    return has_device(i) ? localvqe::devices()[size_t(i)].description.c_str() : "";
}

int localvqe_has_backend(const char * name) {
    try {
        return name != nullptr && localvqe::has_backend(name) ? 1 : 0;
    } catch (...) {
        return 0;
    }
}

const char * localvqe_creation_error(void) { return creation_error.c_str(); }

uintptr_t localvqe_model_load(const char * model_path) {
    return create([&] {
        if (model_path == nullptr) {
            throw Error("no model path given");
        }
        return new ModelHandle{Model::load(model_path)};
    });
}

uintptr_t localvqe_model_load_memory(const void * bytes, uint64_t size) {
    return create([&] {
        if (bytes == nullptr) {
            throw Error("no model given");
        }
        return new ModelHandle{Model::load(bytes, size)};
    });
}

uintptr_t localvqe_model_load_with_options(uintptr_t options) {
    return create([&] {
        if (options == 0) {
            throw Error("no options given");
        }
        return new ModelHandle{handle<Options>(options)->load()};
    });
}

void localvqe_model_free(uintptr_t model) { delete handle<ModelHandle>(model); }

uintptr_t localvqe_stream_new(uintptr_t model, int threads, int max_hops) {
    return create([&] {
        if (model == 0) {
            throw Error("no model given");
        }
        check_range("threads", threads, 0, localvqe::kMaxThreads);
        check_range("max_hops", max_hops, 1, kMaxHops);
        return new Context(handle<ModelHandle>(model)->model, threads, max_hops);
    });
}

int localvqe_model_group_streams(uintptr_t model, int max_hops) {
    if (model == 0) {
        return kNull;
    }
    if (max_hops < 1 || max_hops > kMaxHops) {
        return kBadValue;
    }
    try {
        const localvqe::Program * program = handle<ModelHandle>(model)->model->program();
        return program == nullptr ? 1 : program->most_streams(max_hops);
    } catch (...) {
        return 1; // no room for more, if for one
    }
}

uintptr_t localvqe_group_new(uintptr_t model, int threads, int streams, int max_hops) {
    return create([&] {
        if (model == 0) {
            throw Error("no model given");
        }
        check_range("threads", threads, 0, localvqe::kMaxThreads);
        check_range("streams", streams, 1, kMaxStreams);
        check_range("max_hops", max_hops, 1, kMaxHops);
        return new Group(handle<ModelHandle>(model)->model, threads == 0 ? localvqe::auto_threads() : threads, streams,
                         max_hops);
    });
}

void localvqe_group_free(uintptr_t group) { delete handle<Group>(group); }

int localvqe_group_process_f32(uintptr_t group, const float * mic, const float * ref, int n_hops, float * out,
                               int * status) {
    if (group == 0 || mic == nullptr || ref == nullptr || out == nullptr || status == nullptr) {
        return kNull;
    }
    Group & g = *handle<Group>(group);
    const int most = kMaxSamples / localvqe::kHop / g.streams();
    if (n_hops < 0 || n_hops > most) {
        return refuse(g, "n_hops is " + std::to_string(n_hops) + ", expected 0.." + std::to_string(most));
    }
    return guarded(g, [&] {
        std::vector<char> ran_away;
        g.process(mic, ref, size_t(n_hops), out, ran_away);
        for (size_t i = 0; i < ran_away.size(); ++i) {
            status[i] = ran_away[i] ? kFailed : 0;
        }
    });
}

int localvqe_group_reset(uintptr_t group, int stream) {
    if (group == 0) {
        return kNull;
    }
    Group & g = *handle<Group>(group);
    if (stream < 0 || stream >= g.streams()) {
        return refuse(g, "stream is " + std::to_string(stream) + ", expected 0.." + std::to_string(g.streams() - 1));
    }
    return guarded(g, [&] { g.reset(stream); });
}

int localvqe_group_set_noise_gate(uintptr_t group, int enabled, float threshold_dbfs) {
    return group == 0 ? kNull : set_gate(*handle<Group>(group), enabled, threshold_dbfs);
}

const char * localvqe_group_last_error(uintptr_t group) {
    return group == 0 ? "null handle" : handle<Group>(group)->error.c_str();
}

int localvqe_process_hops_f32(uintptr_t ctx, const float * mic, const float * ref, int n_hops, float * out) {
    if (ctx == 0 || mic == nullptr || ref == nullptr || out == nullptr) {
        return kNull;
    }
    Context & c = *handle<Context>(ctx);
    if (n_hops < 0 || n_hops > kMaxSamples / localvqe::kHop) {
        return refuse(c, "n_hops is " + std::to_string(n_hops) + ", expected 0.." +
                             std::to_string(kMaxSamples / localvqe::kHop));
    }
    return guarded(c, [&] { c.process_hops(mic, ref, size_t(n_hops), out); });
}

int localvqe_process_streams_f32(const uintptr_t * streams, int n, const float * const * mic, const float * const * ref,
                                 float * const * out, int * status) {
    if (streams == nullptr || mic == nullptr || ref == nullptr || out == nullptr || status == nullptr) {
        return kNull;
    }
    if (n < 1) {
        return kBadValue;
    }
    for (int i = 0; i < n; ++i) {
        if (streams[i] == 0 || mic[i] == nullptr || ref[i] == nullptr || out[i] == nullptr) {
            return kNull;
        }
    }
    if (const int bad = check_together(streams, n)) {
        return bad;
    }
    return guarded(*handle<Context>(streams[0]), [&] {
        constexpr int kMost = localvqe::Stream::kMostTogether;
        Context * contexts[kMost] = {};
        bool ran_away[kMost] = {};
        for (int begin = 0; begin < n; begin += kMost) {
            const int count = std::min(kMost, n - begin);
            for (int i = 0; i < count; ++i) {
                contexts[i] = handle<Context>(streams[begin + i]);
            }
            Context::process_together(contexts, count, mic + begin, ref + begin, out + begin, ran_away);
            for (int i = 0; i < count; ++i) {
                status[begin + i] = ran_away[i] ? kFailed : 0;
            }
        }
    });
}

int localvqe_current_delay(uintptr_t ctx, float * confidence) {
    if (ctx == 0) {
        return kNull;
    }
    Context & c = *handle<Context>(ctx);
    const int tap = c.find_tap("delay");
    if (tap < 0) { // no network, whose attention it would be
        if (confidence != nullptr) {
            *confidence = 1.0f;
        }
        return c.stream().frontend_offset();
    }
    const int lags = c.stream().taps()[size_t(tap)].dim0;
    int peak = 0;
    const int status = guarded(c, [&] {
        std::vector<float> delay(static_cast<size_t>(lags));
        c.stream().read_tap(size_t(tap), delay.data());
        for (int i = 1; i < lags; ++i) {
            peak = delay[size_t(i)] > delay[size_t(peak)] ? i : peak;
        }
        if (confidence != nullptr) {
            *confidence = delay[size_t(peak)];
        }
    });
    // Stored oldest lag first.
    return status == 0 ? c.stream().frontend_offset() + lags - 1 - peak : status;
}

int localvqe_tap_count(uintptr_t ctx) { return ctx == 0 ? kNull : int(handle<Context>(ctx)->stream().taps().size()); }

const char * localvqe_tap_name(uintptr_t ctx, int index) {
    if (ctx == 0 || index < 0 || index >= localvqe_tap_count(ctx)) {
        return "";
    }
    return handle<Context>(ctx)->stream().taps()[size_t(index)].name.c_str();
}

int localvqe_tap_shape(uintptr_t ctx, const char * name, int * dim0, int * dim1) {
    if (ctx == 0 || name == nullptr || dim0 == nullptr || dim1 == nullptr) {
        return kNull;
    }
    Context & c = *handle<Context>(ctx);
    const int index = c.find_tap(name);
    if (index < 0) {
        return refuse(c, "there is no tap of that name");
    }
    const Tap & tap = c.stream().taps()[size_t(index)];
    *dim0 = tap.dim0;
    *dim1 = tap.dim1;
    return 0;
}

int localvqe_tap_read(uintptr_t ctx, const char * name, float * out, int capacity) {
    if (ctx == 0 || name == nullptr || out == nullptr) {
        return kNull;
    }
    Context & c = *handle<Context>(ctx);
    const int index = c.find_tap(name);
    if (index < 0) {
        return refuse(c, "there is no tap of that name");
    }
    const Tap & tap = c.stream().taps()[size_t(index)];
    const int n = tap.dim0 * tap.dim1;
    if (capacity < n) {
        return refuse(c, "the tap has " + std::to_string(n) + " values");
    }
    const int status = guarded(c, [&] { c.stream().read_tap(size_t(index), out); });
    return status == 0 ? n : status;
}

int localvqe_profile_count(uintptr_t ctx) {
    return ctx == 0 ? kNull : int(handle<Context>(ctx)->stream().profile().blocks().size());
}

const char * localvqe_profile_name(uintptr_t ctx, int index) {
    if (ctx == 0 || index < 0 || index >= localvqe_profile_count(ctx)) {
        return "";
    }
    return handle<Context>(ctx)->stream().profile().blocks()[size_t(index)].block.c_str();
}

double localvqe_profile_ns(uintptr_t ctx, int index) {
    if (ctx == 0 || index < 0 || index >= localvqe_profile_count(ctx)) {
        return 0.0;
    }
    const localvqe::Profile & profile = handle<Context>(ctx)->stream().profile();
    const uint64_t hops = profile.hops();
    return hops == 0 ? 0.0 : double(profile.blocks()[size_t(index)].nanoseconds) / double(hops);
}

double localvqe_measure_peak(double seconds) {
    using clock = std::chrono::steady_clock;
    if (!(seconds > 0.0 && seconds <= 10.0)) {
        return 0.0;
    }
    try {
        const localvqe::Kernels & kernels = localvqe::select_kernels();
        volatile float sink = 0.0f;
        double best = 0.0;
        const clock::time_point end =
            clock::now() + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
        // Short bursts, and the fastest of them: what the core can do when nothing else wants it.
        for (long rounds = 20000; clock::now() < end;) {
            long per_round = 0;
            const clock::time_point start = clock::now();
            sink = sink + kernels.peak(rounds, &per_round);
            const double took = std::chrono::duration<double>(clock::now() - start).count();
            if (took < 2e-3) {
                rounds *= 2; // too short for the clock
                continue;
            }
            best = std::max(best, double(rounds) * double(per_round) / took);
        }
        return best;
    } catch (...) {
        return 0.0;
    }
}

int localvqe_integer_layers(uintptr_t ctx) {
    return ctx == 0 ? kNull : handle<Context>(ctx)->stream().integer_layers();
}

int localvqe_set_observing(uintptr_t ctx, int enabled) {
    if (ctx == 0) {
        return kNull;
    }
    return guarded(*handle<Context>(ctx), [&] { handle<Context>(ctx)->stream().set_observing(enabled != 0); });
}

int localvqe_input_power(uintptr_t ctx, const char * tensor, float * out, int capacity) {
    if (ctx == 0 || tensor == nullptr || out == nullptr) {
        return kNull;
    }
    int channels = 0;
    const int status = guarded(*handle<Context>(ctx), [&] {
        const std::vector<float> power = handle<Context>(ctx)->stream().input_power(tensor);
        if (int64_t(power.size()) <= capacity) {
            std::copy(power.begin(), power.end(), out);
            channels = int(power.size());
        }
    });
    return status != 0 ? status : channels > 0 ? channels : kBadValue;
}

uint64_t localvqe_quantized_size(int type, uint64_t rows, uint64_t columns) {
    const BlockFormat * format = localvqe::find_format(uint32_t(type));
    if (format == nullptr || rows == 0 || columns == 0 || rows > kMaxMatrix || columns > kMaxMatrix ||
        rows * columns > kMaxMatrix || columns % uint64_t(format->block) != 0) {
        return 0;
    }
    return rows * (columns / uint64_t(format->block)) * uint64_t(format->bytes);
}

int localvqe_quantize_rows(int type, const float * in, uint64_t rows, uint64_t columns, const float * importance,
                           void * out, uint64_t capacity) {
    if (in == nullptr || out == nullptr) {
        return kNull;
    }
    const uint64_t bytes = localvqe_quantized_size(type, rows, columns);
    if (bytes == 0 || bytes > capacity) {
        return kBadValue;
    }
    try {
        localvqe::quantize_rows(*localvqe::find_format(uint32_t(type)), in, size_t(rows), size_t(columns), importance,
                                static_cast<uint8_t *>(out));
        return 0;
    } catch (...) {
        return kBadValue;
    }
}

int localvqe_dequantize_rows(int type, const void * in, uint64_t rows, uint64_t columns, float * out,
                             uint64_t capacity) {
    if (in == nullptr || out == nullptr) {
        return kNull;
    }
    if (localvqe_quantized_size(type, rows, columns) == 0 || rows * columns > capacity) {
        return kBadValue;
    }
    try {
        localvqe::dequantize_rows(*localvqe::find_format(uint32_t(type)), static_cast<const uint8_t *>(in),
                                  size_t(rows), size_t(columns), out);
        return 0;
    } catch (...) {
        return kBadValue;
    }
}

int localvqe_set_profiling(uintptr_t ctx, int enabled) {
    if (ctx == 0) {
        return kNull;
    }
    handle<Context>(ctx)->stream().profile().set(enabled != 0);
    return 0;
}

uintptr_t localvqe_codec_new(const char * model_path, int threads) {
    return create([&] {
        if (model_path == nullptr) {
            throw Error("no model path given");
        }
        check_range("threads", threads, 1, localvqe::kMaxThreads);
        auto made = std::make_unique<CodecHandle>();
        made->codec = localvqe::lfsc::Codec::load(model_path, threads);
        return made.release();
    });
}

void localvqe_codec_free(uintptr_t codec) { delete handle<CodecHandle>(codec); }

int localvqe_codec_describe(uintptr_t codec, localvqe_codec_info * info) {
    if (codec == 0 || info == nullptr) {
        return kNull;
    }
    const auto & config = handle<CodecHandle>(codec)->codec->config();
    *info = {config.sample_rate,    config.samples_per_frame(), config.groups,           config.codes(),
             config.least_frames(), config.encoder_context(),   config.decoder_context()};
    return 0;
}

const char * localvqe_codec_last_error(uintptr_t codec) {
    return codec == 0 ? "" : handle<CodecHandle>(codec)->error.c_str();
}

int localvqe_codec_encode(uintptr_t codec, const float * sound, int frames, int32_t * tokens) {
    if (codec == 0 || sound == nullptr || tokens == nullptr) {
        return kNull;
    }
    CodecHandle & h = *handle<CodecHandle>(codec);
    if (frames > kMaxSamples / h.codec->config().samples_per_frame()) {
        return refuse(h, "a clip may have at most " + std::to_string(kMaxSamples) + " samples; cut it into chunks");
    }
    return guarded(h, [&] { h.codec->encode(sound, frames, tokens); });
}

int localvqe_codec_decode(uintptr_t codec, const int32_t * tokens, int frames, float * sound) {
    if (codec == 0 || sound == nullptr || tokens == nullptr) {
        return kNull;
    }
    CodecHandle & h = *handle<CodecHandle>(codec);
    if (frames > kMaxSamples / h.codec->config().samples_per_frame()) {
        return refuse(h, "a clip may have at most " + std::to_string(kMaxSamples) + " samples; cut it into chunks");
    }
    return guarded(h, [&] { h.codec->decode(tokens, frames, sound); });
}

} // extern "C"
