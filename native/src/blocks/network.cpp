#include "network.h"

#include "align.h"
#include "bottleneck.h"
#include "conv_block.h"
#include "decoder_block.h"
#include "features.h"
#include "filterbank.h"
#include "mask.h"

namespace localvqe {

Net network(const ModelConfig & config) {
    Net n(config);
    const auto stage = [](const char * side, int i) { return side + std::to_string(i); };

    Value near = n.input("near", 1, kHop);
    const Value far_samples = n.input("far", 1, kHop);
    near = analysis(n, near);
    if (config.has_residual) {
        near = n.gain(near, n.input("gain", 1, kBins));
    }
    n.tap("mic_spectrum", near, true);
    Value far = n.tap("ref_spectrum", analysis(n, far_samples), true);

    Value mic[kMicStages + 1];
    mic[0] = features(n, near);
    mic[1] = conv_block(n, stage("mic_enc", 1), mic[0], config.mic_channels[1]);
    mic[2] = conv_block(n, stage("mic_enc", 2), mic[1], config.mic_channels[2]);
    far = features(n, far);
    for (int i = 1; i <= kFarStages; ++i) {
        far = conv_block(n, stage("far_enc", i), far, config.far_channels[size_t(i)]);
    }
    const Value aligned = align(n, mic[2], far);
    n.block(stage("mic_enc", 3));
    mic[3] = conv_block(n, stage("mic_enc", 3), n.join(mic[2], aligned), config.mic_channels[3]);
    mic[4] = conv_block(n, stage("mic_enc", 4), mic[3], config.mic_channels[4]);
    mic[5] = conv_block(n, stage("mic_enc", 5), mic[4], config.mic_channels[5]);

    Value y = bottleneck(n, mic[kMicStages]);
    for (int i = kMicStages; i >= 1; --i) {
        const int channels = i > 1 ? config.mic_channels[size_t(i) - 1] : kMaskChannels;
        y = decoder_block(n, stage("dec", i), y, mic[i], channels, i == 1);
    }
    n.output(synthesis(n, mask(n, y, near)));
    return n;
}

} // namespace localvqe
