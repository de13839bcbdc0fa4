// The speech codec on the models given, as a program uses it: chunks with what is beside them against the whole clip,
// threads, clips that are too short, files that are damaged.

#include "check.h"
#include "localvqe_api.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace {

class Codec {
public:
    Codec(const std::string & path, int threads) : handle_(localvqe_codec_new(path.c_str(), threads)) {
        if (handle_ == 0 || localvqe_codec_describe(handle_, &info) != 0) {
            std::printf("%s: %s\n", path.c_str(), localvqe_creation_error());
            std::exit(1);
        }
    }
    ~Codec() { localvqe_codec_free(handle_); }
    Codec(const Codec &) = delete;
    Codec & operator=(const Codec &) = delete;

    std::vector<int32_t> encode(const float * sound, int frames) {
        std::vector<int32_t> tokens(size_t(info.codebooks) * size_t(frames), -1);
        CHECK(localvqe_codec_encode(handle_, sound, frames, tokens.data()) == 0, "%s", error());
        return tokens;
    }
    std::vector<float> decode(const int32_t * tokens, int frames) {
        std::vector<float> sound(size_t(frames) * size_t(info.samples_per_frame), 77.0f);
        CHECK(localvqe_codec_decode(handle_, tokens, frames, sound.data()) == 0, "%s", error());
        return sound;
    }
    const char * error() const { return localvqe_codec_last_error(handle_); }
    uintptr_t handle() const { return handle_; }

    localvqe_codec_info info{};

private:
    uintptr_t handle_;
};

std::vector<float> noise(size_t n) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal(0.0f, 0.1f);
    std::vector<float> out(n);
    for (float & x : out) {
        x = normal(generator);
    }
    return out;
}

// Frames [begin, end) of tokens (codebooks, frames).
std::vector<int32_t> columns(const std::vector<int32_t> & tokens, int frames, int begin, int end) {
    std::vector<int32_t> out;
    for (size_t row = 0; row < tokens.size(); row += size_t(frames)) {
        out.insert(out.end(), tokens.begin() + ptrdiff_t(row) + begin, tokens.begin() + ptrdiff_t(row) + end);
    }
    return out;
}

void test_threads_and_chunks(const std::string & path) {
    Codec one(path, 1), two(path, 2);
    const int frame = one.info.samples_per_frame;
    const int context = std::max(one.info.encode_context, one.info.decode_context);
    const int frames = 4 * context + 2 * one.info.least_frames + 3;
    const std::vector<float> sound = noise(size_t(frames) * size_t(frame));
    const std::vector<int32_t> tokens = one.encode(sound.data(), frames);
    for (const int32_t token : tokens) {
        CHECK(token >= 0 && token < one.info.codes, "token %d", int(token));
    }
    CHECK(tokens == two.encode(sound.data(), frames), "tokens of two threads differ");
    const std::vector<float> decoded = one.decode(tokens.data(), frames);
    CHECK(decoded == two.decode(tokens.data(), frames), "sound of two threads differs");
    for (const float x : decoded) {
        CHECK(std::fabs(x) <= 1.0f, "a sample of %g", double(x));
    }

    // The middle with what is beside it: the same as in the whole clip, to rounding.
    const int low = 1, begin = low + context, end = frames - 1 - context, high = frames - 1;
    const std::vector<int32_t> part = two.encode(sound.data() + size_t(low) * size_t(frame), high - low);
    const std::vector<int32_t> middle = columns(part, high - low, begin - low, end - low);
    const std::vector<int32_t> wanted = columns(tokens, frames, begin, end);
    int differing = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
        differing += middle[i] != wanted[i];
    }
    CHECK(differing * 100 <= int(wanted.size()), "%d of %zu tokens of a chunk differ", differing, wanted.size());
    const std::vector<float> piece = two.decode(columns(tokens, frames, low, high).data(), high - low);
    double worst = 0.0;
    for (int i = begin * frame; i < end * frame; ++i) {
        worst = std::fmax(worst, std::fabs(double(piece[size_t(i - low * frame)]) - double(decoded[size_t(i)])));
    }
    CHECK(worst < 1e-4, "sound of a chunk is off by %g", worst);
}

