#include "devices.h"

#include "../lower_case.h"

#include <cstdlib>

namespace localvqe {
namespace {

std::string family_of(ggml_backend_dev_t device) {
    const std::string name = lower_case(ggml_backend_reg_name(ggml_backend_dev_backend_reg(device)));
    return name == "mtl" ? "metal" : name;
}

// Vulkan's matrix products round their operands to 16 bits where a device can: 2e-3 off the golden output, with 32 bits
// 7e-7. ggml asks the environment, when it looks for devices.
void want_precision() {
#if defined(_WIN32)
    _putenv_s("GGML_VK_DISABLE_F16", "1");
#else
    setenv("GGML_VK_DISABLE_F16", "1", 1);
#endif
}

std::vector<GgmlDevice> find() {
    want_precision();
    ggml_log_set([](ggml_log_level, const char *, void *) {}, nullptr); // it would greet every device on stderr
    std::vector<GgmlDevice> found;
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
        const ggml_backend_dev_t device = ggml_backend_dev_get(i);
        found.push_back({family_of(device), ggml_backend_dev_description(device), device});
    }
    return found;
}

} // namespace

const std::vector<GgmlDevice> & ggml_devices() {
    static const std::vector<GgmlDevice> devices = find();
    return devices;
}

} // namespace localvqe
