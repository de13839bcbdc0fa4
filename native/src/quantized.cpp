#include "quantized.h"

#include "error.h"

#include "ggml.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace localvqe {
namespace {

// Q8_0, and the formats of 256 weights with 4, 5 and 6 bits.
const BlockFormat kFormats[] = {{8, 32, 34}, {12, 256, 144}, {13, 256, 176}, {14, 256, 210}};

// Below this a weight is zero in every format, but dividing by it is not safe.
constexpr float kSmallestWeight = 1e-12f;

} // namespace

const BlockFormat * find_format(uint32_t type) {
    for (const BlockFormat & format : kFormats) {
        if (format.type == type) {
            return &format;
        }
    }
    return nullptr;
}

float half_to_float(const uint8_t * bytes) {
    ggml_fp16_t half;
    std::memcpy(&half, bytes, sizeof half);
    return ggml_fp16_to_fp32(half);
}

void quantize_rows(const BlockFormat & format, const float * in, size_t rows, size_t columns, const float * importance,
                   uint8_t * out) {
    if (rows == 0 || columns == 0 || columns % size_t(format.block) != 0) {
        throw Error("a matrix of " + std::to_string(rows) + " x " + std::to_string(columns) +
                    ", expected rows of a multiple of " + std::to_string(format.block));
    }
    std::vector<float> weights;
    if (importance != nullptr) {
        double total = 0.0;
        for (size_t i = 0; i < columns; ++i) {
            if (!std::isfinite(importance[i]) || importance[i] < 0.0f) {
                throw Error("an importance that is negative or not finite");
            }
            total += double(importance[i]);
        }
        // Of mean one, and nowhere zero: a block whose inputs never moved still wants the nearest values.
        const double mean = total > 0.0 ? total / double(columns) : 1.0;
        weights.resize(columns);
        for (size_t i = 0; i < columns; ++i) {
            weights[i] = float(double(importance[i]) / mean) + 1e-4f;
        }
    }
    const size_t row_bytes = columns / size_t(format.block) * size_t(format.bytes);
    std::vector<float> row(columns);
    std::vector<uint8_t> blocks(row_bytes); // aligned, whatever `out` is
    for (size_t r = 0; r < rows; ++r) {
        for (size_t i = 0; i < columns; ++i) {
            const float x = in[r * columns + i];
            if (!(std::fabs(x) <= kLargestWeight)) { // false for NaN
                throw Error("a weight that is not finite or over " + std::to_string(int(kLargestWeight)));
            }
            row[i] = std::fabs(x) < kSmallestWeight ? 0.0f : x;
        }
        ggml_quantize_chunk(ggml_type(format.type), row.data(), blocks.data(), 0, 1, int64_t(columns),
                            importance == nullptr ? nullptr : weights.data());
        std::memcpy(out + r * row_bytes, blocks.data(), row_bytes);
    }
}

void dequantize_rows(const BlockFormat & format, const uint8_t * in, size_t rows, size_t columns, float * out) {
    if (columns % size_t(format.block) != 0) {
        throw Error("rows of " + std::to_string(columns) + ", not a multiple of " + std::to_string(format.block));
    }
    const ggml_to_float_t to_float = ggml_get_type_traits(ggml_type(format.type))->to_float;
    const size_t row_bytes = columns / size_t(format.block) * size_t(format.bytes);
    std::vector<uint8_t> blocks(row_bytes);
    for (size_t r = 0; r < rows; ++r) {
        std::memcpy(blocks.data(), in + r * row_bytes, row_bytes);
        to_float(blocks.data(), out + r * columns, int64_t(columns));
    }
    for (size_t i = 0; i < rows * columns; ++i) {
        if (!std::isfinite(out[i])) {
            throw Error("a block whose scale is NaN or infinite");
        }
    }
}

} // namespace localvqe
