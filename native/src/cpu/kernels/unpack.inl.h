// Weights stored in fewer bits as floats, exactly. Several are in a 32-bit word, the first in its lowest bits, so that the
// words of neighbouring outputs are a vector.

LVQE_INLINE vint load_words(const uint32_t * p) { return load_int(reinterpret_cast<const int16_t *>(p)); }

// Half-precision numbers that are in the upper halves of words.
LVQE_INLINE vfloat from_halves(vint upper) {
    const vint magnitude = (upper >> 3) & 0x0fffe000;
    const vfloat value = as_float(magnitude + (112 << 23)); // the exponent counts from another number
    // Below the smallest normal half a mantissa has no hidden one: it is given one, which is then subtracted.
    const vfloat least = splat(6.103515625e-05f);
    const vfloat small = as_float(magnitude + (113 << 23)) - least;
    return as_float(as_int(choose(value < least, small, value)) + (upper & int(0x80000000u)));
}

static void unpack_halves(const uint32_t * words, int taps, int width, float * out) {
    for (int t = 0; t < taps; t += 2, words += width) {
        for (int v = 0; v < width; v += LVQE_LANES) {
            const vint word = load_words(words + v);
            float * const to = out + ptrdiff_t(t) * width + v;
            store(to, from_halves(word << 16));
            if (t + 1 < taps) {
                store(to + width, from_halves(word));
            }
        }
    }
}

static void unpack_bytes(const uint32_t * words, const float * scales, int taps, int width, float * out) {
    for (int t = 0; t < taps; t += 4, words += width) {
        for (int v = 0; v < width; v += LVQE_LANES) {
            const vint word = load_words(words + v);
            const vfloat scale = load(scales + v);
            float * const to = out + ptrdiff_t(t) * width + v;
            store(to, to_float((word << 24) >> 24) * scale);
            if (t + 1 < taps) {
                store(to + width, to_float((word << 16) >> 24) * scale);
            }
            if (t + 2 < taps) {
                store(to + 2 * width, to_float((word << 8) >> 24) * scale);
            }
            if (t + 3 < taps) {
                store(to + 3 * width, to_float(word >> 24) * scale);
            }
        }
    }
}
