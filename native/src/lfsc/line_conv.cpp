#include "line_conv.h"

namespace localvqe {
namespace lfsc {

void LineConv::run(Workspace & workspace, int skip, int count, float * out, int out_step,
                   const float * residual) const {
    const Windows & windows = workspace.windows;
    const int phases = windows.phases();
    for (const PackedWeights::Block & block : weights_.blocks()) {
        const bool adds = block.first != 0; // to what the blocks before it made
        for (const Panel & panel : weights_.panels()) {
            const PackedConv conv = weights_.part(block, panel, workspace.weights);
            for (int f = 0; f < phases && f < count; ++f) {
                ConvCall call;
                call.conv = &conv;
                call.rows[0] = windows.phase(f) + skip * windows.channels() + block.first;
                call.step = windows.step();
                call.out = out + f * out_step;
                call.residual = adds ? call.out : residual == nullptr ? nullptr : residual + f * out_step;
                call.position_step = phases * out_step;
                call.group = outputs();
                kernels_.conv(call, 0, (count - f + phases - 1) / phases);
            }
        }
    }
}

} // namespace lfsc
} // namespace localvqe
