// enhance MODEL.gguf MIC.wav REF.wav OUT.wav - the microphone without its echo, the whole recording at once.
#include "../c/wav.h"
#include "localvqe.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>

static std::optional<localvqe::Samples> read(const char * path) {
    int count = 0;
    std::int16_t * samples = wav_read(path, &count);
    if (samples == nullptr) {
        return std::nullopt;
    }
    localvqe::Samples copy(samples, samples + count);
    std::free(samples);
    return copy;
}

int main(int argc, char ** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: enhance MODEL.gguf MIC.wav REF.wav OUT.wav\n");
        return 2;
    }
    try {
        const auto mic = read(argv[2]);
        const auto ref = mic ? read(argv[3]) : std::nullopt;
        if (!ref) {
            return 1;
        }
        const localvqe::Samples out = localvqe::Stream(argv[1]).enhance(*mic, *ref);
        return wav_write(argv[4], out.data(), static_cast<int>(out.size())) ? 0 : 1;
    } catch (const std::exception & error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
