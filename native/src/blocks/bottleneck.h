// S4D bottleneck (report, 2.5): v = W_in u + b_in;  h <- a h + B v;  y = Re(C h);  o = W_out y + b_out + D u.
#pragma once

#include "../net.h"

namespace localvqe {

Value bottleneck(Net & n, Value u);

} // namespace localvqe
