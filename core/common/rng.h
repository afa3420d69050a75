/* rng.h - counter-based random numbers: a value is a pure function of (key, stream, index). Nothing has a state, so
 * nothing need be saved, and neither the order of use nor the number of threads or ranks can change a value. */
#ifndef GT_RNG_H
#define GT_RNG_H

#include <math.h>
#include <stdint.h>

/* splitmix64's finalizer (Steele, Lea and Flood 2014): a bijection of 64 bits with full avalanche. */
static inline uint64_t gt_mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* A new key from a key and a number: keys form paths, as in key(seed) / epoch / sample / layer. */
static inline uint64_t gt_rng_key(uint64_t key, uint64_t part)
{
    return gt_mix64(key + 0x9e3779b97f4a7c15ull * (part + 1));
}

static inline uint64_t gt_rng_u64(uint64_t key, uint64_t index)
{
    return gt_rng_key(key, index);
}

/* Uniform in [0, 1): 53 bits, and the same for float: 24 bits. */
static inline double gt_rng_uniform(uint64_t key, uint64_t index)
{
    return (double)(gt_rng_u64(key, index) >> 11) * 0x1p-53;
}

/* Uniform integer in [0, n), n > 0, by multiply-high: bias below n / 2^64. */
static inline uint64_t gt_rng_below(uint64_t key, uint64_t index, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)gt_rng_u64(key, index) * n) >> 64);
}

/* Standard normal by Box-Muller; index i uses two counters. */
static inline double gt_rng_normal(uint64_t key, uint64_t index)
{
    double u = 1.0 - gt_rng_uniform(key, 2 * index), v = gt_rng_uniform(key, 2 * index + 1);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

#endif
