// Everything that is not a convolution.

// Sum of (x - shift)^power, power 1 or 2, over n values: partial sums of 64 vectors in float, their total in double,
// which is exact enough for any width, and cheap.
template <int power> LVQE_INLINE double sum_of(const float * x, size_t n, float shift) {
    double total = 0.0;
    const auto term = [shift](vfloat v) {
        v = v - shift;
        return power == 1 ? v : v * v;
    };
    size_t i = 0;
    while (i + LVQE_LANES <= n) {
        vfloat sum[4] = {};
        const size_t vectors = (n - i) / LVQE_LANES;
        const size_t chunk = vectors < 64 ? vectors : 64;
        size_t v = 0;
        for (; v + 4 <= chunk; v += 4, i += 4 * LVQE_LANES) {
#pragma GCC unroll 4
            for (int s = 0; s < 4; ++s) {
                sum[s] += term(load(x + i + size_t(s) * LVQE_LANES));
            }
        }
        for (; v < chunk; ++v, i += LVQE_LANES) {
            sum[0] += term(load(x + i));
        }
        total += double(sum_lanes((sum[0] + sum[1]) + (sum[2] + sum[3])));
    }
    for (; i < n; ++i) {
        const double d = double(x[i] - shift);
        total += power == 1 ? d : d * d;
    }
    return total;
}

static void norm_stats(const float * a, size_t na, const float * b, size_t nb, float * mean, float * scale) {
    const double n = double(na + nb);
    const float mu = float((sum_of<1>(a, na, 0.0f) + sum_of<1>(b, nb, 0.0f)) / n);
    *mean = mu;
    *scale = float(1.0 / LVQE_SQRT((sum_of<2>(a, na, mu) + sum_of<2>(b, nb, mu)) / n + 1e-5));
}

static void norm_apply(const float * x, int bins, int channels, float mean, float scale, const float * gamma,
                       const float * beta, float * y, int y_step) {
    for (int c = 0; c < channels; c += LVQE_LANES) {
        const int lanes = channels - c < LVQE_LANES ? channels - c : LVQE_LANES;
        const vfloat g = load_lanes(gamma + c, 0, lanes);
        const vfloat b = load_lanes(beta + c, 0, lanes);
        const float * from = x + c;
        float * to = y + c;
        if (lanes == LVQE_LANES) {
            for (int f = 0; f < bins; ++f, from += channels, to += y_step) {
                store(to, (load(from) - mean) * scale * g + b);
            }
        } else {
            for (int f = 0; f < bins; ++f, from += channels, to += y_step) {
                store_lanes(to, (load_lanes(from, 0, lanes) - mean) * scale * g + b, 0, lanes);
            }
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
    for (int h = 0; h < width; h += LVQE_LANES) {
        vfloat s[4] = {};
        const float * a = q + h;
        const float * b = k + h;
        int f = 0;
        for (; f + 4 <= bins; f += 4, a += 4 * width, b += 4 * width) {
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                s[i] += load(a + i * width) * load(b + i * width);
            }
        }
        for (; f < bins; ++f, a += width, b += width) {
            s[0] += load(a) * load(b);
        }
        store(out + h, ((s[0] + s[1]) + (s[2] + s[3])) * scale);
    }
}

static float dot(const float * const * a, const float * b, int n_rows, int n) {
    vfloat s[2] = {};
    for (int r = 0; r < n_rows; ++r, b += n) {
        int i = 0;
        for (; i + 2 * LVQE_LANES <= n; i += 2 * LVQE_LANES) {
            s[0] += load(a[r] + i) * load(b + i);
            s[1] += load(a[r] + i + LVQE_LANES) * load(b + i + LVQE_LANES);
        }
        for (; i < n; i += LVQE_LANES) {
            const int lanes = n - i < LVQE_LANES ? n - i : LVQE_LANES;
            s[0] += load_lanes(a[r] + i, 0, lanes) * load_lanes(b + i, 0, lanes);
        }
    }
    return sum_lanes(s[0] + s[1]);
}

static void softmax(float * x, int n) {
    float top = x[0];
    for (int i = 1; i < n; ++i) {
        top = x[i] > top ? x[i] : top;
    }
    vfloat sum = splat(0.0f);
    for (int i = 0; i < n; i += LVQE_LANES) {
        const int lanes = n - i < LVQE_LANES ? n - i : LVQE_LANES;
        store_lanes(x + i, exp_of(load_lanes(x + i, 0, lanes) - top), 0, lanes);
        sum += load_lanes(x + i, 0, lanes);
    }
    const float inverse = 1.0f / sum_lanes(sum);
    for (int i = 0; i < n; ++i) {
        x[i] *= inverse;
    }
}

// Four rows at a time over a range that stays in the nearest cache: few streams that run on are fetched ahead, many
// short ones are not.
static void weighted_sum(const float * const * rows, const float * weights, int n_rows, float * out, int first,
                         int last) {
    for (int d = 0; d < n_rows; d += 4) {
        const int count = n_rows - d < 4 ? n_rows - d : 4;
        const float * r[4];
        float w[4];
        for (int j = 0; j < 4; ++j) {
            r[j] = rows[j < count ? d + j : d];
            w[j] = j < count ? weights[d + j] : 0.0f;
        }
        for (int i = first; i < last; i += LVQE_LANES) {
            const int lanes = last - i < LVQE_LANES ? last - i : LVQE_LANES;
            if (lanes == LVQE_LANES) {
                vfloat s = d == 0 ? splat(0.0f) : load(out + i);
#pragma GCC unroll 4
                for (int j = 0; j < 4; ++j) {
                    s += load(r[j] + i) * w[j];
                }
                store(out + i, s);
            } else {
                vfloat s = d == 0 ? splat(0.0f) : load_lanes(out + i, 0, lanes);
#pragma GCC unroll 4
                for (int j = 0; j < 4; ++j) {
                    s += load_lanes(r[j] + i, 0, lanes) * w[j];
                }
                store_lanes(out + i, s, 0, lanes);
            }
        }
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
        const vfloat next_re = flushed(load(a_re + i) * h_re - load(a_im + i) * h_im + load(b_re + i) * u);
        const vfloat next_im = flushed(load(a_re + i) * h_im + load(a_im + i) * h_re + load(b_im + i) * u);
        store(state + i, next_re);
        store(state + n + i, next_im);
        store(y + i, load(c_re + i) * next_re - load(c_im + i) * next_im);
    }
}

LVQE_INLINE void mask_vector(const float * m, size_t stride, const float * const * re, const float * const * im,
                             float * out_re, float * out_im, int f) {
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

static void mask(const float * m, size_t stride, const float * const * re, const float * const * im, float * out_re,
                 float * out_im, int first, int last) {
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
        LVQE_FORGET(factor, offset);
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
