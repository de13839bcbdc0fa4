// The order of the blocks: the network of localvqe_cli/reference/model.py.
#pragma once

#include "../net.h"

namespace localvqe {

// Inputs "near" and "far", samples (1, 256), and with a gain stage before the network "gain" (1, 256), the factors of the
// near end's bins.
Net network(const ModelConfig & config);

} // namespace localvqe
