// The devices that ggml finds with the backends compiled in.
#pragma once

#include "ggml-backend.h"

#include <string>
#include <vector>

namespace localvqe {

struct GgmlDevice {
    std::string family; // "cpu", "cuda", "metal", "vulkan"
    std::string description;
    ggml_backend_dev_t device;
};

// In ggml's order, GPUs before its CPU; looked for once.
const std::vector<GgmlDevice> & ggml_devices();

} // namespace localvqe
