// Convolution with 16-bit weights and activations. Products and their sums within a segment are exact in 32 bits
// (kernels.h); a segment's sum is scaled to float and added in order. So, as in conv.inl.h, an output value does not depend
// on how positions and channels are blocked.

// Per lane: the sum of two 16-bit products, added to sum.
LVQE_INLINE vint add_products(vint sum, vint weights, vint values) {
#if LVQE_LANES == 16 && defined(__AVX512VNNI__)
    return (vint)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)weights, (__m512i)values);
#elif LVQE_LANES == 16 && defined(__AVX512BW__)
    return sum + (vint)_mm512_madd_epi16((__m512i)weights, (__m512i)values);
#elif LVQE_LANES == 8 && defined(__AVX2__)
    return sum + (vint)_mm256_madd_epi16((__m256i)weights, (__m256i)values);
#elif LVQE_LANES == 4 && defined(__SSE2__) && !defined(LVQE_PLAIN_VECTORS)
    return sum + (vint)_mm_madd_epi16((__m128i)weights, (__m128i)values);
#elif LVQE_LANES == 4 && defined(__aarch64__) && !defined(LVQE_PLAIN_VECTORS)
    const int16x8_t w = (int16x8_t)weights, x = (int16x8_t)values;
    const int32x4_t low = vmull_s16(vget_low_s16(w), vget_low_s16(x));
    return sum + (vint)vpaddq_s32(low, vmull_high_s16(w, x)); // neighbouring products belong together
#elif LVQE_LANES == 4 && defined(__wasm_simd128__)
    return sum + (vint)wasm_i32x4_dot_i16x8((v128_t)weights, (v128_t)values);
#else
    const vint low = ((weights << 16) >> 16) * ((values << 16) >> 16);
    return sum + low + (weights >> 16) * (values >> 16);
#endif
}

#if LVQE_HAS_HALVES
LVQE_INLINE vint_half add_products(vint_half sum, vint_half weights, vint_half values) {
#if defined(__AVX512VNNI__)
    return (vint_half)_mm256_dpwssd_epi32((__m256i)sum, (__m256i)weights, (__m256i)values);
#else
    return sum + (vint_half)_mm256_madd_epi16((__m256i)weights, (__m256i)values);
#endif
}
#endif

// Two neighbouring activations in every lane.
LVQE_INLINE vint splat_pair(const int16_t * x) {
    int pair;
    LVQE_COPY(&pair, x, sizeof pair);
    return pair - vint{};
}

// Where the product is an instruction of its own, it needs a register besides; there floats do too.
#if defined(__AVX512VNNI__) || defined(__wasm_simd128__)
#define LVQE_INT_ACCUMULATORS LVQE_ACCUMULATORS
#else
#define LVQE_INT_ACCUMULATORS (LVQE_ACCUMULATORS - 2)
#endif

// Integer sums as Sums has them.
template <int P, int Whole, bool Half> struct IntSums {
    vint whole[P][Whole > 0 ? Whole : 1];
    vint_half half[P];
};

// sum = the products of a segment; ahead: fetches a line a pair from there.
template <int P, int Whole, bool Half, bool Ahead>
LVQE_INLINE void multiply_segment(IntSums<P, Whole, Half> & sum, const int16_t * x, int step, const int16_t * w,
                                  int pairs, const char * ahead) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 16
        for (int v = 0; v < Whole; ++v) {
            sum.whole[p][v] = vint{};
        }
        if (Half) {
            sum.half[p] = vint_half{};
        }
    }
    for (int k = 0; k < pairs; ++k) {
        if (Ahead) {
            LVQE_FETCH(ahead);
            ahead += kCacheLine;
        }
        vint weight[Whole > 0 ? Whole : 1];
#pragma GCC unroll 16
        for (int v = 0; v < Whole; ++v) {
            weight[v] = load_int(w + v * 2 * LVQE_LANES);
        }
        const vint_half half_weight = Half ? load_int_half(w + Whole * 2 * LVQE_LANES) : vint_half{};
        w += Sums<P, Whole, Half>::vectors * 2 * LVQE_LANES;
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p) {
            const vint values = splat_pair(x + ptrdiff_t(p) * step + 2 * k);
#pragma GCC unroll 16
            for (int v = 0; v < Whole; ++v) {
                sum.whole[p][v] = add_products(sum.whole[p][v], weight[v], values);
            }
            if (Half) {
                sum.half[p] = add_products(sum.half[p], half_weight, half_of(values));
            }
        }
    }
}

