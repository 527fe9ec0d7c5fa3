// Spectral operators on blocks of pixels: what `maths/cuda.py` launches.
//
// One pass (`sweep` or `strip`, by memory order) reads every sample once and writes all outputs; a
// second one (`refit`) fits the windows of pixels that miss some samples. Missing samples become
// NaN as they are read, so that every sum over a window that holds one is NaN.
//
// Macros, all given by `maths/launch.py`:
//   SAMPLE, WORK, RESULT   types of stored samples, of sums and of outputs, in NumPy's short words
//   SWAPPED                whether the bytes of samples are in the other order
//   FLOATING, HAS_NODATA   whether NaN and infinities are missing, and whether one value is
//   OPERATORS, WINDOW      outputs of a step; adjacent bands of a step that is not listed
//   PIXELS, GROUP, SPAN    pixels of a thread of `sweep`; pixels and bands of a tile of `strip`
//   LONGEST, DERIVATIVES   most samples of a window and orders of derivatives in `refit`
//   SWEEP_THREADS, STRIP_THREADS, REFIT_THREADS   threads of a block

typedef signed char i1;
typedef unsigned char u1;
typedef short i2;
typedef unsigned short u2;
typedef int i4;
typedef unsigned int u4;
typedef long long i8;
typedef unsigned long long u8;
typedef float f4;
typedef double f8;
struct f2 {
    u2 bits;
};

struct Layout {  // samples from one band, row or column to the next
    i8 band, row, column;
};

const i4 LISTED = 1 << 30;

struct __align__(16) Step {  // a set of samples, and what operators make of it
    i4 last;                 // band with which a window of adjacent bands is complete
    i4 start;                // of its coefficients, as in Weights: one less than samples for each
    i4 output;               // band of the outputs
    i4 flags;                // a bit for each operator with this output; LISTED
    i4 list, count;          // bands of the samples
    i4 middle, first;        // the band in the middle of the list, and the first
};

struct Chunk {        // what a block of threads carries out
    i4 start, stop;   // of the steps
    i4 low, high;     // first band that they read, and the one after the last
    i4 counted;       // first band whose gaps it counts: those before are counted by others
};

struct Fit {           // how the window of an output is fitted where samples are missing
    f8 limit;          // greatest noise gain
    i4 of, output;     // operator and band of its output
    i4 band;           // that it stands for
    i4 degree, deriv;  // of the polynomial
    i4 fewest;         // samples
    i4 fills;          // whether the band's own sample may be missing
    i4 residual;       // whether the output is the sample minus the smoothed value
    i4 start, count;   // of its samples
};

struct Call {
    const SAMPLE* block;
    RESULT* outs[OPERATORS];
    Layout from, to[OPERATORS];
    const Step* steps;
    const i4* bands;
    const WORK* weights;
    const Chunk* chunks;
    i4* gaps;             // of every pixel, 0 at first; null where no window is fitted anew
    const u1* counted;    // (bands) whether a gap counts
    const Fit* fits;
    const i4* fitted;     // bands of the samples of fits, -1 for zeros beyond the end
    const f8* positions;  // where they lie, from the output's own place
    const f8 *scales, *offsets;  // (operators, bands) physical values are scale * stored + offset
    i8 rows, columns;
    u4 parts;             // of a row, each for one block of threads
    i4 counted_bands, inputs;
    i4 windows;           // to be fitted in a pixel
    i4 along_pixels;      // whether neighbouring threads take neighbouring pixels
    SAMPLE nodata;
};

template <class T>
__device__ __forceinline__ T in_order(T value) {
#if SWAPPED
    T swapped;
    const u1* from = (const u1*)&value;
    u1* to = (u1*)&swapped;
#pragma unroll
    for (int i = 0; i < (int)sizeof(T); ++i) to[i] = from[sizeof(T) - 1 - i];
    return swapped;
#else
    return value;
#endif
}

template <class T>
__device__ __forceinline__ T fetched(const T* at) {
    return in_order(__ldg(at));
}

__device__ __forceinline__ f2 fetched(const f2* at) {
    return f2{in_order(__ldg(&at->bits))};
}

