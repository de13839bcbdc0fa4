// Baseline instructions: SSE2 on x86-64; NEON (with its 32 registers and fused multiply-add) on 64-bit Arm.
#define LVQE_SET kPortableKernels
#if defined(__aarch64__) && !defined(LVQE_PLAIN_VECTORS)
#define LVQE_SET_NAME "neon"
#define LVQE_ACCUMULATORS 24
#else
#define LVQE_SET_NAME "portable"
#define LVQE_ACCUMULATORS 12
#endif
#define LVQE_LANES 4
#define LVQE_INTEGER_IS_FASTER false
#include "set.inl.h"
