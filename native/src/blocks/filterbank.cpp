#include "filterbank.h"

namespace localvqe {

Value analysis(Net & n, Value samples) {
    n.block("analysis");
    return n.analysis(samples);
}

Value synthesis(Net & n, Value spectrum) {
    n.block("synthesis");
    return n.synthesis(spectrum);
}

} // namespace localvqe