template <class T>
__device__ __forceinline__ T number(T value) {
    return value;
}

__device__ __forceinline__ f4 number(f2 half) {
    if ((half.bits & 0x7c00) == 0x7c00) return (f4)nan("");  // infinite or NaN: missing either way
    const f4 size = __int_as_float((half.bits & 0x7fff) << 13) * 5.192296858534828e33f;  // 2^112
    return half.bits & 0x8000 ? -size : size;
}

// The sample as a number; NaN where it is missing.
template <class T>
__device__ __forceinline__ T sample(const Call& call, const SAMPLE* at) {
    const SAMPLE stored = fetched(at);
    const T value = (T)number(stored);
    bool missing = false;
#if FLOATING
    missing = !isfinite(number(stored));
#endif
#if HAS_NODATA
    missing |= number(stored) == number(call.nodata);
#endif
    return missing ? (T)nan("") : value;
}

// What all operators make of one window of adjacent bands. The coefficients are those of the
// differences from each sample to the next, so that a large level of all costs no digits.
struct __align__(16) Weights {
    WORK of[WINDOW - 1][OPERATORS], level[OPERATORS], bias[OPERATORS];

    __device__ __forceinline__ void load(const WORK* from) {
#pragma unroll
        for (int i = 0; i < (int)(sizeof(Weights) / sizeof(int4)); ++i)
            ((int4*)this)[i] = __ldg((const int4*)from + i);
    }

    __device__ __forceinline__ void apply(
        const WORK* differences, WORK middle, WORK* values) const {
        WORK sums[OPERATORS];
#pragma unroll
        for (int k = 0; k < OPERATORS; ++k) sums[k] = bias[k];
#pragma unroll
        for (int j = 0; j < WINDOW - 1; ++j)
#pragma unroll
            for (int k = 0; k < OPERATORS; ++k) sums[k] += of[j][k] * differences[j];
#pragma unroll
        for (int k = 0; k < OPERATORS; ++k) values[k] = level[k] * middle + sums[k];
    }
};

// The same for any set of samples, one by one; without samples there is no value.
template <class Samples>
__device__ __forceinline__ void apply_listed(
    const Call& call, const Step* step, const Samples& samples, WORK* values) {
    const i4 count = __ldg(&step->count);
    const i4* bands = call.bands + __ldg(&step->list);
    const WORK* weights = call.weights + __ldg(&step->start);
    WORK sums[OPERATORS] = {}, before = samples(__ldg(&step->first));
#pragma unroll 1
    for (int j = 1; j < count; ++j) {
        const WORK sample = samples(__ldg(bands + j));
#pragma unroll
        for (int k = 0; k < OPERATORS; ++k) sums[k] += __ldg(weights++) * (sample - before);
        before = sample;
    }
    const WORK middle = samples(__ldg(&step->middle));
#pragma unroll
    for (int k = 0; k < OPERATORS; ++k) {
        const WORK value = __ldg(weights + k) * middle + (sums[k] + __ldg(weights + OPERATORS + k));
        values[k] = count == 0 ? (WORK)nan("") : value;
    }
}

struct Stored {  // the samples of a pixel in memory
    const Call& call;
    const SAMPLE* pixel;
    __device__ __forceinline__ WORK operator()(i4 band) const {
        return sample<WORK>(call, pixel + band * call.from.band);
    }
};

// Whether this chunk is to count the gaps of a band.
__device__ __forceinline__ bool counts(const Call& call, const Chunk& chunk, i4 band) {
    return call.gaps && band >= chunk.counted && __ldg(call.counted + band);
}

struct Staged {  // the samples of a pixel in a tile
    const WORK* bands;
    i4 low;
    __device__ __forceinline__ WORK operator()(i4 band) const { return bands[band - low]; }
};

