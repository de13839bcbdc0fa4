// Hostile use of the C ABI, for sanitizer builds; driven by tests/fuzz/run.py.
//
//   fuzz_api load                                  paths of model files on stdin, one verdict a line on stdout
//   fuzz_api calls MODEL SEED COUNT                COUNT random calls in random order, lengths and values
//   fuzz_api streams MODEL SEED SECONDS STREAMS THREADS
//                                                  streams on shared weights: opened, fed, reset, closed

#include "localvqe_api.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kHop = 256;
constexpr int kMostHops = 6;
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string & what) {
    std::fprintf(stderr, "fuzz_api: %s\n", what.c_str());
    std::exit(1);
}

bool finite(const float * x, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        if (!std::isfinite(x[i])) {
            return false;
        }
    }
    return true;
}

// Samples of every kind that a caller might pass: speech-like, silent, tiny, enormous, no numbers at all.
void fill(std::mt19937_64 & random, std::vector<float> & x) {
    std::normal_distribution<float> normal(0.0f, 0.1f);
    const unsigned kind = unsigned(random() % 8);
    for (float & v : x) {
        v = kind == 0 ? 0.0f : normal(random);
        if (kind == 1)
            v *= 1e-38f;
        if (kind == 2)
            v = v > 0 ? 1.0f : -1.0f;
        if (kind == 3)
            v *= 1e30f;
        if (kind == 4 && random() % 16 == 0)
            v = std::numeric_limits<float>::quiet_NaN();
        if (kind == 5 && random() % 16 == 0)
            v = std::numeric_limits<float>::infinity();
        if (kind == 6)
            v = 0.9f;
    }
}

int load() {
    const std::vector<float> mic(kHop * 3, 0.05f), ref(kHop * 3, 0.02f);
    std::string path;
    while (std::getline(std::cin, path)) {
        const auto start = Clock::now();
        std::string verdict;
        const uintptr_t model = localvqe_model_load(path.c_str());
        if (model == 0) {
            verdict = std::string("refused\t") + localvqe_creation_error();
        } else if (const uintptr_t stream = localvqe_stream_new(model, 1, 4)) {
            std::vector<float> out(mic.size());
            const int status = localvqe_process_hops_f32(stream, mic.data(), ref.data(), 3, out.data());
            verdict = status == 0 ? "accepted\t" : std::string("stopped\t") + localvqe_last_error(stream);
            localvqe_free(stream);
        } else {
            verdict = std::string("refused\t") + localvqe_creation_error();
        }
        localvqe_model_free(model);
        for (char & c : verdict) {
            c = c == '\n' || c == '\r' ? '?' : c; // the caller counts lines
        }
        const double ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
        std::printf("%.1f\t%s\n", ms, verdict.c_str());
        std::fflush(stdout);
    }
    return 0;
}

template <class T> T pick(std::mt19937_64 & random, std::initializer_list<T> values) {
    return *(values.begin() + random() % values.size());
}

