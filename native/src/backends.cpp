#include "backends.h"

#include "cpu/packed_net.h"
#include "error.h"
#include "lower_case.h"

#if defined(LOCALVQE_GGML)
#include "ggml/devices.h"
#include "ggml/program.h"
#endif

#include <algorithm>

namespace localvqe {
namespace {

bool is_cpu(const std::string & name) { return name.empty() || name == "auto" || name == "cpu"; }

#if defined(LOCALVQE_GGML)
// Numbered as a user numbers them: among all of ggml's, or among those of one kind.
const GgmlDevice * find_device(const std::string & backend, int index) {
    for (const GgmlDevice & device : ggml_devices()) {
        if ((backend == "ggml" || device.family == backend) && index-- == 0) {
            return &device;
        }
    }
    return nullptr;
}
#endif

std::vector<Device> find_devices() {
    std::vector<Device> found;
    found.push_back({Place{"cpu"}, std::string("CPU, kernels ") + select_kernels().name});
#if defined(LOCALVQE_GGML)
    int all = 0;
    for (const GgmlDevice & device : ggml_devices()) {
        int same = 0;
        for (const Device & other : found) {
            same += other.place.backend == device.family ? 1 : 0;
        }
        found.push_back({device.family == "cpu" ? Place{"ggml", all} : Place{device.family, same}, device.description});
        ++all;
    }
#endif
    return found;
}

} // namespace

bool has_backend(const std::string & name) {
    const std::string wanted = lower_case(name);
    const std::vector<std::string> built{
#if defined(LOCALVQE_GGML)
        "ggml", LOCALVQE_GGML
#endif
    };
    return is_cpu(wanted) || (wanted != "ggml-cpu" && std::find(built.begin(), built.end(), wanted) != built.end());
}

const std::vector<Device> & devices() {
    static const std::vector<Device> found = find_devices();
    return found;
}

int device_count(const std::string & backend) {
    const std::string name = lower_case(backend);
    if (is_cpu(name)) {
        return 1;
    }
    int count = 0;
#if defined(LOCALVQE_GGML)
    while (find_device(name, count) != nullptr) {
        ++count;
    }
#endif
    return count;
}

std::unique_ptr<const Program> make_program(const Net & net, const Loader & loader, const Kernels & kernels,
                                            const Place & place) {
    const std::string backend = lower_case(place.backend);
    if (is_cpu(backend)) {
        if (place.device != 0) {
            throw Error("backend cpu has device 0 only, not " + std::to_string(place.device));
        }
        return std::unique_ptr<const Program>(new PackedNet(net, loader, kernels, place.precision));
    }
    if (place.precision == Precision::int16) {
        throw Error("precision int16 is for backend cpu, not " + backend);
    }
    if (!has_backend(backend)) {
        throw Error("backend " + backend + " is not in this build");
    }
#if defined(LOCALVQE_GGML)
    if (const GgmlDevice * device = find_device(backend, place.device)) {
        return std::unique_ptr<const Program>(new GgmlProgram(net, loader, device->device));
    }
#endif
    throw Error("backend " + backend + " has no device " + std::to_string(place.device) + " here");
}

} // namespace localvqe
