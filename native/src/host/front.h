// What depends on the data and stands before the net, on the host whatever the backend: cleaned samples, the adaptive
// filter, the gain behind it. A model without a network is this alone.
#pragma once

#include "../profile.h"
#include "frontend.h"
#include "residual_echo.h"

#include <memory>
#include <string>
#include <vector>

namespace localvqe {

class Front {
public:
    // gain: the filter's learned controller, or null for the hand rule. blocks' times go to `profile`.
    Front(const ModelConfig & config, const FrontendGain * gain, const Kernels & kernels, Profile & profile);
    void reset();

    // One hop of each, (256). NaN and infinite samples count as zero, and levels are limited to +-1e6, so that no input can
    // leave a lasting trace in a recurrent state.
    void step(const float * mic, const float * ref);

    // What that hop is to the net: the microphone, or what the filter leaves of it, (256);
    const float * near() const { return filter_ ? error_.now() : mic_.now(); }
    // the reference, or the estimated echo, (256);
    const float * far() const { return filter_ ? echo_.now() : ref_.now(); }
    // and the factors of the near end's bins 1..256, where there is a gain stage.
    const float * gain() const { return gains_.data() + 1; }
    // Without a network: the samples that the hop completes, (256), one hop late.
    const float * samples() const { return samples_.data(); }

    // Hops by which the filter delays the reference; 0 without one.
    int offset() const { return filter_ ? filter_->offset() : 0; }

    // Outputs of the latest hop, for verification.
    struct Output {
        std::string name;
        int dim0;
        int dim1;
        const float * (*values)(const Front & front);
    };
    const std::vector<Output> & outputs() const { return outputs_; }

private:
    // One hop of samples and the one before.
    class Hops {
    public:
        Hops() : data_(2 * size_t(kHop)) {}
        const float * now() const { return data_.data() + (odd_ ? kHop : 0); }
        const float * before() const { return data_.data() + (odd_ ? 0 : kHop); }
        // Makes room for the next hop, in place of the one before.
        float * next() {
            odd_ = !odd_;
            return data_.data() + (odd_ ? kHop : 0);
        }
        void clear() { data_.clear(); }

    private:
        AlignedFloats data_;
        bool odd_ = false;
    };

    void step_gain();

    const Kernels & kernels_;
    Profile & profile_;
    bool network_;
    std::unique_ptr<FrontendState> filter_;
    std::unique_ptr<ResidualEchoState> residual_;
    size_t filter_block_ = 0; // of the profile
    size_t residual_block_ = 0;
    Hops mic_, ref_, error_, echo_;
    AlignedFloats gains_;   // of bins 0..256
    AlignedFloats samples_;
    std::vector<Output> outputs_;
};

} // namespace localvqe
