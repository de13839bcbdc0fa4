// The ggml backend's session: graphs of one hop and of a whole batch, which share what is kept between runs.
#pragma once

#include "../backend.h"
#include "lowering.h"

#include "ggml-alloc.h"

#include <vector>

namespace localvqe {

class GgmlSession : public Session {
public:
    // Throws Error when the device lacks an operation or room.
    GgmlSession(const GgmlProgram & program, int threads, int batch, int streams, Profile & profile);

    float * input(size_t index, int hop, int stream) override;
    void run(int hops) override;
    const float * output(int hop, int stream) const override {
        return output_.data() + (size_t(stream) * size_t(batch_) + size_t(hop)) * kHop;
    }
    void reset(int stream) override;
    void read_tap(size_t index, float * out) const override;
    void set_observing(bool on) override;
    std::vector<float> input_power(const std::string & tensor) const override;

    // What it takes of the device's memory, in bytes.
    struct Size {
        size_t bytes;   // in all
        size_t largest; // tensor
    };
    Size size() const;

private:
    // A graph over a fixed number of hops, with its scratch.
    struct Compiled {
        int hops = 0;
        ggml_context_ptr context;
        ggml_gallocr_ptr scratch;
        GgmlGraph graph;
    };

    void compile(Compiled & compiled, int hops, const std::vector<ggml_tensor *> & s4d);
    void compute(const Compiled & compiled, int first);
    std::string device_name() const;

    const GgmlProgram & program_;
    Profile & profile_;
    size_t block_;
    int batch_, streams_;
    ggml_backend_ptr backend_;
    ggml_context_ptr context_;
    ggml_backend_buffer_ptr kept_, constants_;
    ggml_context_ptr constants_context_;
    GgmlMemory memory_;
    Compiled single_, whole_;
    const Compiled * last_ = nullptr;        // of the latest run; null before the first
    std::vector<std::vector<float>> inputs_; // by input: streams behind each other, of hops behind each other
    std::vector<float> output_;              // likewise
};

} // namespace localvqe
