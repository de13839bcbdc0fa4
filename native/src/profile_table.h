// Time, arithmetic and memory by block, as a table for people.
#pragma once

#include "backend.h"
#include "profile.h"

#include <vector>

namespace localvqe {

// To stdout. A block that `costs` does not know has its time only.
void print_profile(const Profile & profile, const std::vector<BlockCost> & costs);

} // namespace localvqe
