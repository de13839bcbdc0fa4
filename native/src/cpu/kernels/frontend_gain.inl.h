// The learned controller of the adaptive front-end (host/frontend_gain.cpp): bins are lanes.

using namespace frontend_gain; // the constants of localvqe_cli/reference/frontend_gain.py

LVQE_INLINE vfloat log_ratio(vfloat a, vfloat b) {
    const vfloat limit = splat(kLogLimit);
    return max_of(min_of(log_of((a + kLevelFloor) / (b + kLevelFloor)), limit), -limit) * kLogScale;
}

LVQE_INLINE vfloat tanh_of(vfloat x) { return sigmoid_of(x * 2.0f) * 2.0f - 1.0f; }

// A level that follows what is there now, per bin; kept in place.
LVQE_INLINE vfloat follow(float * level, vfloat now, float memory) {
    const vfloat value = flushed(load(level) * memory + now * (1.0f - memory));
    store(level, value);
    return value;
}

// |.|^2 of the smoothed product of a and the conjugate of b, which is kept in place.
LVQE_INLINE vfloat correlation(float * re, float * im, vfloat ar, vfloat ai, vfloat br, vfloat bi) {
    const vfloat r = follow(re, ar * br + ai * bi, kFast), i = follow(im, ai * br - ar * bi, kFast);
    return r * r + i * i;
}

// Updates the levels and writes kGainFeatures rows of n features; the means are over `bins`. What lies beyond them is
// zero in every input, and so in every sum.
static void gain_features(const GainInputs & in, bool first, int bins, GainLevels & levels, float * features, int n) {
    vfloat mic_sum = splat(0.0f), error_sum = splat(0.0f), echo_sum = splat(0.0f), surprise_sum = splat(0.0f),
           coherence_sum = splat(0.0f), recent_sum = splat(0.0f), steady_sum = splat(0.0f);
    static_assert(kGainFeatures == 11, "the rows below");
    const auto row = [&](int feature, int i) { return features + size_t(feature) * size_t(n) + i; };
    for (int i = 0; i < n; i += LVQE_LANES) {
        const vfloat er = load(in.error_re + i), ei = load(in.error_im + i);
        const vfloat yr = load(in.echo_re + i), yi = load(in.echo_im + i);
        const vfloat error = er * er + ei * ei, echo = yr * yr + yi * yi;
        const vfloat mic = load(in.mic_power + i), far_now = load(in.far_power + i), unsure = load(in.unsure + i);
        const vfloat far = follow(levels.far + i, far_now, first ? 0.0f : kSlow);
        const vfloat slow_error = follow(levels.error + i, error, kFast);
        const vfloat slow_echo = follow(levels.echo + i, echo, kFast);
        const vfloat joint = correlation(levels.cross_re + i, levels.cross_im + i, er, ei, yr, yi);
        const vfloat coherence = joint / (slow_error * slow_echo + kCoherenceFloor);
        const vfloat xr = load(in.far_re + i), xi = load(in.far_im + i);
        const vfloat br = load(levels.before_re + i), bi = load(levels.before_im + i);
        const vfloat recent_before = load(levels.recent + i);
        const vfloat recent = follow(levels.recent + i, xr * xr + xi * xi, first ? 0.0f : kFast);
        const vfloat steady = correlation(levels.steady_re + i, levels.steady_im + i, xr, xi, br, bi);
        store(levels.before_re + i, xr);
        store(levels.before_im + i, xi);
        recent_sum += recent;
        steady_sum += steady / (recent * recent_before + kCoherenceFloor) * recent;
        const vfloat surprise = log_ratio(unsure, error);
        store(row(0, i), log_ratio(error, load(in.noise + i)));
        store(row(1, i), log_ratio(echo, error));
        store(row(2, i), surprise);
        store(row(3, i), log_ratio(far_now, far));
        store(row(4, i), log_ratio(mic, error));
        store(row(5, i), coherence);
        mic_sum += mic;
        error_sum += error;
        echo_sum += echo;
        surprise_sum += surprise;
        coherence_sum += coherence;
    }
    const float tonality = sum_lanes(steady_sum) / (sum_lanes(recent_sum) + kLevelFloor);
    const float before = first ? kUsualTonality : *levels.tonality;
    *levels.tonality = before * kTonalityMemory + tonality * (1.0f - kTonalityMemory);
    const float share = 1.0f / float(bins);
    const vfloat mic = splat(sum_lanes(mic_sum) * share), error = splat(sum_lanes(error_sum) * share),
                 echo = splat(sum_lanes(echo_sum) * share);
    const vfloat attenuation = log_ratio(mic, error), balance = log_ratio(echo, error);
    const vfloat surprise = splat(sum_lanes(surprise_sum) * share), coherence = splat(sum_lanes(coherence_sum) * share);
    for (int i = 0; i < n; i += LVQE_LANES) {
        store(row(6, i), attenuation);
        store(row(7, i), balance);
        store(row(8, i), surprise);
        store(row(9, i), coherence);
        for (int lane = 0; lane < LVQE_LANES; ++lane) {
            row(10, i)[lane] = float(i + lane) * (2.0f / float(bins - 1)) - 1.0f;
        }
    }
}

