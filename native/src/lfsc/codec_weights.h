// Weights of a codec's file by name, whatever they are stored as.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace localvqe {

class GgufFile;

namespace lfsc {

// The weight of one convolution and its bias.
class Weight {
public:
    float at(int output, int tap, int input) const {
        return values_[size_t(output) * output_step_ + size_t(tap) * tap_step_ + size_t(input) * input_step_];
    }
    float bias(int output) const { return bias_[size_t(output)]; }

private:
    friend class WeightReader;
    std::vector<float> values_, bias_;
    size_t output_step_ = 0, tap_step_ = 0, input_step_ = 0;
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
