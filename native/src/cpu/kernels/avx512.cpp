// AVX-512 F/VL/DQ/BW.
#define LVQE_SET kAvx512Kernels
#define LVQE_SET_NAME "avx512"
#define LVQE_LANES 16
#define LVQE_ACCUMULATORS 24
#define LVQE_INTEGER_IS_FASTER false
#include "set.inl.h"
