// CUDA's words for a C++ compiler, so that kernels run on a machine without a GPU.
//
// Blocks run one after the other. The threads of a block are fibres that take turns at barriers: all
// reach one before any goes on, first upwards and then downwards, and shared memory holds rubbish
// at first, so that a result that depends on either shows.

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#define __shared__ static __attribute__((section("shared_memory")))

#undef isnan
#undef isfinite

struct Index {
    unsigned x, y;
};
struct int4 {
    int x, y, z, w;
};

static Index threadIdx, blockIdx, gridDim;

template <class T>
inline T __ldg(const T* at) {
    return *at;
}

template <class T>
inline T min(T a, T b) {
    return b < a ? b : a;
}

template <class T>
inline bool isnan(T value) {
    return __builtin_isnan(value);
}

template <class T>
inline bool isfinite(T value) {
    return __builtin_isfinite(value);
}

inline float __int_as_float(int bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

inline int atomicAdd(int* at, int value) { return __atomic_fetch_add(at, value, __ATOMIC_RELAXED); }

extern char __start_shared_memory[] __attribute__((visibility("hidden")));
extern char __stop_shared_memory[] __attribute__((visibility("hidden")));

struct Fibre {
    ucontext_t context;
    bool finished;
    alignas(64) char stack[1 << 17];
};

static ucontext_t scheduler;
static Fibre* running;
static void (*body)(const void* call);
static const void* argument;

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
static bool run_block(Fibre* fibres, unsigned threads) {
    memset(__start_shared_memory, 0xCD, __stop_shared_memory - __start_shared_memory);
    for (unsigned i = 0; i < threads; ++i) {
        getcontext(&fibres[i].context);
        fibres[i].context.uc_stack.ss_sp = fibres[i].stack;
        fibres[i].context.uc_stack.ss_size = sizeof fibres[i].stack;
        fibres[i].finished = false;
        makecontext(&fibres[i].context, run_body, 0);
    }
    for (bool upwards = true;; upwards = !upwards) {
        unsigned finished = 0;
        for (unsigned i = 0; i < threads; ++i) {
            threadIdx.x = upwards ? i : threads - 1 - i;
            running = fibres + threadIdx.x;
            swapcontext(&scheduler, &running->context);
            finished += running->finished;
        }
        if (finished > 0) return finished == threads;
    }
}

static bool run_grid(void (*kernel)(const void*), const void* call, Index grid, unsigned threads) {
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&one_at_a_time);
    Fibre* fibres = (Fibre*)aligned_alloc(alignof(Fibre), threads * sizeof(Fibre));
    bool right = true;
    body = kernel;
    argument = call;
    gridDim = grid;
    for (unsigned i = 0; i < grid.x * grid.y && right; ++i) {
        blockIdx = {i % grid.x, i / grid.x};
        right = run_block(fibres, threads);
    }
    free(fibres);
    pthread_mutex_unlock(&one_at_a_time);
    return right;
}

// A function for ctypes that launches a kernel whose only parameter is a `Call` of that size.
#define LAUNCHER(kernel)                                                                 \
    extern "C" int launch_##kernel(                                                      \
        unsigned x, unsigned y, unsigned threads, const void* call, size_t bytes) {      \
        if (bytes != sizeof(Call)) return 1;                                             \
        const auto run = [](const void* from) { kernel(*(const Call*)from); };           \
        return run_grid(run, call, {x, y}, threads) ? 0 : 2;                             \
    }
