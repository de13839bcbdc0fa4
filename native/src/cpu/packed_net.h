// A net whose weights are packed for a kernel set: the cpu backend's program.
#pragma once

#include "../backend.h"
#include "../net.h"
#include "../precision.h"
#include "../transform.h"
#include "packing.h"

#include <memory>
#include <vector>

namespace localvqe {

struct Loader;

class PackedNet : public Program {
public:
    PackedNet(const Net & net, const Loader & loader, const Kernels & kernels, Precision precision);

    std::unique_ptr<Session> open(int threads, int batch, int streams, Profile & profile) const override;
    int hops_of_a_run(int threads, int batch) const override;
    int most_streams(int) const override { return 1; }
    void run_together(Session * const * sessions, int count) const override;

    // The weights of one operation: a packed matrix, or plain numbers in the order its Op takes them.
    struct Weights {
        std::shared_ptr<const ConvWeights> conv; // the codec's is that of several operations
        AlignedFloats values;
        float bias = 0.0f; // of softmax_lags
    };

    const Net & net() const { return net_; }
    const Kernels & kernels() const { return kernels_; }
    const Weights & weights(const Operation & op) const { return weights_[size_t(op.out.id)]; }
    // Channels of a value in memory: some kernels want whole vectors, and get channels of zeros.
    int width(Value v) const { return widths_[size_t(v.id)]; }

    // The codec where the file holds a standard basis; else null, and the operations have dense matrices.
    const Transform * transform() const { return transform_.get(); }

private:
    void find_widths();
    std::unique_ptr<ConvWeights> pack_conv(const Loader & loader, const Operation & op, bool integers) const;
    std::unique_ptr<ConvWeights> pack_linear(const Loader & loader, const Operation & op) const;
    std::unique_ptr<ConvWeights> pack_basis(const Operation & op, const std::vector<float> & basis) const;
    AlignedFloats channel_last(const std::vector<float> & values, Value v) const;

    const Net net_;
    const Kernels & kernels_;
    std::vector<int> widths_;
    std::vector<Weights> weights_;
    std::unique_ptr<Transform> transform_;
};

} // namespace localvqe
