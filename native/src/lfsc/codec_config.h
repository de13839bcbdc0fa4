// Hyperparameters of a speech codec; keys and ranges are written from localvqe_cli/families/lfsc_config.py.
#pragma once

#include "contract/lfsc.h"

namespace localvqe {

class GgufFile;

namespace lfsc {

struct CodecConfig : Sizes {
    int samples_per_frame() const;
    // Channels between encoder and quantizer, and between quantizer and decoder.
    int code_channels() const { return groups * int(levels.size()); }
    // Different tokens of a group.
    int codes() const;
    // Frames that a clip must have, so that every convolution has what it mirrors.
    int least_frames() const;
    // Frames on either side that a frame's tokens, or its sound, depend on.
    int encoder_context() const;
    int decoder_context() const;

    // Reads and checks every key; throws Error naming the key.
    static CodecConfig from_gguf(const GgufFile & file);
};

} // namespace lfsc
} // namespace localvqe
