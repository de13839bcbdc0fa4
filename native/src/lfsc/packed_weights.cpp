#include "packed_weights.h"

#include "../cpu/packing.h"

namespace localvqe {
namespace lfsc {
namespace {

constexpr int kTaps = 512; // of a block

int per_word(Storage storage) { return storage == Storage::bytes ? 4 : storage == Storage::halves ? 2 : 1; }

} // namespace

PackedWeights::PackedWeights(const Kernels & kernels, const Weight & weight, const std::vector<int> & taps)
    : kernels_(kernels), outputs_(weight.outputs()), storage_(weight.storage()),
      panels_(even_panels(kernels, weight.outputs(), 0, false)) { // a call is given the weights of one panel
    lanes_ = size_t(panels_.back().first + panels_.back().vectors * kernels.lanes);
    bias_ = AlignedFloats(lanes_);
    no_bias_ = AlignedFloats(lanes_);
    for (int o = 0; o < outputs_; ++o) {
        bias_[size_t(o)] = weight.bias(o);
    }
    std::vector<int> columns; // of the weight's rows, for each input of a window
    for (const int tap : taps) {
        for (int i = 0; i < weight.inputs(); ++i) {
            columns.push_back(tap * weight.inputs() + i);
        }
    }
    lay_out(weight, columns);
    for (const Block & block : blocks_) {
        for (const Panel & panel : panels_) {
            fill(weight, columns, block, panel);
        }
    }
}

void PackedWeights::lay_out(const Weight & weight, const std::vector<int> & columns) {
    const int64_t all = int64_t(columns.size()), count = (all + kTaps - 1) / kTaps;
    size_t words = 0, scales = 0;
    for (int64_t b = 0; b < count; ++b) {
        const int first = int(all * b / count), end = int(all * (b + 1) / count);
        Block block{first, end - first, {}, 0, words, scales};
        for (int tap = first, before = -1; tap < end; ++tap) {
            const int scale = storage_ == Storage::bytes ? columns[size_t(tap)] / weight.columns_of_scale() : 0;
            if (scale != before) {
                block.runs.push_back({0, 0});
            }
            ++block.runs.back().taps;
            before = scale;
        }
        for (Run & run : block.runs) {
            run.words = (run.taps + per_word(storage_) - 1) / per_word(storage_);
            block.words += run.words;
        }
        words += size_t(block.words);
        scales += block.runs.size();
        blocks_.push_back(std::move(block));
    }
    if (storage_ == Storage::floats) {
        floats_ = AlignedFloats(words * lanes_);
    } else {
        words_.resize(words * lanes_);
    }
    if (storage_ == Storage::bytes) {
        scales_ = AlignedFloats(scales * lanes_);
    }
}

size_t PackedWeights::words_before(const Block & block, const Panel & panel) const {
    return block.word * lanes_ + size_t(panel.first) * size_t(block.words);
}

size_t PackedWeights::scales_before(const Block & block, const Panel & panel) const {
    return block.scale * lanes_ + size_t(panel.first) * block.runs.size();
}

void PackedWeights::fill(const Weight & weight, const std::vector<int> & columns, const Block & block,
                         const Panel & panel) {
    const size_t width = size_t(panel.vectors * kernels_.lanes);
    const int fitting = per_word(storage_), bits = 32 / fitting;
    size_t word = words_before(block, panel), scale = scales_before(block, panel), column = size_t(block.first);
    for (const Run & run : block.runs) {
        for (int o = 0; o < int(width) && panel.first + o < outputs_; ++o) {
            const int output = panel.first + o;
            if (storage_ == Storage::bytes) {
                scales_[scale + size_t(o)] = weight.scale(output, columns[column]);
            }
            for (int t = 0; t < run.taps; ++t) {
                const int from = columns[column + size_t(t)];
                const size_t to = word + size_t(t / fitting) * width + size_t(o);
                if (storage_ == Storage::floats) {
                    floats_[to] = weight.value(output, from);
                } else {
                    const uint32_t value =
                        storage_ == Storage::bytes ? uint8_t(weight.byte(output, from)) : weight.half(output, from);
                    words_[to] |= value << (t % fitting * bits);
                }
            }
        }
        word += size_t(run.words) * width;
        scale += width;
        column += size_t(run.taps);
    }
}

PackedConv PackedWeights::part(const Block & block, const Panel & panel, AlignedFloats & scratch) const {
    PackedConv conv;
    conv.rows = 1;
    conv.taps = block.taps;
    conv.outputs = outputs_;
    conv.n_panels = 1;
    conv.panels = &panel;
    conv.bias = block.first == 0 ? bias_.data() : no_bias_.data();
    if (storage_ == Storage::floats) {
        conv.weights = floats_.data() + words_before(block, panel);
        return conv;
    }
    const int width = panel.vectors * kernels_.lanes;
    const size_t size = size_t(width) * size_t(block.taps);
    if (scratch.size() < size) {
        scratch = AlignedFloats(size);
    }
    const uint32_t * words = words_.data() + words_before(block, panel);
    const float * scales = scales_.data() + scales_before(block, panel);
    float * out = scratch.data();
    for (const Run & run : block.runs) {
        if (storage_ == Storage::halves) {
            kernels_.unpack_halves(words, run.taps, width, out);
        } else {
            kernels_.unpack_bytes(words, scales, run.taps, width, out);
        }
        words += run.words * width;
        scales += width;
        out += run.taps * width;
    }
    conv.weights = scratch.data();
    return conv;
}

} // namespace lfsc
} // namespace localvqe
