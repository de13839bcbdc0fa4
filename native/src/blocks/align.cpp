#include "align.h"

namespace localvqe {

Value align(Net & n, Value mic, Value far) {
    n.block("align");
    const Value q = n.conv("align.pconv_mic", mic, {n.config.align_hidden});
    const Value k = n.conv("align.pconv_ref", far, {n.config.align_hidden});
    const Value v = n.similarity(q, k, n.config.dmax);
    // tau is folded into the smoothing.
    const Value delay = n.tap("delay", n.softmax_lags("align.conv.1", v), true);
    return n.tap("align", n.delayed_sum(far, delay));
}

} // namespace localvqe
