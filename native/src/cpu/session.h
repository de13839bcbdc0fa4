// The cpu backend's session: a net as operations on rings of frames, in the order of its description.
//
// How a value lies in memory follows from who reads it: a convolution wants past frames and zero bins around each, so
// whatever comes before it, a norm say, writes straight into such a window.
#pragma once

#include "../backend.h"
#include "graph.h"
#include "ops/convolution.h"
#include "packed_net.h"
#include "ring.h"

#include <deque>
#include <memory>
#include <vector>

namespace localvqe {

class CpuSession : public Session {
public:
    CpuSession(const PackedNet & packed, int threads, int batch, Profile & profile);

    float * input(size_t index, int hop, int) override { return inputs_[index]->row(hop); }
    void run(int hops) override;
    // See Program.
    static void run_together(Session * const * sessions, int count);
    const float * output(int hop, int) const override { return output_->row(hop); }
    void reset(int stream) override;
    void read_tap(size_t index, float * out) const override;
    std::vector<BlockCost> costs() const override { return costs_; }
    int integer_layers() const override { return int(integers_.size()); }
    void set_observing(bool on) override;
    std::vector<float> input_power(const std::string & tensor) const override;

private:
    struct Layout {
        int history = 0;
        int left = 0;
        int right = 0;
        bool planar = false; // [channel][bin], else [bin][channel]
    };
    // What one operation reads once a hop, and what it can fetch meanwhile.
    struct Reading {
        ReadDemand demand;
        ConvOp * conv; // who can fetch; or null
    };

    void finish(int hops);
    void plan_layouts();
    void lower(const Operation & op);
    void count(const Operation & op, size_t operations, size_t state_bytes);
    size_t state_bytes() const;
    void lower_conv(const Operation & op);
    void lower_mask(const Operation & op);
    void lower_synthesis(const Operation & op);
    void plan_fetching();

    const Layout & layout(Value v) const { return layouts_[size_t(v.id)]; }
    Frames & frames(Value v) const { return *frames_[size_t(v.id)]; }
    Frames & make(Value v);
    Frames & make(int bins, int channels, int history, int left, int right);
    // Puts an operation of this kind into the graph, and what it reads into the list of readings.
    template <class T, class... Args> T & add(const Operation & op, const ReadDemand & demand, Args &&... args);
    void add_conv(const Operation & op, const ConvPlan & plan, const Frames & in, const Frames * residual,
                  Frames & out);

    const PackedNet & packed_;
    const Net & net_;
    const Kernels & kernels_;
    int batch_;
    uint64_t clock_ = 0; // hops before the current call
    int last_hops_ = 1;  // of the latest call
    bool observing_ = false;
    Graph graph_;
    std::vector<Layout> layouts_;
    std::deque<Frames> storage_; // a deque keeps addresses
    std::deque<IntFrames> integers_;
    std::vector<Frames *> frames_; // of each value; null for a join that nobody reads as one
    std::vector<Frames *> inputs_;
    const Frames * output_ = nullptr;
    std::vector<Reading> readings_;
    std::vector<ConvOp *> convs_;
    std::vector<BlockCost> costs_;
};

} // namespace localvqe
