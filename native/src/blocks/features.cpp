#include "features.h"

namespace localvqe {

Value features(Net & n, Value spectrum) {
    n.block("features");
    return n.power_law(spectrum);
}

} // namespace localvqe
