// The 16-lane code of the AVX-512 set compiled for any CPU. It exists so that tests on machines without AVX-512 run
// that code path; it is never chosen by itself.
#define LVQE_SET kWideKernels
#define LVQE_SET_NAME "wide"
#define LVQE_LANES 16
#define LVQE_ACCUMULATORS 12
#define LVQE_INTEGER_IS_FASTER false
#include "set.inl.h"
