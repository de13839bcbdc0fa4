// A net whose weights lie on a device of ggml: the ggml backend's program.
#pragma once

#include "../backend.h"
#include "../net.h"

#include "ggml-backend.h"
#include "ggml-cpp.h"

#include <memory>
#include <vector>

namespace localvqe {

struct Loader;

class GgmlProgram : public Program {
public:
    // Throws Error when the device has no room for the weights.
    GgmlProgram(const Net & net, const Loader & loader, ggml_backend_dev_t device);

    std::unique_ptr<Session> open(int threads, int batch, int streams, Profile & profile) const override;
    int most_streams(int batch) const override;

    // The weights of one operation, F32; what they are is up to the verb, see lowering.cpp.
    struct Weights {
        ggml_tensor * matrix = nullptr;
        ggml_tensor * second = nullptr;
        std::vector<double> recurrence; // of s4d: a_re, a_im, B_re, B_im, C_re, C_im, each [channels]
    };

    const Net & net() const { return net_; }
    ggml_backend_dev_t device() const { return device_; }
    const Weights & weights(const Operation & op) const { return weights_[size_t(op.out.id)]; }

private:
    struct Upload {
        ggml_tensor * tensor;
        std::vector<float> values;
    };

    // A tensor of this shape, to be filled with these values once there is memory for it.
    ggml_tensor * tensor(std::vector<int64_t> shape, std::vector<float> values, std::vector<Upload> & uploads);
    void load(const Operation & op, const Loader & loader, std::vector<Upload> & uploads);
    void load_basis(const Operation & op, const Loader & loader, std::vector<Upload> & uploads);

    const Net net_;
    ggml_backend_dev_t device_;
    ggml_context_ptr context_;
    ggml_backend_buffer_ptr buffer_;
    std::vector<Weights> weights_;
};

} // namespace localvqe
