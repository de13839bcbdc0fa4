// Everything that is not a convolution.

static void norm_stats(const float * a, size_t na, const float * b, size_t nb, float * mean, float * scale) {
    const float * piece[2] = {a, b};
    const size_t length[2] = {na, nb};
    const double n = double(na + nb);
    // Partial sums of 64 vectors in float, their totals in double: exact enough for any width, and cheap.
    double total = 0.0;
    for (int s = 0; s < 2; ++s) {
        size_t i = 0;
        while (i + LVQE_LANES <= length[s]) {
            vfloat sum = splat(0.0f);
            const size_t vectors = (length[s] - i) / LVQE_LANES;
            const size_t chunk = vectors < 64 ? vectors : 64;
            for (size_t v = 0; v < chunk; ++v, i += LVQE_LANES) {
                sum += load(piece[s] + i);
            }
            total += double(sum_lanes(sum));
        }
        for (; i < length[s]; ++i) {
            total += double(piece[s][i]);
        }
    }
    const float mu = float(total / n);
    double squares = 0.0;
    for (int s = 0; s < 2; ++s) {
        size_t i = 0;
        while (i + LVQE_LANES <= length[s]) {
            vfloat sum = splat(0.0f);
            const size_t vectors = (length[s] - i) / LVQE_LANES;
            const size_t chunk = vectors < 64 ? vectors : 64;
            for (size_t v = 0; v < chunk; ++v, i += LVQE_LANES) {
                const vfloat d = load(piece[s] + i) - mu;
                sum += d * d;
            }
            squares += double(sum_lanes(sum));
        }
        for (; i < length[s]; ++i) {
            const double d = double(piece[s][i] - mu);
            squares += d * d;
        }
    }
    *mean = mu;
    *scale = float(1.0 / __builtin_sqrt(squares / n + 1e-5));
}

static void norm_apply(const float * x, int bins, int channels, float mean, float scale, const float * gamma, const float * beta,
                       float * y, int y_step) {
    for (int f = 0; f < bins; ++f) {
        const float * from = x + size_t(f) * channels;
        float * to = y + size_t(f) * y_step;
        int c = 0;
        for (; c + LVQE_LANES <= channels; c += LVQE_LANES) {
            store(to + c, (load(from + c) - mean) * scale * load(gamma + c) + load(beta + c));
        }
        for (; c < channels; ++c) {
            to[c] = (from[c] - mean) * scale * gamma[c] + beta[c];
        }
    }
}

static void power_law(const float * spectrum, float * features, int bins, float c) {
    const float half_exponent = 0.5f * (1.0f - c);
    float re[LVQE_LANES], im[LVQE_LANES];
    for (int f = 0; f < bins; f += LVQE_LANES) { // bins is a multiple of 16
        for (int i = 0; i < LVQE_LANES; ++i) {
            re[i] = spectrum[2 * (f + i)];
            im[i] = spectrum[2 * (f + i) + 1];
        }
        const vfloat r = load(re);
        const vfloat j = load(im);
        const vfloat power = r * r + j * j + 1e-12f;
        const vfloat gain = splat(1.0f) / (exp_of(log_of(power) * half_exponent) + 1e-12f);
        store(re, r * gain);
        store(im, j * gain);
        for (int i = 0; i < LVQE_LANES; ++i) {
            features[2 * (f + i)] = re[i];
            features[2 * (f + i) + 1] = im[i];
        }
    }
}

static void similarity(const float * q, const float * k, int bins, int width, float scale, float * out) {
    int h = 0;
    for (; h + 4 * LVQE_LANES <= width; h += 4 * LVQE_LANES) {
        vfloat s0 = splat(0.0f), s1 = s0, s2 = s0, s3 = s0;
        for (int f = 0; f < bins; ++f) {
            const float * a = q + size_t(f) * width + h;
            const float * b = k + size_t(f) * width + h;
            s0 += load(a) * load(b);
            s1 += load(a + LVQE_LANES) * load(b + LVQE_LANES);
            s2 += load(a + 2 * LVQE_LANES) * load(b + 2 * LVQE_LANES);
            s3 += load(a + 3 * LVQE_LANES) * load(b + 3 * LVQE_LANES);
        }
        store(out + h, s0 * scale);
        store(out + h + LVQE_LANES, s1 * scale);
        store(out + h + 2 * LVQE_LANES, s2 * scale);
        store(out + h + 3 * LVQE_LANES, s3 * scale);
    }
    for (; h < width; h += LVQE_LANES) {
        vfloat s = splat(0.0f);
        for (int f = 0; f < bins; ++f) {
            s += load(q + size_t(f) * width + h) * load(k + size_t(f) * width + h);
        }
        store(out + h, s * scale);
    }
}

static float dot(const float * a, const float * b, int n) {
    vfloat s = splat(0.0f);
    int i = 0;
    for (; i + LVQE_LANES <= n; i += LVQE_LANES) {
        s += load(a + i) * load(b + i);
    }
    float total = sum_lanes(s);
    for (; i < n; ++i) {
        total += a[i] * b[i];
    }
    return total;
}

static void softmax(float * x, int n) {
    float top = x[0];
    for (int i = 1; i < n; ++i) {
        top = x[i] > top ? x[i] : top;
    }
    float total = 0.0f;
    for (int i = 0; i < n; ++i) {
        x[i] = exp_of(splat(x[i] - top))[0];
        total += x[i];
    }
    const float inverse = 1.0f / total;
    for (int i = 0; i < n; ++i) {
        x[i] *= inverse;
    }
}

