// Complex convolving mask (report, 2.6): 27 channels are three coefficients on the cube roots of unity for each tap of
// a causal 3x3 kernel over the microphone spectrum; the current bin is tap 7.
#pragma once

#include "../net.h"

namespace localvqe {

// Returns the enhanced spectrum.
Value mask(Net & n, Value m, Value spectrum);

} // namespace localvqe