// Neighbouring pixels lie side by side: a thread moves a window along the bands of its pixels,
// which are SWEEP_THREADS columns apart. Columns follow one another in memory where TIGHT.
template <bool TIGHT>
__device__ __forceinline__ void sweep_columns(const Call& call) {
    const Chunk chunk = call.chunks[blockIdx.y];
    const u4 row = blockIdx.x / call.parts;
    const i8 column = (i8)(blockIdx.x % call.parts) * (SWEEP_THREADS * PIXELS) + threadIdx.x;
    const i8 apart = SWEEP_THREADS * (TIGHT ? 1 : call.from.column);
    const SAMPLE* source =
        call.block + row * call.from.row + column * (TIGHT ? 1 : call.from.column);
    const SAMPLE* coming = source + chunk.low * call.from.band;
    RESULT* targets[OPERATORS];
    WORK differences[PIXELS][WINDOW - 1] = {};
    WORK recent[PIXELS][WINDOW - WINDOW / 2] = {};  // samples from the middle of the window on
    WORK next[PIXELS] = {};
    bool inside[PIXELS];
    i4 gaps[PIXELS] = {};
#pragma unroll
    for (int p = 0; p < PIXELS; ++p) {
        inside[p] = column + p * SWEEP_THREADS < call.columns;
        if (inside[p]) next[p] = sample<WORK>(call, coming + p * apart);
    }
#pragma unroll
    for (int k = 0; k < OPERATORS; ++k)
        targets[k] = call.outs[k] + row * call.to[k].row +
                     column * (TIGHT ? 1 : call.to[k].column);
    i4 step = chunk.start;
    for (i4 band = chunk.low; band < chunk.high; ++band) {
#pragma unroll
        for (int p = 0; p < PIXELS; ++p) {
            const int newest = WINDOW - WINDOW / 2 - 1;
#pragma unroll
            for (int j = 1; j < WINDOW - 1; ++j) differences[p][j - 1] = differences[p][j];
            differences[p][WINDOW - 2] = next[p] - recent[p][newest];
#pragma unroll
            for (int j = 1; j <= newest; ++j) recent[p][j - 1] = recent[p][j];
            recent[p][newest] = next[p];
        }
        if (call.gaps) {
#pragma unroll
            for (int p = 0; p < PIXELS; ++p)
                if (isnan(next[p]) && counts(call, chunk, band)) ++gaps[p];
        }
        if (band + 1 < chunk.high) {  // on its way while the windows are summed up
            coming += call.from.band;
#pragma unroll
            for (int p = 0; p < PIXELS; ++p)
                if (inside[p]) next[p] = sample<WORK>(call, coming + p * apart);
        }
        for (; step < chunk.stop; ++step) {
            const int4 head = __ldg((const int4*)(call.steps + step));  // last to flags
            if (head.x > band) break;
            WORK values[PIXELS][OPERATORS];
            if (head.w & LISTED) {
#pragma unroll
                for (int p = 0; p < PIXELS; ++p)
                    if (inside[p])
                        apply_listed(
                            call, call.steps + step, Stored{call, source + p * apart}, values[p]);
            } else {
                Weights weights;
                weights.load(call.weights + head.y);
#pragma unroll
                for (int p = 0; p < PIXELS; ++p)
                    weights.apply(differences[p], recent[p][0], values[p]);
            }
#pragma unroll
            for (int k = 0; k < OPERATORS; ++k) {
                RESULT* target = targets[k] + head.z * call.to[k].band;
                const i8 between = SWEEP_THREADS * (TIGHT ? 1 : call.to[k].column);
#pragma unroll
                for (int p = 0; p < PIXELS; ++p)
                    if (inside[p] && (head.w >> k & 1))
                        target[p * between] = (RESULT)values[p][k];
            }
        }
    }
#pragma unroll
    for (int p = 0; p < PIXELS; ++p)
        if (inside[p] && gaps[p] > 0)
            atomicAdd(call.gaps + row * call.columns + column + p * SWEEP_THREADS, gaps[p]);
}

extern "C" __global__ void __launch_bounds__(SWEEP_THREADS) sweep(const Call call) {
    sweep_columns<true>(call);
}

extern "C" __global__ void __launch_bounds__(SWEEP_THREADS) sweep_apart(const Call call) {
    sweep_columns<false>(call);
}