static void weighted_sum(const float * const * rows, const float * weights, int n_rows, float * out, int first, int last) {
    int i = first;
    for (; i + 8 * LVQE_LANES <= last; i += 8 * LVQE_LANES) {
        vfloat s[8];
#pragma GCC unroll 8
        for (int v = 0; v < 8; ++v) {
            s[v] = splat(0.0f);
        }
        for (int d = 0; d < n_rows; ++d) {
            const float w = weights[d];
            const float * row = rows[d] + i;
#pragma GCC unroll 8
            for (int v = 0; v < 8; ++v) {
                s[v] += load(row + v * LVQE_LANES) * w;
            }
        }
#pragma GCC unroll 8
        for (int v = 0; v < 8; ++v) {
            store(out + i + v * LVQE_LANES, s[v]);
        }
    }
    for (; i + LVQE_LANES <= last; i += LVQE_LANES) {
        vfloat s = splat(0.0f);
        for (int d = 0; d < n_rows; ++d) {
            s += load(rows[d] + i) * weights[d];
        }
        store(out + i, s);
    }
    for (; i < last; ++i) {
        // One lane of a vector, so that the rounding (fused or not) is that of the loops above.
        vfloat s = splat(0.0f);
        for (int d = 0; d < n_rows; ++d) {
            s += splat(rows[d][i]) * weights[d];
        }
        out[i] = s[0];
    }
}

static void s4d_step(const float * coefficients, float * state, const float * v, float * y, int n) {
    const float * a_re = coefficients;
    const float * a_im = coefficients + n;
    const float * b_re = coefficients + 2 * n;
    const float * b_im = coefficients + 3 * n;
    const float * c_re = coefficients + 4 * n;
    const float * c_im = coefficients + 5 * n;
    for (int i = 0; i < n; i += LVQE_LANES) {
        const vfloat h_re = load(state + i);
        const vfloat h_im = load(state + n + i);
        const vfloat u = load(v + i);
        vfloat next_re = load(a_re + i) * h_re - load(a_im + i) * h_im + load(b_re + i) * u;
        vfloat next_im = load(a_re + i) * h_im + load(a_im + i) * h_re + load(b_im + i) * u;
        // A decaying state must not linger among the denormals, where each operation costs a hundred.
        const vfloat tiny = splat(1e-30f);
        next_re = (next_re < tiny) & (next_re > -tiny) ? splat(0.0f) : next_re;
        next_im = (next_im < tiny) & (next_im > -tiny) ? splat(0.0f) : next_im;
        store(state + i, next_re);
        store(state + n + i, next_im);
        store(y + i, load(c_re + i) * next_re - load(c_im + i) * next_im);
    }
}

LVQE_INLINE void mask_vector(const float * m, size_t stride, const float * const * re, const float * const * im, float * out_re,
                             float * out_im, int f) {
    const float half_sqrt3 = 0.866025403784438647f;
    vfloat sum_re = splat(0.0f), sum_im = splat(0.0f);
#pragma GCC unroll 3
    for (int row = 0; row < 3; ++row) {
#pragma GCC unroll 3
        for (int n = 0; n < 3; ++n) {
            const int tap = row * 3 + n;
            const vfloat m0 = load(m + size_t(tap) * stride + f);
            const vfloat m1 = load(m + size_t(9 + tap) * stride + f);
            const vfloat m2 = load(m + size_t(18 + tap) * stride + f);
            const vfloat h_re = m0 - (m1 + m2) * 0.5f;
            const vfloat h_im = (m1 - m2) * half_sqrt3;
            const vfloat x_re = load(re[row] + f + n - 1);
            const vfloat x_im = load(im[row] + f + n - 1);
            sum_re += h_re * x_re - h_im * x_im;
            sum_im += h_re * x_im + h_im * x_re;
        }
    }
    store(out_re + f, sum_re);
    store(out_im + f, sum_im);
}

static void mask(const float * m, size_t stride, const float * const * re, const float * const * im, float * out_re, float * out_im,
                 int first, int last) {
    for (int f = first; f < last; f += LVQE_LANES) { // both ends are multiples of 16
        mask_vector(m, stride, re, im, out_re, out_im, f);
    }
}

static float peak(long rounds, long * per_round) {
    // As many independent chains as the convolutions keep accumulators, so that latency is hidden the same way.
    constexpr int chains = LVQE_ACCUMULATORS < 12 ? LVQE_ACCUMULATORS : 12;
    constexpr int unrolled = 16;
    vfloat sum[chains];
    for (int i = 0; i < chains; ++i) {
        sum[i] = splat(float(i));
    }
    vfloat factor = splat(0.999f), offset = splat(0.001f);
    for (long r = 0; r < rounds; ++r) {
        // The compiler must not know the operands, or it would solve the recurrence itself.
        __asm__ volatile("" : "+m"(factor), "+m"(offset));
        const vfloat f = factor, o = offset;
#pragma GCC unroll 16
        for (int u = 0; u < unrolled; ++u) {
#pragma GCC unroll 16
            for (int i = 0; i < chains; ++i) {
                sum[i] = sum[i] * f + o;
            }
        }
    }
    float total = 0.0f;
    for (int i = 0; i < chains; ++i) {
        total += sum_lanes(sum[i]);
    }
    *per_round = long(chains) * unrolled * LVQE_LANES;
    return total;
}

template <Activation kind> LVQE_INLINE void activate_all(float * x, int n) {
    for (int i = 0; i < n; ++i) {
        x[i] = activate_vector<kind>(splat(x[i]))[0];
    }
}

static void activate(Activation kind, float * x, int n) {
    switch (kind) {
        case Activation::none: break;
        case Activation::relu6: activate_all<Activation::relu6>(x, n); break;
        case Activation::silu: activate_all<Activation::silu>(x, n); break;
        case Activation::elu: activate_all<Activation::elu>(x, n); break;
    }
}
