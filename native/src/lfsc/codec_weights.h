// Weights of a codec's file by name, whatever they are stored as.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace localvqe {

class GgufFile;

namespace lfsc {

enum class Storage { floats, halves, bytes };

// The weight of one convolution as its file has it, and its bias.
class Weight {
public:
    Storage storage() const { return storage_; }
    int outputs() const { return outputs_; }
    int inputs() const { return inputs_; }
    float bias(int output) const { return bias_[size_t(output)]; }

    // Of each storage its elements. Columns are the inputs of one tap after the other.
    float value(int output, int column) const { return floats_[at(output, column)]; }
    uint16_t half(int output, int column) const;
    // A byte is a multiple of its scale, which so many columns share.
    int8_t byte(int output, int column) const;
    float scale(int output, int column) const;
    int columns_of_scale() const;

private:
    friend class WeightReader;
    // In a file floats and halves have the taps of one input after the other.
    size_t at(int output, int column) const {
        return (size_t(output) * size_t(inputs_) + size_t(column % inputs_)) * size_t(taps_) + size_t(column / inputs_);
    }
    const uint8_t * block(int output, int column) const;

    Storage storage_ = Storage::floats;
    int outputs_ = 0, inputs_ = 0, taps_ = 0;
    std::vector<float> floats_, bias_;
    std::vector<uint8_t> bytes_; // of halves, or of blocks
    size_t row_bytes_ = 0;       // of blocks
};

// Hands out each convolution once and knows whether something else is in the file.
class WeightReader {
public:
    explicit WeightReader(const GgufFile & file) : file_(file) {}

    // Throws Error where a tensor is missing, misshapen, of another type or not finite.
    Weight read(const std::string & name, int outputs, int inputs, int taps);
    // Throws Error for a tensor that was not read.
    void require_all_read() const;

private:
    const GgufFile & file_;
    std::set<std::string> read_;
};

} // namespace lfsc
} // namespace localvqe
