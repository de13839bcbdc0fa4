// AVX2 and FMA.
#define LVQE_SET kAvx2Kernels
#define LVQE_SET_NAME "avx2"
#define LVQE_LANES 8
#define LVQE_ACCUMULATORS 12
#define LVQE_INTEGER_IS_FASTER true
#include "set.inl.h"
