// Power-law magnitude compression of a spectrum (report, 2.2).
#pragma once

#include "../net.h"

namespace localvqe {

Value features(Net & n, Value spectrum);

} // namespace localvqe
