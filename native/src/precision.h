// In what numbers the convolutions of a network compute.
#pragma once

#include <string>

namespace localvqe {

enum class Precision {
    automatic, // floats, and integers for quantized files where these are faster; see docs/reference/quantization.md
    f32,
    int16 // integers wherever the backend can, of files in F32 too
};

// "auto", "f32" or "int16"; false for another word.
bool find_precision(const std::string & word, Precision & found);

// What to do: LOCALVQE_ARITHMETIC in the environment says it where nothing else was wanted. Throws Error for an unknown
// word there.
Precision decided(Precision wanted);

} // namespace localvqe
