#include "bottleneck.h"

namespace localvqe {

Value bottleneck(Net & n, Value u) {
    n.block("bottleneck");
    const Value v = n.linear("bottleneck.input_proj", u, n.config.bottleneck_hidden, 1);
    const Value y = n.s4d("bottleneck", v);
    const Value skip = n.scale("bottleneck.D", u);
    return n.tap("bottleneck", n.linear("bottleneck.output_proj", y, u.channels, u.bins, skip));
}

} // namespace localvqe
