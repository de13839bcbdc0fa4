// Analysis and synthesis filterbanks (report, 2.1; version 1 uses a DCT-II basis in the same place). Frame t covers the
// previous and the current hop.
#pragma once

#include "../net.h"

namespace localvqe {

// Spectrum (2, 256) of samples (1, 256).
Value analysis(Net & n, Value samples);
// And back.
Value synthesis(Net & n, Value spectrum);

} // namespace localvqe
