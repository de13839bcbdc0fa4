// A library against golden vectors, for a machine that has no Python: tools/wheels.py and emulated.sh give them as floats.

#include "check.h"
#include "localvqe_api.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace {

constexpr int kHop = 256;
constexpr float kTolerance = 1e-4f; // as tests/parity/test_engine_golden.py

std::vector<float> floats(const char * path) {
    std::vector<float> out;
    std::FILE * file = std::fopen(path, "rb");
    CHECK(file != nullptr, "cannot open %s", path);
    float block[4096];
    for (size_t n; file != nullptr && (n = std::fread(block, sizeof(float), 4096, file)) > 0;) {
        out.insert(out.end(), block, block + n);
    }
    if (file != nullptr) {
        std::fclose(file);
    }
    return out;
}

float farthest(const std::vector<float> & found, const float * want) {
    float worst = 0.0f;
    for (size_t i = 0; i < found.size(); ++i) {
        const float off = std::fabs(found[i] - want[i]);
        worst = off <= worst ? worst : off; // NaN gets through
    }
    return worst;
}

void test_model(const char * model, const char * vectors) {
    const std::vector<float> all = floats(vectors); // mic, ref and what is to come out, one after another
    const size_t n = all.size() / 3 / kHop * kHop;
    const float * mic = all.data();
    const float * ref = mic + n;
    const float * want = ref + n;
    CHECK(n > 0 && 3 * n == all.size(), "%s holds %zu floats", vectors, all.size());
    const uintptr_t ctx = localvqe_new(model);
    CHECK(ctx != 0, "%s", localvqe_creation_error());
    if (ctx == 0) {
        return;
    }
    std::vector<float> hops(n), clip(n);
    for (size_t i = 0; i < n; i += kHop) {
        CHECK(localvqe_process_frame_f32(ctx, mic + i, ref + i, kHop, hops.data() + i) == 0, "%s",
              localvqe_last_error(ctx));
    }
    CHECK(localvqe_process_f32(ctx, mic, ref, int(n), clip.data()) == 0, "%s", localvqe_last_error(ctx));
    const float by_hop = farthest(hops, want), whole = farthest(clip, want);
    std::printf("%s: off by %.1e\n", model, double(std::max(by_hop, whole)));
    CHECK(by_hop < kTolerance, "%s hop by hop is off by %g", model, double(by_hop));
    CHECK(whole < kTolerance, "%s as a clip is off by %g", model, double(whole));
    localvqe_free(ctx);
}

} // namespace

int main(int argc, char ** argv) {
    if (argc < 3 || argc % 2 == 0) {
        std::printf("usage: test_golden MODEL.gguf VECTORS.f32 [MODEL.gguf VECTORS.f32 ...]\n");
        return 2;
    }
    std::printf("kernels: %s\n", localvqe_kernels());
    for (int i = 1; i + 1 < argc; i += 2) {
        test_model(argv[i], argv[i + 1]);
    }
    return check::report();
}
