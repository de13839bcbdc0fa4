// Vectors by the compiler's vector extension: LVQE_LANES floats wide, the same source for every instruction set.
// Included inside an anonymous namespace of each kernel file; nothing here may have external linkage, or the linker
// could pick a copy compiled for a CPU that is not there.

typedef float vfloat __attribute__((vector_size(LVQE_LANES * 4)));
typedef int vint __attribute__((vector_size(LVQE_LANES * 4)));
typedef float vfloat_u __attribute__((vector_size(LVQE_LANES * 4), aligned(4), may_alias));

typedef int vint_u __attribute__((vector_size(LVQE_LANES * 4), aligned(2), may_alias));
typedef short vshort __attribute__((vector_size(LVQE_LANES * 2)));
typedef short vshort_u __attribute__((vector_size(LVQE_LANES * 2), aligned(2), may_alias));

#define LVQE_INLINE static inline __attribute__((always_inline))

LVQE_INLINE vfloat load(const float * p) { return *reinterpret_cast<const vfloat_u *>(p); }
LVQE_INLINE void store(float * p, vfloat v) { *reinterpret_cast<vfloat_u *>(p) = v; }
LVQE_INLINE vint load_int(const int16_t * p) { return *reinterpret_cast<const vint_u *>(p); } // pairs of 16-bit integers
LVQE_INLINE void store_short(int16_t * p, vshort v) { *reinterpret_cast<vshort_u *>(p) = v; }
LVQE_INLINE vshort to_short(vfloat v) { return __builtin_convertvector(__builtin_convertvector(v, vint), vshort); }
LVQE_INLINE vfloat splat(float x) { return x - vfloat{}; } // x + 0 would cost an addition, since -0 + 0 is not -0
// A vector cast keeps the bits.
LVQE_INLINE vfloat as_float(vint v) { return (vfloat) v; }
LVQE_INLINE vint as_int(vfloat v) { return (vint) v; }
LVQE_INLINE vfloat min_of(vfloat a, vfloat b) { return a < b ? a : b; }
LVQE_INLINE vfloat max_of(vfloat a, vfloat b) { return a > b ? a : b; }

// Lanes [first, last) of a vector whose lane 0 is at p; memory under the others is neither read nor written. Lanes that
// are not read are zero.
#if defined(__AVX512F__) && LVQE_LANES == 16
LVQE_INLINE __mmask16 lane_mask(int first, int last) { return __mmask16((0xffffu << first) & (0xffffu >> (16 - last))); }
LVQE_INLINE void store_lanes(float * p, vfloat v, int first, int last) { _mm512_mask_storeu_ps(p, lane_mask(first, last), (__m512) v); }
LVQE_INLINE vfloat load_lanes(const float * p, int first, int last) { return (vfloat) _mm512_maskz_loadu_ps(lane_mask(first, last), p); }
#elif defined(__AVX2__) && LVQE_LANES == 8
LVQE_INLINE __m256i lane_mask(int first, int last) {
    const vint lane = {0, 1, 2, 3, 4, 5, 6, 7};
    return (__m256i) ((lane >= first) & (lane < last));
}
LVQE_INLINE void store_lanes(float * p, vfloat v, int first, int last) { _mm256_maskstore_ps(p, lane_mask(first, last), (__m256) v); }
LVQE_INLINE vfloat load_lanes(const float * p, int first, int last) { return (vfloat) _mm256_maskload_ps(p, lane_mask(first, last)); }
#else
LVQE_INLINE void store_lanes(float * p, vfloat v, int first, int last) {
    for (int i = first; i < last; ++i) {
        p[i] = v[i];
    }
}
LVQE_INLINE vfloat load_lanes(const float * p, int first, int last) {
    vfloat v = {};
    for (int i = first; i < last; ++i) {
        v[i] = p[i];
    }
    return v;
}
#endif

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
    const vint exponent = (__builtin_convertvector(n, vint) + 127) << 23;
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
    const vfloat n = __builtin_convertvector(exponent, vfloat);
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
    return x > -0.25f ? p : far;
}

template <Activation kind> LVQE_INLINE vfloat activate_vector(vfloat x) {
    if (kind == Activation::relu6) {
        return min_of(max_of(x, splat(0.0f)), splat(6.0f));
    }
    if (kind == Activation::silu) {
        return x * sigmoid_of(x);
    }
    if (kind == Activation::elu) {
        return x > 0.0f ? x : expm1_of(min_of(x, splat(0.0f)));
    }
    return x;
}
