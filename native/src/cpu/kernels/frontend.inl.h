// Passes of the adaptive front-end (host/frontend.cpp) over spectra in split format. Lengths are multiples of 16;
// what lies beyond the last bin is zero and stays harmless.

// power = memory * power + share * |x|^2, then white = x / sqrt(max(power, |x|^2) + floor).
static void whiten(const float * re, const float * im, float memory, float share, float floor, float * power,
                   float * white_re, float * white_im, int n) {
    for (int i = 0; i < n; ++i) { // the square root has no vector form in the compiler's extension
        const float now = re[i] * re[i] + im[i] * im[i];
        power[i] = power[i] * memory + share * now;
        power[i] = power[i] < 1e-30f ? 0.0f : power[i];
        const float rate = 1.0f / LVQE_SQRTF((power[i] > now ? power[i] : now) + floor);
        white_re[i] = re[i] * rate;
        white_im[i] = im[i] * rate;
    }
}

// sum = memory * sum + conj(far) * near; returns the summed power.
static float agree(const float * far_re, const float * far_im, const float * near_re, const float * near_im,
                   float memory, float * sum_re, float * sum_im, int n) {
    vfloat power = splat(0.0f);
    for (int i = 0; i < n; i += LVQE_LANES) {
        const vfloat xr = load(far_re + i), xi = load(far_im + i), yr = load(near_re + i), yi = load(near_im + i);
        const vfloat re = flushed(load(sum_re + i) * memory + xr * yr + xi * yi);
        const vfloat im = flushed(load(sum_im + i) * memory + xr * yi - xi * yr);
        store(sum_re + i, re);
        store(sum_im + i, im);
        power += re * re + im * im;
    }
    return sum_lanes(power);
}

// variance = keep * variance + (1 - keep) * process * (|w|^2 + floor).
static void kalman_predict(const float * w_re, const float * w_im, float keep, float floor, const float * process,
                           float * variance, int n) {
    for (int i = 0; i < n; i += LVQE_LANES) {
        const vfloat re = load(w_re + i), im = load(w_im + i);
        store(variance + i,
              load(variance + i) * keep + (re * re + im * im + floor) * load(process + i) * (1.0f - keep));
    }
}

// Sums over partitions: the far end's power, and that of the error that the coefficients' variance explains.
static void kalman_levels(const float * const * far_re, const float * const * far_im, const float * variance,
                          int partitions, float * far_power, float * unsure, int n) {
    for (int i = 0; i < n; i += LVQE_LANES) {
        vfloat power = splat(0.0f), explained = splat(0.0f);
        for (int p = 0; p < partitions; ++p) {
            const vfloat xr = load(far_re[p] + i), xi = load(far_im[p] + i);
            const vfloat x = xr * xr + xi * xi;
            power += x;
            explained += x * load(variance + size_t(p) * size_t(n) + i);
        }
        store(far_power + i, power);
        store(unsure + i, explained);
    }
}

// out = sum over partitions of far * w. far: partition p at far_re[p], far_im[p]; w: partition p at w_re + p * n.
static void kalman_echo(const float * const * far_re, const float * const * far_im, const float * w_re,
                        const float * w_im, int partitions, float * out_re, float * out_im, int n) {
    for (int i = 0; i < n; i += LVQE_LANES) {
        vfloat re = splat(0.0f), im = splat(0.0f);
        for (int p = 0; p < partitions; ++p) {
            const size_t at = size_t(p) * size_t(n) + size_t(i);
            const vfloat xr = load(far_re[p] + i), xi = load(far_im[p] + i), wr = load(w_re + at), wi = load(w_im + at);
            re += xr * wr - xi * wi;
            im += xr * wi + xi * wr;
        }
        store(out_re + i, re);
        store(out_im + i, im);
    }
}

// One Kalman update of every coefficient from the error's spectrum; noise is the observation noise's power.
static void kalman_update(const float * const * far_re, const float * const * far_im, const float * error_re,
                          const float * error_im, const float * noise, float floor, float restraint, float limit,
                          int partitions, float * w_re, float * w_im, float * variance, int n) {
    const vfloat top = splat(limit);
    for (int i = 0; i < n; i += LVQE_LANES) {
        vfloat total = splat(0.0f);
        for (int p = 0; p < partitions; ++p) {
            const vfloat xr = load(far_re[p] + i), xi = load(far_im[p] + i);
            total += (xr * xr + xi * xi) * load(variance + size_t(p) * size_t(n) + i);
        }
        const vfloat inverse = splat(1.0f) / (total * (1.0f + restraint) + load(noise + i) * 2.0f + floor);
        const vfloat er = load(error_re + i), ei = load(error_im + i);
        for (int p = 0; p < partitions; ++p) {
            const size_t at = size_t(p) * size_t(n) + size_t(i);
            const vfloat xr = load(far_re[p] + i), xi = load(far_im[p] + i), v = load(variance + at);
            const vfloat step = v * inverse;
            const vfloat re = load(w_re + at) + step * (xr * er + xi * ei);
            const vfloat im = load(w_im + at) + step * (xr * ei - xi * er);
            store(w_re + at, max_of(min_of(re, top), -top));
            store(w_im + at, max_of(min_of(im, top), -top));
            store(variance + at, v - v * step * (xr * xr + xi * xi) * 0.5f);
        }
    }
}