// Neighbouring bands lie side by side: a block brings the bands of a few pixels at a time into a
// tile, and each thread carries out one step, whose weights it keeps, on all of them.
extern "C" __global__ void __launch_bounds__(STRIP_THREADS) strip(const Call call) {
    __shared__ WORK tile[GROUP][SPAN];
    __shared__ i4 gaps[GROUP];
    const Chunk chunk = call.chunks[blockIdx.y];
    const bool busy = chunk.start + (i4)threadIdx.x < chunk.stop;
    const Step* step = call.steps + (busy ? chunk.start + (i4)threadIdx.x : chunk.start);
    const int4 head = __ldg((const int4*)step);  // last to flags
    const i4 flags = busy ? head.w : head.w & LISTED;
    const i4 place = __ldg(&step->first) - chunk.low;
    Weights weights;
    if (!(head.w & LISTED)) weights.load(call.weights + head.y);
    for (int g = threadIdx.x; g < GROUP; g += STRIP_THREADS) gaps[g] = 0;
    for (u4 part = blockIdx.x; part < call.rows * call.parts; part += gridDim.x) {
        const u4 row = part / call.parts;
        const i8 first = (i8)(part % call.parts) * GROUP;
        const i4 size = min(call.columns - first, (i8)GROUP);
        const SAMPLE* source = call.block + row * call.from.row + first * call.from.column;
        __syncthreads();  // the tile has been used, the gaps are 0
        for (i4 band = chunk.low + threadIdx.x; band < chunk.high; band += STRIP_THREADS) {
            WORK samples[GROUP];
            bool any = false;
#pragma unroll
            for (int g = 0; g < GROUP; ++g)
                if (g < size) samples[g] = sample<WORK>(call, source + g * call.from.column + band);
#pragma unroll
            for (int g = 0; g < GROUP; ++g)
                if (g < size) {
                    tile[g][band - chunk.low] = samples[g];
                    any |= isnan(samples[g]);
                }
            if (any && counts(call, chunk, band))
                for (int g = 0; g < size; ++g)
                    if (isnan(tile[g][band - chunk.low])) atomicAdd(gaps + g, 1);
        }
        __syncthreads();  // the tile is full
        RESULT* targets[OPERATORS];
#pragma unroll
        for (int k = 0; k < OPERATORS; ++k)
            targets[k] = call.outs[k] + row * call.to[k].row + first * call.to[k].column +
                         head.z * call.to[k].band;
        for (int g = 0; g < size; ++g) {
            WORK values[OPERATORS];
            if (head.w & LISTED) {
                apply_listed(call, step, Staged{tile[g], chunk.low}, values);
            } else {
                const WORK* window = tile[g] + place;
                WORK differences[WINDOW - 1];
#pragma unroll
                for (int j = 0; j < WINDOW - 1; ++j) differences[j] = window[j + 1] - window[j];
                weights.apply(differences, window[WINDOW / 2], values);
            }
#pragma unroll
            for (int k = 0; k < OPERATORS; ++k) {
                if (flags >> k & 1) *targets[k] = (RESULT)values[k];
                targets[k] += call.to[k].column;
            }
        }
        for (int g = threadIdx.x; g < GROUP; g += STRIP_THREADS) {
            if (gaps[g] > 0) atomicAdd(call.gaps + row * call.columns + first + g, gaps[g]);
            gaps[g] = 0;
        }
    }
}

// Weights of the polynomial fitted to samples at x, or of its derivative, at 0: by orthogonal
// polynomials, each made from the two before it (Forsythe 1957), with their derivatives at 0.
__device__ void fit_weights(const f8* x, int count, int degree, int deriv, f8* weights) {
    f8 now[LONGEST], before[LONGEST], at[DERIVATIVES] = {}, at_before[DERIVATIVES] = {};
    f8 norm_before = 1;
    for (int j = 0; j < count; ++j) {
        now[j] = 1;
        before[j] = weights[j] = 0;
    }
    at[0] = 1;
    for (int k = 0; k <= degree; ++k) {
        f8 norm = 0, mean = 0;
        for (int j = 0; j < count; ++j) {
            norm += now[j] * now[j];
            mean += x[j] * now[j] * now[j];
        }
        mean /= norm;
        const f8 ratio = k == 0 ? 0 : norm / norm_before;
        for (int j = 0; j < count; ++j) {
            weights[j] += now[j] * (at[deriv] / norm);
            const f8 next = (x[j] - mean) * now[j] - ratio * before[j];
            before[j] = now[j];
            now[j] = next;
        }
        for (int m = deriv; m >= 0; --m) {
            const f8 lower = m > 0 ? m * at[m - 1] : 0;
            const f8 next = lower - mean * at[m] - ratio * at_before[m];
            at_before[m] = at[m];
            at[m] = next;
        }
        norm_before = norm;
    }
}

