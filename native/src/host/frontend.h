// The adaptive linear filter before the network: a partitioned-block frequency-domain Kalman filter with a delay
// search. As in localvqe_cli/reference/frontend.py, where the method and its sources are described. Only models with
// localvqe.frontend.* keys have one.
#pragma once

#include "../fft.h"
#include "frontend_gain.h"

#include <memory>

namespace localvqe {

// Everything between two hops of one stream.
class FrontendState {
public:
    // gain: the learned controller, or null for the hand rule.
    FrontendState(const FrontendConfig & config, const FrontendGain * gain);
    void reset();

    // Whole hops by which the reference is delayed at present.
    int offset() const { return offset_; }

    // One hop each, with the hop before it: (256) samples.
    void step(const Kernels & k, const float * mic_before, const float * mic, const float * ref_before,
              const float * ref, float * error, float * echo);

private:
    // Updates the filter by one hop whose error and echo it has estimated, and both with it.
    void adapt(const Kernels & k, const float * mic, float * error, float * echo);
    // Listens to one hop; power: the mean square of the reference's samples in it.
    void search(const Kernels & k, const float * near_re, const float * near_im, const float * far_re,
                const float * far_im, float power);
    void move(int offset);
    void constrain(int partition);
    void forget();
    // Points far_re_ and far_im_ at the delayed spectra.
    void select_far();
    // The spectrum of a hop behind 256 zeros.
    void late_spectrum(const float * hop, float * re, float * im) const;
    // Sets the controller's factors, from the hop before its update. error_re, error_im: the spectrum of the error.
    void control(const Kernels & k, const float * mic, const float * echo, const float * error_re,
                 const float * error_im);
    // error = mic - echo of the present filter; returns the error's energy.
    double subtract(const Kernels & k, const float * mic, float * error, float * echo);

    static constexpr int kMostPartitions = limits::frontend_partitions.high;

    FrontendConfig config_;
    float initial_[kMostPartitions]; // variance per partition
    float floor_[kMostPartitions];   // of the process noise
    RealFft512 fft_;
    uint64_t frames_ = 0;
    int offset_ = 0;
    float peak_ = 0.0f;    // the reference's loudest lately
    bool adapted_ = false; // in any hop so far
    int idle_ = 0;         // hops since the last active one, up to as many as the filter can hear
    int heard_ = 0;        // active frames of the reference, up to as many as are enough
    int candidate_ = 0;
    int patience_ = 0;
    AlignedFloats spectra_;                // ring of lags + partitions frames, re and im
    AlignedFloats w_re_, w_im_, variance_; // (partitions, bins)
    AlignedFloats noise_, noise_before_;
    AlignedFloats weighted_; // scratch: the observation noise as the update takes it
    AlignedFloats ones_;     // process factors where there is no controller
    std::unique_ptr<FrontendGainState> gain_;
    AlignedFloats white_; // ring of lags frames, re and im, searched bins
    AlignedFloats mic_power_, ref_power_;
    AlignedFloats agreement_; // (lags, re and im, searched bins)
    AlignedFloats flat_;      // scratch: the whitened microphone
    AlignedFloats moved_;     // scratch: one of w_re_, w_im_, variance_
    const float * far_re_[kMostPartitions];
    const float * far_im_[kMostPartitions];
};

} // namespace localvqe
