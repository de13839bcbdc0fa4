// AVX-512 with the instructions that multiply and add pairs of 16-bit integers in one step.
#define LVQE_SET kAvx512VnniKernels
#define LVQE_SET_NAME "avx512vnni"
#define LVQE_LANES 16
#define LVQE_ACCUMULATORS 24
#define LVQE_INTEGER_IS_FASTER true
#include "set.inl.h"
