// AlignBlock (report, 2.4): attention of the microphone feature over the last d_max far-end features.
#pragma once

#include "../net.h"

namespace localvqe {

// The far-end feature, moved to where its echo is in mic.
Value align(Net & n, Value mic, Value far);

} // namespace localvqe
