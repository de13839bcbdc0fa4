// Hyperparameters of a model. Keys, ranges and what they are read into are written from localvqe_cli/config.py.
#pragma once

#include "contract/keys.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace localvqe {

class GgufFile;

// Most of a thread's stack that one array may take whose length is a limit of what a file may state.
constexpr size_t kMostStack = 16 * 1024;

struct ModelConfig : NetworkConfig {
    int version = 0; // 1: folded BatchNorm + ELU; 2: CausalGroupNorm + ReLU6; 3: CausalGroupNorm + SiLU
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
