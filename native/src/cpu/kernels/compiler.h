// What the kernels ask of the compiler. GCC and Clang (clang-cl among them) have vectors as an extension. MSVC has not:
// there LVQE_PLAIN_VECTORS makes them arrays, and only the portable sets are built. Define it with GCC to try that code.
#pragma once

#if defined(_MSC_VER) && !defined(__clang__)
#ifndef LVQE_PLAIN_VECTORS
#define LVQE_PLAIN_VECTORS
#endif
#include <math.h>
#include <string.h>
#define LVQE_INLINE static __forceinline
#define LVQE_SQRT(x) sqrt(x)
#define LVQE_SQRTF(x) sqrtf(x)
#define LVQE_COPY(to, from, n) memcpy(to, from, n)
#define LVQE_FETCH(address) ((void)(address))
// The operands of measure_peak; without assembler a compiler may well do less work than is counted.
#define LVQE_FORGET(a, b) ((void)0)
#else
#define LVQE_INLINE static inline __attribute__((always_inline))
#define LVQE_SQRT(x) __builtin_sqrt(x)
#define LVQE_SQRTF(x) __builtin_sqrtf(x)
#define LVQE_COPY(to, from, n) __builtin_memcpy(to, from, n)
#define LVQE_FETCH(address) __builtin_prefetch(address, 0, 2)
// The compiler no longer knows the values of a and b.
#define LVQE_FORGET(a, b) __asm__ volatile("" : "+m"(a), "+m"(b))
#endif
