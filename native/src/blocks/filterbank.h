// Analysis and synthesis filterbanks (report, 2.1; version 1 uses a DCT-II basis in the same place). Frame t covers the
// previous and the current hop.
#pragma once

#include "convolution.h"
#include "transform.h"

namespace localvqe {

struct Loader;

struct Filterbank {
    std::unique_ptr<Transform> transform;   // where the file holds a standard basis; else null, and the dense products:
    std::unique_ptr<ConvWeights> analysis;  // 512 samples -> 512 interleaved (re, im)
    std::unique_ptr<ConvWeights> synthesis; // planar re[256], im[256] -> 512 samples
    float overlap_gain = 1.0f;

    static Filterbank load(const Loader & loader, const ModelConfig & config);
    // samples: one hop per frame with one hop of history. Returns the spectrum (256 bins, 2 channels).
    Frames & build_analysis(Builder & b, const std::string & name, Frames & samples) const;
    // enhanced: planar spectrum (1 bin of 512). tail: the second half of the last synthesised frame, kept between
    // calls. Returns one hop per frame.
    Frames & build_synthesis(Builder & b, Frames & enhanced, AlignedFloats & tail) const;
};

} // namespace localvqe