void test_refusals(const std::string & path) {
    Codec codec(path, 2);
    const int least = codec.info.least_frames;
    const std::vector<float> sound = noise(size_t(least) * size_t(codec.info.samples_per_frame));
    std::vector<int32_t> tokens = codec.encode(sound.data(), least); // the shortest clip
    std::vector<float> decoded = codec.decode(tokens.data(), least);
    for (const int frames : {least - 1, 0, -1, 1 << 30}) {
        CHECK(localvqe_codec_encode(codec.handle(), sound.data(), frames, tokens.data()) != 0, "%d frames", frames);
        CHECK(localvqe_codec_decode(codec.handle(), tokens.data(), frames, decoded.data()) != 0, "%d frames", frames);
        CHECK(codec.error()[0] != 0, "no reason for %d frames", frames);
    }
    for (const int32_t wrong : {int32_t(-1), int32_t(codec.info.codes), INT32_MAX}) {
        std::vector<int32_t> others = tokens;
        others.back() = wrong;
        CHECK(localvqe_codec_decode(codec.handle(), others.data(), least, decoded.data()) != 0, "token %d", int(wrong));
    }
    std::vector<float> broken = sound;
    broken.back() = NAN;
    CHECK(localvqe_codec_encode(codec.handle(), broken.data(), least, tokens.data()) != 0, "NaN was encoded");
    CHECK(codec.encode(sound.data(), least).size() == tokens.size(), "not after a refusal");
}

// Cut off anywhere, and with bytes changed anywhere: refused with a reason, or a codec that works.
void test_damaged(const std::string & path) {
    std::ifstream in(path, std::ios::binary);
    const std::vector<char> whole{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const std::string other = path + ".damaged";
    std::mt19937 generator(2);
    for (int round = 0; round < 60; ++round) {
        std::vector<char> bytes = whole;
        if (round % 2 == 0) {
            bytes.resize(generator() % whole.size());
        } else {
            for (int i = 0; i < 8; ++i) { // most of what can be damaged stands at the beginning
                const size_t reach = i % 2 == 0 ? bytes.size() : std::min<size_t>(bytes.size(), 2048);
                bytes[generator() % reach] = char(generator());
            }
        }
        std::ofstream(other, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
        const uintptr_t codec = localvqe_codec_new(other.c_str(), 1);
        CHECK(codec != 0 || localvqe_creation_error()[0] != 0, "round %d: no reason", round);
        CHECK(codec == 0 || round % 2 != 0, "round %d: a file that is cut off was taken", round);
        localvqe_codec_info info{};
        if (codec != 0 && localvqe_codec_describe(codec, &info) == 0) {
            const std::vector<float> sound = noise(size_t(info.least_frames) * size_t(info.samples_per_frame));
            std::vector<int32_t> tokens(size_t(info.least_frames) * size_t(info.codebooks));
            const int failed = localvqe_codec_encode(codec, sound.data(), info.least_frames, tokens.data());
            CHECK(failed == 0 || localvqe_codec_last_error(codec)[0] != 0, "round %d: no reason", round);
        }
        localvqe_codec_free(codec);
    }
    std::remove(other.c_str());
}

} // namespace

int main(int argc, char ** argv) {
    if (argc != 2) {
        std::printf("usage: test_lfsc CODEC.gguf\n");
        return 2;
    }
    CHECK(localvqe_codec_new("no such file", 1) == 0 && localvqe_creation_error()[0] != 0, "no file was taken");
    CHECK(localvqe_codec_new(argv[1], 0) == 0, "no threads were taken");
    test_threads_and_chunks(argv[1]);
    test_refusals(argv[1]);
    test_damaged(argv[1]);
    return check::report();
}
