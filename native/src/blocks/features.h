// Power-law magnitude compression (report, 2.2) and, for the microphone, the planar copy of the spectrum that the mask
// reads.
#pragma once

#include "builder.h"

namespace localvqe {

// The last three spectra, planar, with one zero bin on either side.
struct SpectrumHistory {
    Frames * re;
    Frames * im;
};

// Returns the features (256 bins, 2 channels).
Frames & build_features(Builder & b, Frames & spectrum);

SpectrumHistory build_history(Builder & b, Frames & spectrum);

} // namespace localvqe
