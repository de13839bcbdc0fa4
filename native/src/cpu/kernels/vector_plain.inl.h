// Vectors as arrays, for a compiler without a vector extension: what vector_gnu.inl.h gives, in loops.

struct vint {
    int lane[LVQE_LANES];
    int operator[](int i) const { return lane[i]; }
};
struct vfloat {
    float lane[LVQE_LANES];
    float operator[](int i) const { return lane[i]; }
};
struct vshort {
    int16_t lane[LVQE_LANES];
    int16_t operator[](int i) const { return lane[i]; }
};

#define LVQE_EACH for (int i = 0; i < LVQE_LANES; ++i)

LVQE_INLINE vfloat splat(float x) {
    vfloat v;
    LVQE_EACH { v.lane[i] = x; }
    return v;
}

#define LVQE_ARITHMETIC_OPERATOR(op)                                                                                   \
    LVQE_INLINE vfloat operator op(vfloat a, vfloat b) {                                                               \
        vfloat v;                                                                                                      \
        LVQE_EACH { v.lane[i] = a.lane[i] op b.lane[i]; }                                                              \
        return v;                                                                                                      \
    }                                                                                                                  \
    LVQE_INLINE vfloat operator op(vfloat a, float b) { return a op splat(b); }                                        \
    LVQE_INLINE vfloat & operator op## = (vfloat & a, vfloat b) { return a = a op b; }
LVQE_ARITHMETIC_OPERATOR(+)
LVQE_ARITHMETIC_OPERATOR(-)
LVQE_ARITHMETIC_OPERATOR(*)
LVQE_ARITHMETIC_OPERATOR(/)
#undef LVQE_ARITHMETIC_OPERATOR
LVQE_INLINE vfloat operator-(vfloat a) {
    LVQE_EACH { a.lane[i] = -a.lane[i]; }
    return a;
}

// True is all bits set, as in the extension.
#define LVQE_COMPARISON_OPERATOR(op)                                                                                   \
    LVQE_INLINE vint operator op(vfloat a, vfloat b) {                                                                 \
        vint v;                                                                                                        \
        LVQE_EACH { v.lane[i] = a.lane[i] op b.lane[i] ? -1 : 0; }                                                     \
        return v;                                                                                                      \
    }
LVQE_COMPARISON_OPERATOR(<)
LVQE_COMPARISON_OPERATOR(>)
#undef LVQE_COMPARISON_OPERATOR

#define LVQE_INTEGER_OPERATOR(op)                                                                                      \
    LVQE_INLINE vint operator op(vint a, vint b) {                                                                     \
        LVQE_EACH { a.lane[i] = a.lane[i] op b.lane[i]; }                                                              \
        return a;                                                                                                      \
    }                                                                                                                  \
    LVQE_INLINE vint operator op(vint a, int b) {                                                                      \
        LVQE_EACH { a.lane[i] = a.lane[i] op b; }                                                                      \
        return a;                                                                                                      \
    }
LVQE_INTEGER_OPERATOR(+)
LVQE_INTEGER_OPERATOR(-)
LVQE_INTEGER_OPERATOR(*)
LVQE_INTEGER_OPERATOR(&)
LVQE_INTEGER_OPERATOR(<<)
LVQE_INTEGER_OPERATOR(>>)
#undef LVQE_INTEGER_OPERATOR
LVQE_INLINE vint operator-(int a, vint b) {
    LVQE_EACH { b.lane[i] = a - b.lane[i]; }
    return b;
}

LVQE_INLINE vfloat choose(vint where, vfloat a, vfloat b) {
    LVQE_EACH { b.lane[i] = where.lane[i] != 0 ? a.lane[i] : b.lane[i]; }
    return b;
}

LVQE_INLINE vfloat to_float(vint a) {
    vfloat v;
    LVQE_EACH { v.lane[i] = float(a.lane[i]); }
    return v;
}
LVQE_INLINE vint to_int(vfloat a) {
    vint v;
    LVQE_EACH { v.lane[i] = int(a.lane[i]); }
    return v;
}
LVQE_INLINE vshort to_short(vfloat a) {
    vshort v;
    LVQE_EACH { v.lane[i] = int16_t(a.lane[i]); }
    return v;
}

#define LVQE_COPIED(type, from)                                                                                        \
    type v;                                                                                                            \
    LVQE_COPY(&v, from, sizeof v);                                                                                     \
    return v
LVQE_INLINE vfloat as_float(vint a) { LVQE_COPIED(vfloat, &a); }
LVQE_INLINE vint as_int(vfloat a) { LVQE_COPIED(vint, &a); }
LVQE_INLINE vfloat load(const float * p) { LVQE_COPIED(vfloat, p); }
LVQE_INLINE vint load_int(const int16_t * p) { LVQE_COPIED(vint, p); } // pairs of 16-bit integers
#undef LVQE_COPIED
LVQE_INLINE void store(float * p, vfloat v) { LVQE_COPY(p, &v, sizeof v); }
LVQE_INLINE void store_short(int16_t * p, vshort v) { LVQE_COPY(p, &v, sizeof v); }

// Lanes [first, last) of a vector whose lane 0 is at p; memory under the others is neither read nor written. Lanes that
// are not read are zero.
LVQE_INLINE void store_lanes(float * p, vfloat v, int first, int last) {
    for (int i = first; i < last; ++i) {
        p[i] = v.lane[i];
    }
}
LVQE_INLINE vfloat load_lanes(const float * p, int first, int last) {
    vfloat v = splat(0.0f);
    for (int i = first; i < last; ++i) {
        v.lane[i] = p[i];
    }
    return v;
}

#undef LVQE_EACH
