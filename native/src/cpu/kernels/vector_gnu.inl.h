// Vectors by the extension of GCC and Clang.

typedef float vfloat __attribute__((vector_size(LVQE_LANES * 4)));
typedef int vint __attribute__((vector_size(LVQE_LANES * 4)));
typedef float vfloat_u __attribute__((vector_size(LVQE_LANES * 4), aligned(4), may_alias));

typedef int vint_u __attribute__((vector_size(LVQE_LANES * 4), aligned(2), may_alias));
typedef short vshort __attribute__((vector_size(LVQE_LANES * 2)));
typedef short vshort_u __attribute__((vector_size(LVQE_LANES * 2), aligned(2), may_alias));

LVQE_INLINE vfloat load(const float * p) { return *reinterpret_cast<const vfloat_u *>(p); }
LVQE_INLINE void store(float * p, vfloat v) { *reinterpret_cast<vfloat_u *>(p) = v; }
LVQE_INLINE vint load_int(const int16_t * p) {
    return *reinterpret_cast<const vint_u *>(p);
} // pairs of 16-bit integers
LVQE_INLINE void store_short(int16_t * p, vshort v) { *reinterpret_cast<vshort_u *>(p) = v; }
LVQE_INLINE vfloat to_float(vint v) { return __builtin_convertvector(v, vfloat); }
LVQE_INLINE vint to_int(vfloat v) { return __builtin_convertvector(v, vint); }
LVQE_INLINE vshort to_short(vfloat v) { return __builtin_convertvector(to_int(v), vshort); }
LVQE_INLINE vfloat splat(float x) { return x - vfloat{}; } // x + 0 would cost an addition, since -0 + 0 is not -0
// A vector cast keeps the bits.
LVQE_INLINE vfloat as_float(vint v) { return (vfloat)v; }
LVQE_INLINE vint as_int(vfloat v) { return (vint)v; }
LVQE_INLINE vfloat choose(vint where, vfloat a, vfloat b) { return where ? a : b; }

// Lanes [first, last) of a vector whose lane 0 is at p; memory under the others is neither read nor written. Lanes that
// are not read are zero.
#if defined(__AVX512F__) && LVQE_LANES == 16
LVQE_INLINE __mmask16 lane_mask(int first, int last) {
    return __mmask16((0xffffu << first) & (0xffffu >> (16 - last)));
}
LVQE_INLINE void store_lanes(float * p, vfloat v, int first, int last) {
    _mm512_mask_storeu_ps(p, lane_mask(first, last), (__m512)v);
}
LVQE_INLINE vfloat load_lanes(const float * p, int first, int last) {
    return (vfloat)_mm512_maskz_loadu_ps(lane_mask(first, last), p);
}
#elif defined(__AVX2__) && LVQE_LANES == 8
LVQE_INLINE __m256i lane_mask(int first, int last) {
    const vint lane = {0, 1, 2, 3, 4, 5, 6, 7};
    return (__m256i)((lane >= first) & (lane < last));
}
LVQE_INLINE void store_lanes(float * p, vfloat v, int first, int last) {
    _mm256_maskstore_ps(p, lane_mask(first, last), (__m256)v);
}
LVQE_INLINE vfloat load_lanes(const float * p, int first, int last) {
    return (vfloat)_mm256_maskload_ps(p, lane_mask(first, last));
}
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

// The first half of a vector. Where 512 bits are computed as two times 256, as on Zen 4, it takes half the time; where
// they are computed at once, no more.
#if defined(__AVX512F__) && LVQE_LANES == 16
#define LVQE_HAS_HALVES true
typedef float vhalf __attribute__((vector_size(LVQE_LANES * 2)));
typedef int vint_half __attribute__((vector_size(LVQE_LANES * 2)));
typedef float vhalf_u __attribute__((vector_size(LVQE_LANES * 2), aligned(4), may_alias));
typedef int vint_half_u __attribute__((vector_size(LVQE_LANES * 2), aligned(2), may_alias));
LVQE_INLINE vhalf load_half(const float * p) { return *reinterpret_cast<const vhalf_u *>(p); }
LVQE_INLINE vint_half load_int_half(const int16_t * p) { return *reinterpret_cast<const vint_half_u *>(p); }
LVQE_INLINE vhalf to_float(vint_half v) { return __builtin_convertvector(v, vhalf); }
LVQE_INLINE vhalf half_of(vfloat v) { return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7); }
LVQE_INLINE vint_half half_of(vint v) { return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7); }
LVQE_INLINE vfloat whole_of(vhalf v) {
    return __builtin_shufflevector(v, vhalf{}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
#endif
