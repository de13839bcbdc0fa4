// Which backends this build has, what devices they find here, and how a net gets onto one.
#pragma once

#include "backend.h"
#include "net.h"
#include "precision.h"

#include <memory>
#include <string>
#include <vector>

namespace localvqe {

struct Kernels;
struct Loader;

// Where a net is to run, and in what numbers. "cpu": our own kernels; "ggml": any device of ggml's; "cuda", "metal",
// "vulkan": those only. "auto" and "" leave it to us, which is cpu: it alone is fast for one hop at a time.
struct Place {
    std::string backend = "auto";
    int device = 0;
    Precision precision = Precision::automatic;
};

struct Device {
    Place place;
    std::string description;
};

// Is it in this build? Names in any case.
bool has_backend(const std::string & name);

// What is there, our own kernels first; looked for once.
const std::vector<Device> & devices();

// Devices that a backend can name: 0 for one that is not in this build.
int device_count(const std::string & backend);

// Throws Error when there is no such place, or no room there.
std::unique_ptr<const Program> make_program(const Net & net, const Loader & loader, const Kernels & kernels,
                                            const Place & place);

} // namespace localvqe
