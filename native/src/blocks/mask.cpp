#include "mask.h"

namespace localvqe {

Value mask(Net & n, Value m, Value spectrum) {
    n.block("mask");
    return n.tap("enhanced", n.mask(m, spectrum), true);
}

} // namespace localvqe
