// Hyperparameters of a model, twin of localvqe_cli/config.py.
#pragma once

#include <array>
#include <cstdint>

namespace localvqe {

class GgufFile;

constexpr int kMicStages = 5;
constexpr int kFarStages = 2;
constexpr int kMaskChannels = 27; // 3 basis indices x 3x3 kernel (report, 2.6)
constexpr int kFft = 512;
constexpr int kHop = 256;
constexpr int kBins = 256;
constexpr int kSampleRate = 16000;
constexpr int kMaxKernel = 8;
constexpr int kMaxDelay = 512; // of dmax

constexpr int kMaxPartitions = 64;
constexpr int kMaxLags = 128;
constexpr int kMaxGainHidden = 64;
constexpr int kGainFeatures = 11; // numbers per bin that the controller sees

// The adaptive filter before the network; blocks/frontend.h.
struct FrontendConfig {
    int partitions = 0;
    int lags = 0;
    int iterations = 0;
    float transition = 0.0f;
    float noise_smoothing = 0.0f;
    float initial_variance = 0.0f;
    float process_floor = 0.0f;
    float decay = 1.0f;
    float noise_weight = 1.0f;
    int gain_hidden = 0; // states per bin of the learned controller; 0 for none
};

// The gain per bin behind that filter; blocks/residual_echo.h.
struct ResidualConfig {
    float overestimate = 0.0f;
    float leak_least = 0.0f;
    float leak_most = 0.0f;
    float leak_background = 0.0f;
    float noise_fill = 0.0f;
};

struct ModelConfig {
    int version = 0; // 1: folded BatchNorm + ELU; 2: CausalGroupNorm + ReLU6; 3: CausalGroupNorm + SiLU
    std::array<int, kMicStages + 1> mic_channels{};
    std::array<int, kFarStages + 1> far_channels{};
    int dmax = 0;
    int align_hidden = 0;
    int bottleneck_hidden = 0;
    int kernel_h = 0;
    int kernel_w = 0;
    float power_law_c = 0.0f;
    bool has_network = true; // otherwise what describes the network means nothing
    bool has_frontend = false;
    FrontendConfig frontend;
    bool has_residual = false;
    ResidualConfig residual;

    bool has_norm() const { return version >= 2; }
    int freqs(int stage) const { return kBins >> stage; }
    int bottleneck_features() const { return mic_channels[kMicStages] * freqs(kMicStages); }

    // Reads and checks every contract key; throws Error naming the key and the range.
    static ModelConfig from_gguf(const GgufFile & file);
};

} // namespace localvqe
