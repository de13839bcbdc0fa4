// A whole model through the C ABI, in every order of calls a program might make; meant for sanitizer builds.

#include "check.h"
#include "localvqe_api.h"

#include <cmath>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace {

constexpr int kHop = 256;

std::vector<float> noise(size_t n, unsigned seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0.0f, 0.1f);
    std::vector<float> out(n);
    for (float & x : out) {
        x = normal(generator);
    }
    return out;
}

std::vector<float> by_hop(uintptr_t ctx, const std::vector<float> & mic, const std::vector<float> & ref) {
    std::vector<float> out(mic.size());
    for (size_t i = 0; i + kHop <= mic.size(); i += kHop) {
        CHECK(localvqe_process_frame_f32(ctx, mic.data() + i, ref.data() + i, kHop, out.data() + i) == 0, "%s",
              localvqe_last_error(ctx));
    }
    return out;
}

// Streams at different points of their calls, with one worker and several, some of which join later.
void together(uintptr_t model, const std::vector<float> & mic, const std::vector<float> & ref) {
    constexpr int kStreams = 5, kHops = 24;
    std::vector<uintptr_t> alone, grouped;
    for (int i = 0; i < kStreams; ++i) {
        alone.push_back(localvqe_stream_new(model, 1, 1));
        grouped.push_back(localvqe_stream_new(model, 1 + i % 3, 1 + i));
    }
    localvqe_set_profiling(grouped[3], 1);
    std::vector<float> want(kHop), out(size_t(kStreams) * kHop);
    for (int hop = 0; hop < kHops; ++hop) {
        const int n = 1 + hop % kStreams, first = hop % 2 == 0 ? 0 : kStreams - n;
        std::vector<const float *> mics, refs;
        std::vector<float *> outs;
        std::vector<int> status(size_t(n), 7);
        for (int i = 0; i < n; ++i) {
            mics.push_back(mic.data() + size_t(hop + i) * kHop);
            refs.push_back(ref.data() + size_t(hop + 2 * i) * kHop);
            outs.push_back(out.data() + size_t(i) * kHop);
        }
        CHECK(localvqe_process_streams_f32(grouped.data() + first, n, mics.data(), refs.data(), outs.data(),
                                           status.data()) == 0,
              "%s", localvqe_last_error(grouped[size_t(first)]));
        for (int i = 0; i < n; ++i) {
            localvqe_process_frame_f32(alone[size_t(first + i)], mics[size_t(i)], refs[size_t(i)], kHop, want.data());
            CHECK(status[size_t(i)] == 0 && std::memcmp(want.data(), outs[size_t(i)], kHop * sizeof(float)) == 0,
                  "stream %d of %d differs at hop %d", first + i, n, hop);
        }
    }
    for (int i = 0; i < kStreams; ++i) {
        localvqe_free(alone[size_t(i)]);
        localvqe_free(grouped[size_t(i)]);
    }
}

} // namespace

int main(int argc, char ** argv) {
    if (argc != 2) {
        std::printf("usage: test_stream MODEL.gguf\n");
        return 2;
    }
    const std::vector<float> mic = noise(kHop * 40, 1), ref = noise(kHop * 40, 2);
    const uintptr_t ctx = localvqe_new(argv[1]);
    CHECK(ctx != 0, "%s", localvqe_creation_error());
    if (ctx == 0) {
        return check::report();
    }
    const std::vector<float> want = by_hop(ctx, mic, ref);

    std::vector<float> clip(mic.size());
    CHECK(localvqe_process_f32(ctx, mic.data(), ref.data(), int(mic.size()), clip.data()) == 0, "%s",
          localvqe_last_error(ctx));
    CHECK(std::memcmp(clip.data(), want.data(), want.size() * sizeof(float)) == 0, "clip and hops differ");
    CHECK(localvqe_process_f32(ctx, mic.data(), ref.data(), kHop + 1, clip.data()) == 0, "%s",
          localvqe_last_error(ctx));
    CHECK(std::memcmp(clip.data(), want.data(), kHop * sizeof(float)) == 0, "a short clip differs");

    std::vector<float> tap(1 << 16);
    for (int i = 0; i < localvqe_tap_count(ctx); ++i) {
        const int n = localvqe_tap_read(ctx, localvqe_tap_name(ctx, i), tap.data(), int(tap.size()));
        CHECK(n > 0, "tap %s", localvqe_tap_name(ctx, i));
    }
    localvqe_free(ctx);

    // Streams on shared weights, several workers each, from several threads, outliving the model's handle.
    const uintptr_t model = localvqe_model_load(argv[1]);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        const uintptr_t stream = localvqe_stream_new(model, 1 + i % 2, 1 + 5 * i);
        CHECK(stream != 0, "%s", localvqe_creation_error());
        threads.emplace_back([&, stream] {
            std::vector<float> out(mic.size());
            for (int round = 0; round < 2; ++round) {
                localvqe_process_hops_f32(stream, mic.data(), ref.data(), int(mic.size()) / kHop, out.data());
                CHECK(std::memcmp(out.data(), want.data(), want.size() * sizeof(float)) == 0,
                      "a shared stream differs");
                localvqe_reset(stream);
            }
            localvqe_free(stream);
        });
    }
    together(model, mic, ref);
    localvqe_model_free(model);
    for (std::thread & t : threads) {
        t.join();
    }
    return check::report();
}
