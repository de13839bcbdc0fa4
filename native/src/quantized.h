// Block-quantized matrices: ggml's formats, called only with sizes and values that its own checks cannot trip over.
#pragma once

#include <cstddef>
#include <cstdint>

namespace localvqe {

// A format the engine reads: `block` weights along a row take `bytes` bytes.
struct BlockFormat {
    uint32_t type; // ggml type id
    int block;
    int bytes;
};

constexpr uint32_t kTypeF32 = 0;
constexpr uint32_t kTypeQ8 = 8; // Q8_0

// Null for a type the engine does not read, F32 included.
const BlockFormat * find_format(uint32_t type);

// Largest weight that every format can hold: their scales are half precision.
constexpr float kLargestWeight = 60000.0f;

// rows x columns floats to blocks, row after row. columns is a multiple of the block; importance (columns, or null)
// weights the squared errors of the formats that choose their scales by it. Throws Error for values that are not finite or
// larger than kLargestWeight, and for importance that is negative or not finite.
void quantize_rows(const BlockFormat & format, const float * in, size_t rows, size_t columns, const float * importance,
                   uint8_t * out);

// The inverse. Throws Error when a scale is NaN or infinite.
void dequantize_rows(const BlockFormat & format, const uint8_t * in, size_t rows, size_t columns, float * out);

// A half-precision number as a float; NaN and infinity stay what they are.
float half_to_float(const uint8_t * bytes);

} // namespace localvqe
