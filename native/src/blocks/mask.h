// Complex convolving mask (report, 2.6): 27 channels are three coefficients on the cube roots of unity for each tap of
// a causal 3x3 kernel over the microphone spectrum; the current bin is tap 7.
#pragma once

#include "features.h"

namespace localvqe {

// mask: planar (27 x 256). Returns the planar enhanced spectrum: 1 bin of 512, re[256] then im[256].
Frames & build_mask(Builder & b, Frames & mask, const SpectrumHistory & mic);

} // namespace localvqe
