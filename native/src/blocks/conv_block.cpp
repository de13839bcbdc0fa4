#include "conv_block.h"

namespace localvqe {

Value norm_before(Net & n, const std::string & name, Value x) { return n.config.has_norm() ? n.norm(name, x) : x; }

ConvShape kernel(const Net & n, int channels) {
    ConvShape shape{channels, n.config.kernel_size_h, n.config.kernel_size_w};
    shape.activation = n.config.version == 1   ? Activation::elu
                       : n.config.version == 2 ? Activation::relu6
                                               : Activation::silu;
    return shape;
}

Value residual(Net & n, const std::string & name, Value y) {
    return n.conv(name + ".conv", norm_before(n, name + ".norm", y), kernel(n, y.channels), y);
}

Value conv_block(Net & n, const std::string & name, Value x, int channels) {
    n.block(name);
    ConvShape halve = kernel(n, channels);
    halve.stride = 2;
    const Value y = n.conv(name + ".conv", norm_before(n, name + ".norm", x), halve);
    return n.tap(name, residual(n, name + ".resblock", y));
}

} // namespace localvqe
