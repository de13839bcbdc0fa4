// The weights of a convolution in the order in which kernels read them, in as many bits as the file has. A panel of them
// is unpacked into a small buffer where it is used, each time for many positions.
#pragma once

#include "../aligned.h"
#include "../cpu/kernels/kernels.h"
#include "codec_weights.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace localvqe {
namespace lfsc {

class PackedWeights {
public:
    // A window of the convolution is taps.size() positions long; position p meets tap taps[p] of the weight.
    PackedWeights(const Kernels & kernels, const Weight & weight, const std::vector<int> & taps);

    // Consecutive weights of an output, `per_word` of them in a word; Q8_0's have one scale.
    struct Run {
        int taps;
        int words;
    };
    // The inputs of a window in blocks of which a panel's weights stay in the cache while many positions pass.
    struct Block {
        int first, taps;
        std::vector<Run> runs;
        int words;    // of an output in all runs
        size_t word;  // those of the blocks before
        size_t scale; // likewise runs
    };

    int outputs() const { return outputs_; }
    const std::vector<Block> & blocks() const { return blocks_; }
    const std::vector<Panel> & panels() const { return panels_; }

    // A convolution of one block with one panel, valid until `scratch` is used again. The first block brings the bias.
    PackedConv part(const Block & block, const Panel & panel, AlignedFloats & scratch) const;

private:
    void lay_out(const Weight & weight, const std::vector<int> & columns);
    void fill(const Weight & weight, const std::vector<int> & columns, const Block & block, const Panel & panel);
    // Before the words or scales of a panel's part of a block.
    size_t words_before(const Block & block, const Panel & panel) const;
    size_t scales_before(const Block & block, const Panel & panel) const;

    const Kernels & kernels_;
    const int outputs_;
    const Storage storage_;
    std::vector<Panel> panels_;
    std::vector<Block> blocks_;
    size_t lanes_; // outputs rounded up to whole vectors
    AlignedFloats bias_, no_bias_;
    // One of them: per block, panel and run as [tap][width], or [tap / per_word][width].
    AlignedFloats floats_;
    std::vector<uint32_t> words_;
    AlignedFloats scales_; // of bytes: per block and panel as [run][width]
};

} // namespace lfsc
} // namespace localvqe