// Noise gain over bands: weights of copies of one band add up first, zeros carry no noise.
__device__ f8 noise_gain(const f8* weights, const i4* bands, int count) {
    f8 square = 0;
    for (int j = 0; j < count; ++j) {
        f8 sum = 0;
        bool done = bands[j] < 0;
        for (int i = 0; i < j; ++i) done |= bands[i] == bands[j];
        for (int i = j; i < count; ++i) sum += bands[i] == bands[j] ? weights[i] : 0;
        if (!done) square += sum * sum;
    }
    return sqrt(square);
}

// Replace one output whose window misses samples, by a value or by NaN where none is given.
__device__ void fit_window(const Call& call, const Fit& fit, i8 pixel) {
    f8 x[LONGEST], y[LONGEST], weights[LONGEST];
    i4 bands[LONGEST];
    const i8 row = pixel / call.columns, column = pixel - row * call.columns;
    const Layout& to = call.to[fit.of];
    const SAMPLE* source = call.block + row * call.from.row + column * call.from.column;
    RESULT* target =
        call.outs[fit.of] + row * to.row + column * to.column + fit.output * to.band;
    const f8* scales = call.scales + (i8)fit.of * call.inputs;
    const f8* offsets = call.offsets + (i8)fit.of * call.inputs;
    int count = 0, real = 0;
    f8 reach = 0;
    for (int j = fit.start; j < fit.start + fit.count; ++j) {
        const i4 band = call.fitted[j];
        const f8 value = band < 0 ? 0 : sample<f8>(call, source + band * call.from.band);
        if (isnan(value)) continue;
        x[count] = call.positions[j];
        y[count] = band < 0 ? 0 : value * scales[band] + offsets[band];
        bands[count] = band;
        reach = fmax(reach, fabs(x[count]));
        real += band >= 0;
        ++count;
    }
    if (count == fit.count) return;
    const f8 own = sample<f8>(call, source + fit.band * call.from.band);
    f8 result = nan("");
    if (real > 0 && count >= fit.fewest && (fit.fills || !isnan(own))) {
        f8 value = 0, unit = 1;
        if (reach == 0) reach = 1;
        for (int j = 0; j < count; ++j) x[j] /= reach;
        fit_weights(x, count, fit.degree, fit.deriv, weights);
        for (int m = 0; m < fit.deriv; ++m) unit /= reach;
        for (int j = 0; j < count; ++j) value += (weights[j] *= unit) * y[j];
        if (fit.residual) value = own * scales[fit.band] + offsets[fit.band] - value;
        if (fit.deriv == 0 && !fit.residual) value -= offsets[fit.band];
        if (noise_gain(weights, bands, count) <= fit.limit) result = value / scales[fit.band];
    }
    *target = (RESULT)result;
}

// The pixels of a block that miss some samples, but not all: each thread takes windows of them.
extern "C" __global__ void __launch_bounds__(REFIT_THREADS) refit(const Call call) {
    __shared__ i4 flagged[REFIT_THREADS];
    __shared__ i4 count;
    const i8 first = (i8)blockIdx.x * REFIT_THREADS;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    if (first + threadIdx.x < call.rows * call.columns) {
        const i4 gaps = call.gaps[first + threadIdx.x];
        if (gaps > 0 && gaps < call.counted_bands) flagged[atomicAdd(&count, 1)] = threadIdx.x;
    }
    __syncthreads();
    for (i8 i = threadIdx.x; i < (i8)count * call.windows; i += REFIT_THREADS) {
        const i8 pixel = call.along_pixels ? i % count : i / call.windows;
        const i8 fit = call.along_pixels ? i / count : i % call.windows;
        fit_window(call, call.fits[fit], first + flagged[pixel]);
    }
}
