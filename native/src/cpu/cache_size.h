#pragma once

#include <cstddef>

namespace localvqe {

// Bytes of a core's second-level cache; 0 where the system does not say.
size_t second_level_cache();

} // namespace localvqe
