// Decoder block: skip connection, residual, then a sub-pixel convolution that doubles the bins (report, 2.3).
#pragma once

#include "../net.h"

namespace localvqe {

// skip: the encoder stage of x's size. last: dec1, whose output is a mask of any sign and size.
Value decoder_block(Net & n, const std::string & name, Value x, Value skip, int channels, bool last);

} // namespace localvqe
