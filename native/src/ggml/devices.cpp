#include "devices.h"

#include "../lower_case.h"

namespace localvqe {
namespace {

std::string family_of(ggml_backend_dev_t device) {
    const std::string name = lower_case(ggml_backend_reg_name(ggml_backend_dev_backend_reg(device)));
    return name == "mtl" ? "metal" : name;
}

std::vector<GgmlDevice> find() {
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
