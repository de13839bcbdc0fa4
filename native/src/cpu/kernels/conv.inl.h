// Convolution over channel-last frames: for every output position the window of kw bins is one contiguous run of
// `taps` floats, so each time tap is a plain matrix product with no gathering. A micro-kernel keeps P positions times
// V vectors of output channels in registers, of the last perhaps a half. Each output accumulates bias, then rows in order, then taps in order,
// whatever P and V are.

template <int V> static void activate_tile(Activation kind, vfloat * tile, int n) {
    switch (kind) {
        case Activation::none: break;
        case Activation::relu6:
            for (int i = 0; i < n; ++i) {
                tile[i] = activate_vector<Activation::relu6>(tile[i]);
            }
            break;
        case Activation::silu:
            for (int i = 0; i < n; ++i) {
                tile[i] = activate_vector<Activation::silu>(tile[i]);
            }
            break;
        case Activation::elu:
            for (int i = 0; i < n; ++i) {
                tile[i] = activate_vector<Activation::elu>(tile[i]);
            }
            break;
    }
}

// Planar output: the positions of a channel are neighbours.
template <int V> static void store_planar(const ConvCall & c, int first, int last, int position, int p_count,
                                          const vfloat * tile) {
    const float * values = reinterpret_cast<const float *>(tile);
    for (int o = first; o < last; ++o) {
        const int group = o / c.group;
        const size_t base = size_t(group) * c.group_step + size_t(o - group * c.group) * size_t(c.channel_step);
        for (int p = 0; p < p_count; ++p) {
            const size_t at = base + size_t(position + p) * size_t(c.position_step);
            c.out[at] = values[p * V * LVQE_LANES + o - first] + (c.residual != nullptr ? c.residual[at] : 0.0f);
        }
    }
}

// Activation, residual and store for P positions of V vectors. A vector may end before its last lane, or straddle the
// two halves of a pixel shuffle; each group takes its lanes.
template <int V> static void finish_tile(const ConvCall & c, const Panel & panel, int position, int p_count,
                                         vfloat * tile) {
    activate_tile<V>(c.activation, tile, p_count * V);
    const int outputs = c.conv->outputs;
    const int end = panel.first + V * LVQE_LANES < outputs ? panel.first + V * LVQE_LANES : outputs;
    if (c.channel_step != 1) {
        store_planar<V>(c, panel.first, end, position, p_count, tile);
        return;
    }
    const int first_group = panel.first / c.group;
    if (end - panel.first == V * LVQE_LANES && first_group == (end - 1) / c.group) {
        const size_t offset = size_t(first_group) * c.group_step + size_t(panel.first - first_group * c.group);
        for (int p = 0; p < p_count; ++p) {
            const size_t at = offset + size_t(position + p) * size_t(c.position_step);
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) {
                const vfloat value = tile[p * V + v];
                float * const to = c.out + at + v * LVQE_LANES;
                store(to, c.residual != nullptr ? value + load(c.residual + at + v * LVQE_LANES) : value);
            }
        }
        return;
    }
    for (int v = 0; v < V; ++v) {
        const int first = panel.first + v * LVQE_LANES; // the channel of lane 0
        for (int o = first; o < end && o < first + LVQE_LANES;) {
            const int group = o / c.group;
            int stop = first + LVQE_LANES < end ? first + LVQE_LANES : end;
            stop = stop < (group + 1) * c.group ? stop : (group + 1) * c.group;
            const ptrdiff_t lane_0 = ptrdiff_t(size_t(group) * c.group_step) + first - group * c.group;
            for (int p = 0; p < p_count; ++p) {
                const ptrdiff_t at = lane_0 + ptrdiff_t(position + p) * c.position_step;
                vfloat value = tile[p * V + v];
                if (c.residual != nullptr) {
                    value += load_lanes(c.residual + at, o - first, stop - first);
                }
                store_lanes(c.out + at, value, o - first, stop - first);
            }
            o = stop;
        }
    }
}

// Sums of P positions: `Whole` vectors of output channels, and with Half the first half of one more.
template <int P, int Whole, bool Half> struct Sums {
    static constexpr int vectors = Whole + (Half ? 1 : 0);
    vfloat whole[P][Whole > 0 ? Whole : 1];
    vhalf half[P];
};

// Bias into every position of a tile.
template <int P, int Whole, bool Half> LVQE_INLINE void begin_tile(Sums<P, Whole, Half> & acc, const float * bias) {
#pragma GCC unroll 16
    for (int v = 0; v < Whole; ++v) {
        const vfloat b = load(bias + v * LVQE_LANES);
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p) {
            acc.whole[p][v] = b;
        }
    }
    if (Half) {
        const vhalf b = load_half(bias + Whole * LVQE_LANES);
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p) {
            acc.half[p] = b;
        }
    }
}

template <int P, int Whole, bool Half>
LVQE_INLINE void end_tile(const ConvCall & c, const Panel & panel, int position, const Sums<P, Whole, Half> & acc) {
    constexpr int V = Sums<P, Whole, Half>::vectors;
    vfloat tile[P * V];
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 16
        for (int v = 0; v < Whole; ++v) {
            tile[p * V + v] = acc.whole[p][v];
        }
        if (Half) {
            tile[p * V + V - 1] = whole_of(acc.half[p]);
        }
    }
    finish_tile<V>(c, panel, position, P, tile);
}

