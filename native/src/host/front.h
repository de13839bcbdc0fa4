// What depends on the data and stands before the net, on the host whatever the backend: cleaned samples, the adaptive
// filter, the gain behind it. A model without a network is this alone.
#pragma once

#include "../backend.h"
#include "../profile.h"
#include "frontend.h"
#include "residual_echo.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace localvqe {

class Front {
public:
    // gain: the filter's learned controller, or null for the hand rule. batch: most hops of one run. The blocks' times go to
    // `profile`.
    Front(const ModelConfig & config, const FrontendGain * gain, const Kernels & kernels, int batch, Profile & profile);
    void reset();

    // 1..batch hops of each, (hops * 256). NaN and infinite samples count as zero, and levels are limited to +-1e6, so that
    // no input can leave a lasting trace in a recurrent state.
    void run(const float * mic, const float * ref, int hops);

    // What hop t of that run is to the net: the microphone, or what the filter leaves of it, (256);
    const float * near(int t) const { return filter_ ? error_.at(t) : mic_.at(t); }
    // the reference, or the estimated echo, (256);
    const float * far(int t) const { return filter_ ? echo_.at(t) : ref_.at(t); }
    // and the factors of the near end's bins 1..256, where there is a gain stage.
    const float * gain(int t) const { return gains(t) + 1; }
    // All of these of that run, as the net's inputs of one of its streams.
    void feed(Session & session, int stream, int hops) const;
    // Without a network: the samples that the hop completes, (256), one hop late.
    const float * samples(int t) const { return samples_.at(t); }

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
    // The hops of a run and the one before it.
    class Hops {
    public:
        explicit Hops(int batch) : data_(size_t(batch + 1) * kHop) {}
        // -1 <= t < batch.
        float * at(int t) { return data_.data() + size_t(t + 1) * kHop; }
        const float * at(int t) const { return data_.data() + size_t(t + 1) * kHop; }
        // Makes the last of a run's hops the one before the next run.
        void keep(int hops) { std::memcpy(at(-1), at(hops - 1), kHop * sizeof(float)); }
        void clear() { data_.clear(); }

    private:
        AlignedFloats data_;
    };

    void run_gain(int hops);
    const float * gains(int t) const { return gains_.data() + size_t(t) * ResidualEchoState::kGains; }

    const Kernels & kernels_;
    Profile & profile_;
    bool network_;
    std::unique_ptr<FrontendState> filter_;
    std::unique_ptr<ResidualEchoState> residual_;
    size_t filter_block_ = 0; // of the profile
    size_t residual_block_ = 0;
    Hops mic_, ref_, error_, echo_, samples_;
    AlignedFloats gains_; // of bins 0..256, by hop
    int latest_ = 0;      // the last hop of the latest run
    std::vector<Output> outputs_;
};

} // namespace localvqe
