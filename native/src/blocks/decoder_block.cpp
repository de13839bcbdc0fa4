#include "decoder_block.h"

#include "conv_block.h"

namespace localvqe {

Value decoder_block(Net & n, const std::string & name, Value x, Value skip, int channels, bool last) {
    n.block(name);
    const Value sum = n.conv(name + ".skip_conv", norm_before(n, name + ".skip_norm", skip), {x.channels}, x);
    const Value y = residual(n, name + ".resblock", sum);
    ConvShape up = kernel(n, channels);
    up.shuffle = true;
    if (last) {
        up.activation = Activation::none;
    } else if (!n.config.has_norm()) {
        up.affine = name + ".bn"; // the shuffle stands between it and the convolution it would fold into
    }
    return n.tap(name, n.conv(name + ".deconv.conv", norm_before(n, name + ".deconv.norm", y), up));
}

} // namespace localvqe
