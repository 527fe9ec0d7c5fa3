// CUDA's words for a C++ compiler, so that kernels run on a machine without a GPU.
//
// The threads of a block are fibres that take turns at barriers: all reach one before any goes on,
// first upwards and then downwards, so that a result that depends on their order shows.

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#define __shared__ static thread_local

using std::isfinite;
using std::isnan;
using std::min;

struct Index {
    unsigned x, y;
};
struct int4 {
    int x, y, z, w;
};

static thread_local Index threadIdx, blockIdx, gridDim;

template <class T>
inline T __ldg(const T* at) {
    return *at;
}

inline float __int_as_float(int bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline int atomicAdd(int* at, int value) { return __atomic_fetch_add(at, value, __ATOMIC_RELAXED); }

struct Fibre {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[stack_bytes]};
    bool finished;

    static constexpr size_t stack_bytes = 1 << 17;
};

static thread_local ucontext_t scheduler;
static thread_local Fibre* running;
static thread_local void (*body)(const void* call);
static thread_local const void* argument;

inline void __syncthreads() {
    const Index own = threadIdx;
    swapcontext(&running->context, &scheduler);
    threadIdx = own;
}

static void run_body() {
    body(argument);
    running->finished = true;
    swapcontext(&running->context, &scheduler);
}

// One block; false if some of its threads wait at a barrier that others never reach.
static bool run_block(std::vector<Fibre>& fibres) {
    for (Fibre& fibre : fibres) {
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack.get();
        fibre.context.uc_stack.ss_size = Fibre::stack_bytes;
        fibre.finished = false;
        makecontext(&fibre.context, run_body, 0);
    }
    for (bool upwards = true;; upwards = !upwards) {
        for (size_t i = 0; i < fibres.size(); ++i) {
            threadIdx.x = upwards ? i : fibres.size() - 1 - i;
            running = &fibres[threadIdx.x];
            swapcontext(&scheduler, &running->context);
        }
        const auto done = [](const Fibre& fibre) { return fibre.finished; };
        const size_t finished = std::count_if(fibres.begin(), fibres.end(), done);
        if (finished == fibres.size()) return true;
        if (finished > 0) return false;
    }
}

static bool run_grid(void (*kernel)(const void*), const void* call, Index grid, unsigned threads) {
    std::vector<Fibre> fibres(threads);
    body = kernel;
    argument = call;
    gridDim = grid;
    for (unsigned y = 0; y < grid.y; ++y)
        for (unsigned x = 0; x < grid.x; ++x) {
            blockIdx = {x, y};
            if (!run_block(fibres)) return false;
        }
    return true;
}

// A function for ctypes that launches a kernel whose only parameter is a `Call` of that size.
#define LAUNCHER(kernel)                                                                       \
    extern "C" int launch_##kernel(                                                            \
        unsigned x, unsigned y, unsigned threads, const void* call, size_t bytes) {            \
        if (bytes != sizeof(Call)) return 1;                                                   \
        const auto run = [](const void* from) { kernel(*static_cast<const Call*>(from)); };    \
        return run_grid(run, call, {x, y}, threads) ? 0 : 2;                                   \
    }
