// Convolution over channel-last frames: for every output position the window of kw bins is one contiguous run of
// `taps` floats, so each time tap is a plain matrix product with no gathering. A micro-kernel keeps P positions times
// V vectors of output channels in registers. Each output accumulates bias, then rows in order, then taps in order,
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

// Stores one position's V vectors channel by channel: for channel counts that are no multiple of the vector width,
// panels that straddle the two halves of a pixel shuffle, and planar output.
static void scatter(const ConvCall & c, int first, int last, size_t position, const float * values) {
    int o = first;
    while (o < last) {
        const int group = o / c.group;
        const int end = (group + 1) * c.group < last ? (group + 1) * c.group : last;
        const size_t base = size_t(group) * c.group_step + position;
        for (; o < end; ++o) {
            const size_t at = base + size_t(o - group * c.group) * size_t(c.channel_step);
            c.out[at] = values[o - first] + (c.residual != nullptr ? c.residual[at] : 0.0f);
        }
    }
}

// Activation, residual and store for P positions of V vectors.
template <int V> static void finish_tile(const ConvCall & c, const Panel & panel, int position, int p_count, vfloat * tile) {
    activate_tile<V>(c.activation, tile, p_count * V);
    const int outputs = c.conv->outputs;
    const int last = panel.first + V * LVQE_LANES < outputs ? panel.first + V * LVQE_LANES : outputs;
    const int group = panel.first / c.group;
    const bool whole = last - panel.first == V * LVQE_LANES && group == (last - 1) / c.group && c.channel_step == 1;
    const size_t offset = size_t(group) * c.group_step + size_t(panel.first - group * c.group);
    for (int p = 0; p < p_count; ++p) {
        const size_t at = size_t(position + p) * size_t(c.position_step);
        if (!whole) {
            float values[V * LVQE_LANES];
            for (int v = 0; v < V; ++v) {
                store(values + v * LVQE_LANES, tile[p * V + v]);
            }
            scatter(c, panel.first, last, at, values);
            continue;
        }
        for (int v = 0; v < V; ++v) {
            const size_t to = offset + at + size_t(v) * LVQE_LANES;
            const vfloat value = tile[p * V + v];
            store(c.out + to, c.residual != nullptr ? value + load(c.residual + to) : value);
        }
    }
}

template <int P, int V> static void conv_tile(const ConvCall & c, const Panel & panel, int position) {
    vfloat acc[P][V];
    const PackedConv & conv = *c.conv;
    const float * w = conv.weights + panel.offset;
    const float * bias = conv.bias + panel.first;
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
        const vfloat b = load(bias + v * LVQE_LANES);
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p) {
            acc[p][v] = b;
        }
    }
    const int step = c.step;
    const int taps = conv.taps;
    for (int row = 0; row < conv.rows; ++row) {
        const float * x = c.rows[row] + ptrdiff_t(position) * step;
        for (int k = 0; k < taps; ++k) {
            vfloat weight[V];
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v) {
                weight[v] = load(w + v * LVQE_LANES);
            }
            w += V * LVQE_LANES;
#pragma GCC unroll 16
            for (int p = 0; p < P; ++p) {
                const vfloat value = splat(x[ptrdiff_t(p) * step + k]);
#pragma GCC unroll 16
                for (int v = 0; v < V; ++v) {
                    acc[p][v] += value * weight[v];
                }
            }
        }
    }
    vfloat tile[P * V];
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) {
            tile[p * V + v] = acc[p][v];
        }
    }
    finish_tile<V>(c, panel, position, P, tile);
}

using TileFunction = void (*)(const ConvCall &, const Panel &, int);

// Positions one micro-kernel handles for a panel of V vectors.
constexpr int positions_per_tile(int accumulators, int vectors) {
    return accumulators / vectors < 1 ? 1 : accumulators / vectors > 8 ? 8 : accumulators / vectors;
}

// Every tile size of a kernel: Tiles::get<P, V>() is the function for P positions and V vectors.
template <class Tiles, int V> static TileFunction tile_function(int p) {
    constexpr int limit = positions_per_tile(Tiles::accumulators, V);
    switch (p) {
        case 8: return Tiles::template get<(limit >= 8 ? 8 : limit), V>();
        case 7: return Tiles::template get<(limit >= 7 ? 7 : limit), V>();
        case 6: return Tiles::template get<(limit >= 6 ? 6 : limit), V>();
        case 5: return Tiles::template get<(limit >= 5 ? 5 : limit), V>();
        case 4: return Tiles::template get<(limit >= 4 ? 4 : limit), V>();
        case 3: return Tiles::template get<(limit >= 3 ? 3 : limit), V>();
        case 2: return Tiles::template get<(limit >= 2 ? 2 : limit), V>();
        default: return Tiles::template get<1, V>();
    }
}

template <class Tiles> static TileFunction tile_function(int p, int v) {
    switch (v) {
        case 1: return tile_function<Tiles, 1>(p);
        case 2: return tile_function<Tiles, 2>(p);
        case 3: return tile_function<Tiles, 3>(p);
        case 4: return tile_function<Tiles, 4>(p);
        case 5: return tile_function<Tiles, 5>(p);
        case 6: return tile_function<Tiles, 6>(p);
        case 7: return tile_function<Tiles, 7>(p);
        default: return tile_function<Tiles, 8>(p);
    }
}

template <class Tiles> static void run_tiles(const ConvCall & c, int first, int last) {
    const int count = last - first;
    if (count <= 0) {
        return;
    }
    for (int i = 0; i < c.conv->n_panels; ++i) {
        const Panel & panel = c.conv->panels[i];
        const int most = positions_per_tile(Tiles::accumulators, panel.vectors);
        const int tiles = (count + most - 1) / most;
        int position = first;
        // Even tiles: 8 positions at most 6 wide are 4 + 4, not 6 + 2.
        for (int t = 0; t < tiles; ++t) {
            const int size = count / tiles + (t < count % tiles ? 1 : 0);
            tile_function<Tiles>(size, panel.vectors)(c, panel, position);
            position += size;
        }
    }
}

struct FloatTiles {
    static constexpr int accumulators = LVQE_ACCUMULATORS;
    template <int P, int V> static TileFunction get() { return conv_tile<P, V>; }
};

static void conv(const ConvCall & c, int first, int last) { run_tiles<FloatTiles>(c, first, last); }