template <int P, int Whole, bool Half>
static void int_conv_tile(const ConvCall & c, const Panel & panel, int position, PrefetchCursor & ahead) {
    constexpr int V = Sums<P, Whole, Half>::vectors;
    Sums<P, Whole, Half> acc;
    const PackedConv & conv = *c.conv;
    const int16_t * w = conv.integers + size_t(panel.first) * size_t(conv.pairs) * 2;
    const float * scales = conv.scales + size_t(panel.first) * size_t(conv.n_segments);
    begin_tile(acc, conv.bias + panel.first);
    const int step = c.step;
    for (int s = 0; s < conv.n_segments; ++s) {
        const Segment segment = conv.segments[s];
        const int16_t * x = c.int_rows[segment.row] + ptrdiff_t(position) * step + segment.tap;
        IntSums<P, Whole, Half> sum;
        if (P == 1 || ahead.done()) {
            multiply_segment<P, Whole, Half, false>(sum, x, step, w, segment.pairs, nullptr);
        } else {
            multiply_segment<P, Whole, Half, (P > 1)>(sum, x, step, w, segment.pairs, ahead.line());
            ahead.advance(size_t(segment.pairs));
        }
        w += size_t(segment.pairs) * V * 2 * LVQE_LANES;
        const float frame = c.row_scales[segment.row];
#pragma GCC unroll 16
        for (int v = 0; v < Whole; ++v) {
            const vfloat scale = load(scales + v * LVQE_LANES) * frame;
#pragma GCC unroll 16
            for (int p = 0; p < P; ++p) {
                acc.whole[p][v] += to_float(sum.whole[p][v]) * scale;
            }
        }
        if (Half) {
            const vhalf scale = load_half(scales + Whole * LVQE_LANES) * frame;
#pragma GCC unroll 16
            for (int p = 0; p < P; ++p) {
                acc.half[p] += to_float(sum.half[p]) * scale;
            }
        }
        scales += V * LVQE_LANES;
    }
    end_tile(c, panel, position, acc);
}

struct IntTiles {
    static constexpr int accumulators = LVQE_INT_ACCUMULATORS;
    template <int P, int Whole, bool Half> static TileFunction get() { return int_conv_tile<P, Whole, Half>; }
};

static void int_conv(const ConvCall & c, int first, int last) { run_tiles<IntTiles>(c, first, last); }

// 16-bit integers of n values such that value = integer * scale, the largest at +-kLargestActivation; returns the scale.
static float to_integers(const float * x, int n, int16_t * out) {
    vfloat top = splat(0.0f);
    int i = 0;
    for (; i + LVQE_LANES <= n; i += LVQE_LANES) {
        const vfloat v = load(x + i);
        top = max_of(top, max_of(v, -v));
    }
    float largest = 0.0f;
    for (int lane = 0; lane < LVQE_LANES; ++lane) {
        largest = top[lane] > largest ? top[lane] : largest;
    }
    for (int j = i; j < n; ++j) {
        const float size = x[j] < 0.0f ? -x[j] : x[j];
        largest = size > largest ? size : largest;
    }
    // So small that its inverse overflows is silence.
    const float inverse = largest > 1e-30f ? float(kLargestActivation) / largest : 0.0f;
    for (i = 0; i + LVQE_LANES <= n; i += LVQE_LANES) {
        store_short(out + i, to_short(round_of(load(x + i) * inverse)));
    }
    for (; i < n; ++i) {
        out[i] = to_short(round_of(splat(x[i]) * inverse))[0];
    }
    return largest > 1e-30f ? largest / float(kLargestActivation) : 0.0f;
}