// One thread's calls. Handles are live or 0: like free(), the library does not promise to survive a dead one.
void calls(const std::string & path, uint64_t seed, uint64_t count) {
    std::mt19937_64 random(seed);
    std::vector<float> mic(kHop * kMostHops), ref(mic.size()), out(mic.size()), values(1 << 16);
    std::vector<int16_t> mic16(mic.size()), ref16(mic.size()), out16(mic.size());
    uintptr_t model = localvqe_model_load(path.c_str()), options = 0;
    std::vector<uintptr_t> contexts(4, 0);
    for (uint64_t i = 0; i < count; ++i) {
        if (i % 64 == 0) {
            fill(random, mic);
            fill(random, ref);
            for (size_t k = 0; k < mic16.size(); ++k) {
                mic16[k] = int16_t(random());
                ref16[k] = int16_t(random());
            }
        }
        uintptr_t & slot = contexts[random() % contexts.size()];
        const uintptr_t ctx = random() % 32 == 0 ? 0 : slot;
        const int hops = pick(random, {-1, 0, 1, 1, 2, 3, kMostHops});
        const int samples = pick(random, {-1, 0, 1, 255, 256, 257, 300, 511, 512, 513, kHop * kMostHops});
        const int hop = pick(random, {-1, 0, 128, kHop, kHop, kHop, 257});
        const float * m = random() % 64 == 0 ? nullptr : mic.data();
        float * o = random() % 64 == 0 ? nullptr : random() % 8 == 0 ? mic.data() : out.data(); // in place as well
        int status = -1, a = 0, b = 0;
        float f = 0.0f;
        size_t written = 0;
        switch (random() % 27) {
            case 0:
                if (random() % 8 == 0) {
                    localvqe_free(slot);
                    slot = 0;
                }
                break;
            case 1:
                if (slot == 0) {
                    slot = localvqe_stream_new(random() % 16 == 0 ? 0 : model, pick(random, {-1, 0, 1, 1, 2, 3, 33}),
                                               pick(random, {-1, 0, 1, 4, 64, 65}));
                }
                break;
            case 2:
                if (random() % 256 == 0) {
                    localvqe_model_free(model);
                    model = localvqe_model_load(path.c_str());
                }
                break;
            case 3:
                if (options == 0) {
                    options = localvqe_options_new();
                } else {
                    localvqe_options_free(options);
                    options = 0;
                }
                break;
            case 4: localvqe_options_set_model_path(options, random() % 4 == 0 ? nullptr : path.c_str()); break;
            case 5:
                localvqe_options_set_backend(options, pick<const char *>(random, {nullptr, "", "CPU", "cuda", "\xff"}));
                break;
            case 6: localvqe_options_set_device(options, int(random() % 4) - 1); break;
            case 7:
                localvqe_options_set_precision(options,
                                               pick<const char *>(random, {nullptr, "", "int16", "f32", "F3"}));
                localvqe_options_set_threads(options, pick(random, {-1, 0, 1, 2, 32, 33, 1 << 30}));
                break;
            case 8:
                if (slot == 0 && random() % 16 == 0) {
                    slot = localvqe_new_with_options(options);
                }
                break;
            case 9:
                status = localvqe_process_f32(ctx, m, ref.data(), samples, o);
                written = size_t(samples);
                break;
            case 10: localvqe_process_s16(ctx, mic16.data(), ref16.data(), samples, out16.data()); break;
            case 11:
                status = localvqe_process_frame_f32(ctx, m, ref.data(), hop, o);
                written = kHop;
                break;
            case 12: localvqe_process_frame_s16(ctx, mic16.data(), ref16.data(), hop, out16.data()); break;
            case 13:
                status = localvqe_process_hops_f32(ctx, m, ref.data(), hops, o);
                written = size_t(hops) * kHop;
                break;
            case 14: localvqe_reset(ctx); break;
            case 15:
                localvqe_set_noise_gate(ctx, int(random() % 3), pick(random, {-60.0f, 0.0f, NAN, INFINITY, -1e30f}));
                break;
            case 16: localvqe_get_noise_gate(ctx, random() % 2 ? &a : nullptr, random() % 2 ? &f : nullptr); break;
            case 17:
                if (std::strlen(localvqe_last_error(ctx)) > 4096)
                    fail("endless error text");
                break;
            case 18: a = localvqe_sample_rate(ctx) + localvqe_hop_length(ctx) + localvqe_fft_size(ctx); break;
            case 19: localvqe_current_delay(ctx, random() % 2 ? &f : nullptr); break;
            case 20:
            case 21: {
                const int n = localvqe_tap_count(ctx);
                const char * name = localvqe_tap_name(ctx, n > 0 ? int(random() % unsigned(n + 2)) - 1 : -1);
                localvqe_tap_shape(ctx, random() % 16 ? name : "no such tap", &a, &b);
                localvqe_tap_read(ctx, name, values.data(), pick(random, {-1, 0, 7, int(values.size())}));
                break;
            }
            case 22: localvqe_set_profiling(ctx, int(random() % 3)); break;
            case 23: {
                const int n = localvqe_profile_count(ctx);
                localvqe_profile_name(ctx, int(random() % unsigned(n + 3)) - 1);
                localvqe_profile_ns(ctx, int(random() % unsigned(n + 3)) - 1);
                break;
            }
            case 24: localvqe_new(random() % 2 ? nullptr : "/no/such/file.gguf"); break;
            case 25: {
                // Null, the same twice, streams of a model loaded again: any of them.
                const size_t n = random() % 5;
                std::vector<uintptr_t> some(n);
                std::vector<const float *> ins(n, m);
                std::vector<float *> outs(n, o);
                std::vector<int> codes(n);
                for (uintptr_t & stream : some) {
                    stream = contexts[random() % contexts.size()];
                }
                status = localvqe_process_streams_f32(some.data(), int(n) - (random() % 16 == 0 ? 9 : 0), ins.data(),
                                                      ins.data(), outs.data(), codes.data());
                written = kHop;
                break;
            }
            case 26:
                if (std::strlen(localvqe_creation_error()) > 8192)
                    fail("endless error text");
                break;
        }
        if (status == 0 && !finite(o, written)) {
            fail("output that is no finite number after call " + std::to_string(i) + " of seed " +
                 std::to_string(seed));
        }
    }
    for (uintptr_t ctx : contexts) {
        localvqe_free(ctx);
    }
    localvqe_options_free(options);
    localvqe_model_free(model);
}

