// Vectors LVQE_LANES floats wide, the same source for every instruction set. Included inside an anonymous namespace of
// each kernel file; nothing here may have external linkage, or the linker could pick a copy compiled for a CPU that is
// not there. That is why square roots and copies are the compiler's own: those of the standard library are functions.

#if defined(LVQE_PLAIN_VECTORS)
#include "vector_plain.inl.h"
#else
#include "vector_gnu.inl.h"
#endif

#if !defined(LVQE_HAS_HALVES) // no half is cheaper than the whole
#define LVQE_HAS_HALVES false
typedef vfloat vhalf;
typedef vint vint_half;
LVQE_INLINE vhalf load_half(const float * p) { return load(p); }
LVQE_INLINE vint_half load_int_half(const int16_t * p) { return load_int(p); }
LVQE_INLINE vfloat half_of(vfloat v) { return v; }
LVQE_INLINE vint half_of(vint v) { return v; }
LVQE_INLINE vfloat whole_of(vhalf v) { return v; }
#endif

LVQE_INLINE vfloat min_of(vfloat a, vfloat b) { return choose(a < b, a, b); }
LVQE_INLINE vfloat max_of(vfloat a, vfloat b) { return choose(a > b, a, b); }
// Zero instead of the denormals, where each operation costs a hundred: what decays must not linger there.
LVQE_INLINE vfloat flushed(vfloat x) {
    const vfloat tiny = splat(1e-30f);
    return choose((x < tiny) & (x > -tiny), splat(0.0f), x);
}

// By halves, so that the additions do not wait for each other. Sums are compared across instruction sets by tolerance,
// across threads and batch sizes by bits.
LVQE_INLINE float sum_lanes(vfloat v) {
    float part[LVQE_LANES];
    store(part, v);
#pragma GCC unroll 4
    for (int width = LVQE_LANES / 2; width > 0; width /= 2) {
        for (int i = 0; i < width; ++i) {
            part[i] += part[i + width];
        }
    }
    return part[0];
}

// Nearest integer, |x| < 2^22.
LVQE_INLINE vfloat round_of(vfloat x) {
    const vfloat magic = splat(12582912.0f); // 1.5 * 2^23 leaves no fraction bits
    return (x + magic) - magic;
}

// e^x, relative error below 2e-7; arguments are clamped to [-87, 88].
LVQE_INLINE vfloat exp_of(vfloat x) {
    x = max_of(min_of(x, splat(88.0f)), splat(-87.0f));
    const vfloat n = round_of(x * 1.44269504088896341f);
    // ln 2 in two parts, so that the reduced argument keeps all its bits.
    vfloat r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vfloat p = splat(1.0f / 5040.0f);
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const vint exponent = (to_int(n) + 127) << 23;
    return p * as_float(exponent);
}

// ln x for normal x > 0, absolute error below 2e-7 * max(1, |ln x|).
LVQE_INLINE vfloat log_of(vfloat x) {
    const vint bits = as_int(x);
    // Exponent such that the mantissa falls into [sqrt(1/2), sqrt(2)).
    const vint shifted = bits - 0x3f3504f3;
    const vint exponent = shifted >> 23;
    const vfloat m = as_float(bits - (exponent << 23));
    const vfloat s = (m - 1.0f) / (m + 1.0f);
    const vfloat z = s * s;
    vfloat p = splat(1.0f / 11.0f);
    p = p * z + 1.0f / 9.0f;
    p = p * z + 1.0f / 7.0f;
    p = p * z + 1.0f / 5.0f;
    p = p * z + 1.0f / 3.0f;
    p = p * z + 1.0f;
    const vfloat n = to_float(exponent);
    return n * 0.693147180559945f + s * p * 2.0f;
}

LVQE_INLINE vfloat sigmoid_of(vfloat x) { return splat(1.0f) / (exp_of(-x) + 1.0f); }

// e^x - 1 for x <= 0 without cancellation near 0, absolute error below 2e-7.
LVQE_INLINE vfloat expm1_of(vfloat x) {
    vfloat p = splat(1.0f / 720.0f);
    p = p * x + 1.0f / 120.0f;
    p = p * x + 1.0f / 24.0f;
    p = p * x + 1.0f / 6.0f;
    p = p * x + 0.5f;
    p = (p * x) * x + x;
    const vfloat far = exp_of(x) - 1.0f;
    return choose(x > splat(-0.25f), p, far);
}

template <Activation kind> LVQE_INLINE vfloat activate_vector(vfloat x) {
    if (kind == Activation::relu6) {
        return min_of(max_of(x, splat(0.0f)), splat(6.0f));
    }
    if (kind == Activation::silu) {
        return x * sigmoid_of(x);
    }
    if (kind == Activation::elu) {
        return choose(x > splat(0.0f), x, expm1_of(min_of(x, splat(0.0f))));
    }
    return x;
}
