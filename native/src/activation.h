// What follows a convolution, value by value.
#pragma once

namespace localvqe {

enum class Activation { none, relu6, silu, elu };

} // namespace localvqe
