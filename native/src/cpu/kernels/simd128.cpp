// WebAssembly with SIMD128: four lanes, and a product of 16-bit pairs.
#define LVQE_SET kSimd128Kernels
#define LVQE_SET_NAME "simd128"
#define LVQE_LANES 4
#define LVQE_ACCUMULATORS 10
#define LVQE_INTEGER_IS_FASTER true
#include "set.inl.h"