// One step of a gated recurrent unit on every bin, and the two factors that come out, which are nearer to one the more
// tonal the far end is. hidden: (hidden, n), replaced; scratch: as much.
static void gain_step(const GainWeights & w, const float * features, float tonality, float * hidden, float * scratch,
                      float * noise_factor, float * process_factor, int n) {
    const float trust = (kTonal - tonality) / (kTonal - kSpeechLike);
    const float strength = kLargest * (trust < 0.0f ? 0.0f : trust > 1.0f ? 1.0f : trust);
    constexpr int inputs = kGainFeatures;
    const int h = w.hidden;
    for (int i = 0; i < n; i += LVQE_LANES) {
        vfloat x[inputs];
        for (int j = 0; j < inputs; ++j) {
            x[j] = load(features + size_t(j) * size_t(n) + i);
        }
        vfloat noise = splat(w.out_bias[0]), process = splat(w.out_bias[1]);
        for (int unit = 0; unit < h; ++unit) {
            vfloat fresh[3], old[3];
            for (int gate = 0; gate < 3; ++gate) {
                const int at = gate * h + unit;
                fresh[gate] = splat(w.bias_ih[at]);
                old[gate] = splat(w.bias_hh[at]);
            }
            for (int j = 0; j < inputs; ++j) {
                for (int gate = 0; gate < 3; ++gate) {
                    fresh[gate] += x[j] * w.weight_ih[size_t(gate * h + unit) * inputs + size_t(j)];
                }
            }
            for (int j = 0; j < h; ++j) {
                const vfloat state = load(hidden + size_t(j) * size_t(n) + i);
                for (int gate = 0; gate < 3; ++gate) {
                    old[gate] += state * w.weight_hh[size_t(gate * h + unit) * size_t(h) + size_t(j)];
                }
            }
            const vfloat reset = sigmoid_of(fresh[0] + old[0]), update = sigmoid_of(fresh[1] + old[1]);
            const vfloat state = tanh_of(fresh[2] + reset * old[2]);
            const vfloat next = state + (load(hidden + size_t(unit) * size_t(n) + i) - state) * update;
            store(scratch + size_t(unit) * size_t(n) + i, next);
            noise += next * w.out_weight[unit];
            process += next * w.out_weight[h + unit];
        }
        for (int unit = 0; unit < h; ++unit) {
            store(hidden + size_t(unit) * size_t(n) + i, load(scratch + size_t(unit) * size_t(n) + i));
        }
        store(noise_factor + i, exp_of(tanh_of(noise) * strength));
        store(process_factor + i, exp_of(tanh_of(process) * strength));
    }
}