// acc += the products of `taps` inputs and their weights; ahead: fetches a line a tap from there.
template <int P, int Whole, bool Half, bool Ahead>
LVQE_INLINE void multiply_row(Sums<P, Whole, Half> & acc, const float * x, int step, const float * w, int taps,
                              const char * ahead) {
#if defined(__AVX512F__)
#pragma GCC unroll 4 // counting taps competes with multiplying for two execution ports
#endif
    for (int k = 0; k < taps; ++k) {
        if (Ahead) {
            LVQE_FETCH(ahead);
            ahead += kCacheLine;
        }
        vfloat weight[Whole > 0 ? Whole : 1];
#pragma GCC unroll 16
        for (int v = 0; v < Whole; ++v) {
            weight[v] = load(w + v * LVQE_LANES);
        }
        const vhalf half_weight = Half ? load_half(w + Whole * LVQE_LANES) : vhalf{};
        w += Sums<P, Whole, Half>::vectors * LVQE_LANES;
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p) {
            const vfloat value = splat(x[ptrdiff_t(p) * step + k]);
#pragma GCC unroll 16
            for (int v = 0; v < Whole; ++v) {
                acc.whole[p][v] += value * weight[v];
            }
            if (Half) {
                acc.half[p] += half_of(value) * half_weight;
            }
        }
    }
}

template <int P, int Whole, bool Half>
static void conv_tile(const ConvCall & c, const Panel & panel, int position, PrefetchCursor & ahead) {
    Sums<P, Whole, Half> acc;
    const PackedConv & conv = *c.conv;
    const float * w = conv.weights + panel.offset;
    begin_tile(acc, conv.bias + panel.first);
    const int step = c.step;
    const int taps = conv.taps;
    for (int row = 0; row < conv.rows; ++row) {
        const float * x = c.rows[row] + ptrdiff_t(position) * step;
        if (P == 1 || ahead.done()) {
            multiply_row<P, Whole, Half, false>(acc, x, step, w, taps, nullptr);
        } else {
            multiply_row<P, Whole, Half, (P > 1)>(acc, x, step, w, taps, ahead.line());
            ahead.advance(size_t(taps));
        }
        w += taps * ptrdiff_t(Sums<P, Whole, Half>::vectors) * LVQE_LANES;
    }
    end_tile(c, panel, position, acc);
}

using TileFunction = void (*)(const ConvCall &, const Panel &, int, PrefetchCursor &);

// Every tile size of a kernel: Tiles::get<P, Whole, Half>() is the function for P positions.
template <class Tiles, int V, bool Half> static TileFunction tile_function(int p) {
    constexpr int limit = positions_per_tile(Tiles::accumulators, V);
    constexpr int whole = V - (Half ? 1 : 0);
    switch (p) {
        case 8: return Tiles::template get<(limit >= 8 ? 8 : limit), whole, Half>();
        case 7: return Tiles::template get<(limit >= 7 ? 7 : limit), whole, Half>();
        case 6: return Tiles::template get<(limit >= 6 ? 6 : limit), whole, Half>();
        case 5: return Tiles::template get<(limit >= 5 ? 5 : limit), whole, Half>();
        case 4: return Tiles::template get<(limit >= 4 ? 4 : limit), whole, Half>();
        case 3: return Tiles::template get<(limit >= 3 ? 3 : limit), whole, Half>();
        case 2: return Tiles::template get<(limit >= 2 ? 2 : limit), whole, Half>();
        default: return Tiles::template get<1, whole, Half>();
    }
}

template <class Tiles, bool Half> static TileFunction tile_function(int p, int v) {
    switch (v) {
        case 1: return tile_function<Tiles, 1, Half>(p);
        case 2: return tile_function<Tiles, 2, Half>(p);
        case 3: return tile_function<Tiles, 3, Half>(p);
        case 4: return tile_function<Tiles, 4, Half>(p);
        case 5: return tile_function<Tiles, 5, Half>(p);
        case 6: return tile_function<Tiles, 6, Half>(p);
        case 7: return tile_function<Tiles, 7, Half>(p);
        default: return tile_function<Tiles, 8, Half>(p);
    }
}

template <class Tiles> static void run_tiles(const ConvCall & c, int first, int last) {
    const int count = last - first;
    if (count <= 0) {
        return;
    }
    PrefetchCursor ahead = c.ahead;
    for (int i = 0; i < c.conv->n_panels; ++i) {
        const Panel & panel = c.conv->panels[i];
        const int most = positions_per_tile(Tiles::accumulators, panel.vectors);
        const int tiles = (count + most - 1) / most;
        const bool half =
            LVQE_HAS_HALVES && c.conv->outputs <= panel.first + panel.vectors * LVQE_LANES - LVQE_LANES / 2;
        int position = first;
        // Even tiles: 8 positions at most 6 wide are 4 + 4, not 6 + 2.
        for (int t = 0; t < tiles; ++t) {
            const int size = count / tiles + (t < count % tiles ? 1 : 0);
            const TileFunction tile = half ? tile_function<Tiles, LVQE_HAS_HALVES>(size, panel.vectors)
                                           : tile_function<Tiles, false>(size, panel.vectors);
            tile(c, panel, position, ahead);
            position += size;
        }
    }
}

struct FloatTiles {
    static constexpr int accumulators = LVQE_ACCUMULATORS;
    template <int P, int Whole, bool Half> static TileFunction get() { return conv_tile<P, Whole, Half>; }
};

static void conv(const ConvCall & c, int first, int last) { run_tiles<FloatTiles>(c, first, last); }
