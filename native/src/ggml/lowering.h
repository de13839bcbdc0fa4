// A net as a ggml graph over a number of hops of a number of streams.
//
// A value is a tensor of (bins, hops, streams, channels), bins innermost. Its past is a tensor of its own, on the device:
// each run puts it in front of the new hops and keeps the latest ones in turn.
#pragma once

#include "program.h"

#include <vector>

namespace localvqe {

// What a session keeps between runs: by value, its latest hops; by operation, what only that one knows. Null for none.
struct GgmlMemory {
    int streams;
    std::vector<ggml_tensor *> past; // (bins, hops, streams, channels)
    std::vector<ggml_tensor *> own;  // of s4d (2, 1, streams, channels); of synthesis (256, 1, streams, 1)
};

// Makes the tensors, in a context without memory.
GgmlMemory make_memory(ggml_context * context, const Net & net, int streams);

// The recurrence of s4d over `hops` hops as one matrix per channel: (hops + 2, hops + 2, channels), from the hops' inputs
// and the state's two parts to the hops' results and the next state.
std::vector<float> s4d_matrices(const std::vector<double> & recurrence, int hops);

struct GgmlGraph {
    ggml_cgraph * graph = nullptr;
    std::vector<ggml_tensor *> inputs;
    std::vector<ggml_tensor *> taps;
    ggml_tensor * output = nullptr;
};

// Over as many streams as the memory has. s4d: by operation, the matrices of that many hops; null for other operations.
GgmlGraph lower(ggml_context * context, const GgmlProgram & program, const GgmlMemory & memory,
                const std::vector<ggml_tensor *> & s4d, int hops);

// Room that the context of lower() needs.
size_t lowering_size(const Net & net);

} // namespace localvqe