int streams(const std::string & path, uint64_t seed, double seconds, int n_streams, int n_threads) {
    const uintptr_t model = localvqe_model_load(path.c_str());
    if (model == 0) {
        fail(localvqe_creation_error());
    }
    const auto end = Clock::now() + std::chrono::duration<double>(seconds);
    std::atomic<uint64_t> hops{0}, opened{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < n_threads; ++t) {
        threads.emplace_back([&, t] {
            std::mt19937_64 random(seed * 1000 + uint64_t(t));
            std::vector<uintptr_t> mine(size_t((n_streams + n_threads - 1) / n_threads), 0);
            std::vector<float> mic(kHop * kMostHops), ref(mic.size()), out(mic.size());
            while (Clock::now() < end) {
                fill(random, mic);
                fill(random, ref);
                for (uintptr_t & stream : mine) {
                    if (stream == 0) {
                        stream = localvqe_stream_new(model, 1 + int(random() % 2), 1 + int(random() % 4));
                        if (stream == 0)
                            fail(localvqe_creation_error());
                        ++opened;
                    }
                    const int n = 1 + int(random() % kMostHops);
                    const int status = localvqe_process_hops_f32(stream, mic.data(), ref.data(), n, out.data());
                    if (status != 0 || !finite(out.data(), size_t(n) * kHop))
                        fail("a stream failed");
                    hops += uint64_t(n);
                    if (random() % 16 == 0)
                        localvqe_reset(stream);
                    if (random() % 16 == 0) {
                        localvqe_free(stream);
                        stream = 0;
                    }
                }
            }
            for (uintptr_t stream : mine) {
                localvqe_free(stream);
            }
        });
    }
    for (std::thread & t : threads) {
        t.join();
    }
    localvqe_model_free(model);
    std::printf("%llu hops, %llu streams opened\n", (unsigned long long)hops.load(), (unsigned long long)opened.load());
    return 0;
}

} // namespace

int main(int argc, char ** argv) {
    const std::string mode = argc > 1 ? argv[1] : "";
    if (mode == "load" && argc == 2) {
        return load();
    }
    if (mode == "calls" && argc == 5) {
        calls(argv[2], std::strtoull(argv[3], nullptr, 10), std::strtoull(argv[4], nullptr, 10));
        std::printf("%s calls\n", argv[4]);
        return 0;
    }
    if (mode == "streams" && argc == 7) {
        return streams(argv[2], std::strtoull(argv[3], nullptr, 10), std::atof(argv[4]), std::atoi(argv[5]),
                       std::atoi(argv[6]));
    }
    std::fprintf(stderr,
                 "usage: fuzz_api load | calls MODEL SEED COUNT | streams MODEL SEED SECONDS STREAMS THREADS\n");
    return 2;
}
