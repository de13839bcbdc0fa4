// What a block needs to put its operations into a stream's graph.
#pragma once

#include "../config.h"
#include "../frames.h"
#include "../graph.h"
#include "../int_frames.h"
#include "../kernels/kernels.h"

#include <deque>
#include <memory>
#include <string>
#include <utility>

namespace localvqe {

// Where the output of a block can be read after a hop, for block-by-block verification.
struct Tap {
    std::string name;
    const Frames * frames;
    int dim0;       // as in the reference: channels or bins
    int dim1;       // bins, or 2 for a spectrum; 1 for a vector
    size_t stride0; // floats between neighbours along each dimension
    size_t stride1;
};

struct Builder {
    const ModelConfig & config;
    const Kernels & kernels;
    Graph & graph;
    std::deque<Frames> & storage; // a deque keeps addresses
    std::deque<IntFrames> & integers;
    std::deque<Tap> & taps;
    const uint64_t & clock;
    int batch;

    // An activation that only the current call reads.
    Frames & plain(int bins, int channels) { return make(bins, channels, 0, 0, 0); }

    // The input window of a convolution: kernel_h - 1 past frames, zero bins at both ends.
    Frames & window(int bins, int channels) {
        const int left = (config.kernel_w - 1) / 2;
        return make(bins, channels, config.kernel_h - 1, left, config.kernel_w - 1 - left);
    }

    // The output of a block. Without norms a convolution reads it directly, so it is a window already.
    Frames & activation(int bins, int channels) { return config.has_norm() ? plain(bins, channels) : window(bins, channels); }

    Frames & make(int bins, int channels, int history, int left, int right) {
        storage.emplace_back(clock, bins, channels, batch, history, left, right);
        return storage.back();
    }

    template <class T, class... Args>
    void add(const std::string & block, Args &&... args) {
        graph.add(std::unique_ptr<Op>(new T(block, kernels, std::forward<Args>(args)...)));
    }

    void tap(const std::string & name, const Frames & frames) {
        taps.push_back({name, &frames, frames.channels(), frames.bins(), 1, size_t(frames.channels())});
    }
};

inline int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

} // namespace localvqe
