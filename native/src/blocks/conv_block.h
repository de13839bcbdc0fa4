// Encoder block: y = act(conv(pad(norm(x)))), then the residual act(conv(pad(norm(y)))) + y (report, 2.3).
#pragma once

#include "../net.h"

namespace localvqe {

// Half the bins, `channels` channels.
Value conv_block(Net & n, const std::string & name, Value x, int channels);

// The residual half, and what it is made of, which the decoder shares.
Value residual(Net & n, const std::string & name, Value y);
// Version 1 has no norm before a convolution.
Value norm_before(Net & n, const std::string & name, Value x);
// The model's kernel and activation.
ConvShape kernel(const Net & n, int channels);

} // namespace localvqe
