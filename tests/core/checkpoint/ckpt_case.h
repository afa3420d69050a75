/* ckpt_case.h - a small training state with its window, for the tests of checkpoints. */
#ifndef GT_CKPT_CASE_H
#define GT_CKPT_CASE_H

#include "testing.h"

#include "ckpt.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

enum { CASE_TENSORS = 6, CASE_NUMBERS = 3, CASE_MICRO = 8 };
#define CASE_DIGEST(c) c c c c c c c c c c c c c c c c /* 4 hex digits, 16 times */

typedef struct {
    gt_train_state s;
    gt_ckpt_tensor tensor[CASE_TENSORS];
    float *memory; /* values, then both moments */
    size_t n;
    gt_ckpt_part part;
    uint8_t finished[CASE_MICRO];
} ckpt_case;

/* The window's exact gradient of one micro-batch: what any rank of any life computes for it. */
static inline int64_t case_gradient(int64_t step, int micro, size_t i)
{
    return (int64_t)(gt_rng_u64((uint64_t)step * 131 + (uint64_t)micro, i) >> 4) - ((int64_t)1 << 58);
}

static inline void case_make(ckpt_case *k, int64_t step, int scale)
{
    static const char *const names[CASE_TENSORS] = {
        "l0.q_proj.lora_A", "l0.q_proj.lora_B", "l0.k_proj.lora_A", "l0.k_proj.lora_B", "one", "wide"};
    const int64_t shapes[CASE_TENSORS][4] = {{4, 24}, {16, 4}, {4, 24}, {8, 4}, {1}, {2, 3, 5, 7}};
    const int dims[CASE_TENSORS] = {2, 2, 2, 2, 1, 4};
    memset(k, 0, sizeof *k);
    for (int t = 0; t < CASE_TENSORS; t++) {
        k->tensor[t].name = names[t];
        k->tensor[t].dims = dims[t];
        memcpy(k->tensor[t].shape, shapes[t], sizeof shapes[t]);
        k->tensor[t].shape[0] *= t == CASE_TENSORS - 1 ? scale : 1;
        k->n += gt_ckpt_tensor_elements(&k->tensor[t]);
    }
    k->memory = calloc(3 * k->n, sizeof *k->memory);
    fill_random(k->memory, 3 * k->n, (uint64_t)step + 17);
    k->memory[0] = -0.0f; /* bits that a detour would lose */
    k->memory[1] = 1e-42f;
    size_t at = 0;
    for (int t = 0; t < CASE_TENSORS; t++) {
        k->tensor[t].value = k->memory + at;
        k->tensor[t].m = k->memory + k->n + at;
        k->tensor[t].v = k->memory + 2 * k->n + at;
        at += gt_ckpt_tensor_elements(&k->tensor[t]);
    }
    k->s =
        (gt_train_state){.tensor = k->tensor,
                         .tensor_count = CASE_TENSORS,
                         .step = step,
                         .epoch = 2,
                         .window = 5,
                         .rows_seen = 100,
                         .tokens_seen = 12345678901,
                         .supervised_seen = 999,
                         .seed = 0xfedcba9876543210u,
                         .world_size = 3,
                         .best_eval_loss = 1.2345678901234567,
                         .best_eval_step = 7,
                         .recipe = "{\"lora_r\": 16, \"name\": \"a } \\\" b \xea\xb0\x80\", \"x\": {\"y\": [1, {}]}}",
                         .metrics = "{\"loss_sum\": 0.1}",
                         .extra = "{}",
                         .dataset = CASE_DIGEST("d00d"),
                         .base = CASE_DIGEST("ba5e"),
                         .tokenizer = "",
                         .numerics = "cpu avx512_core_bf16 bfloat16",
                         .tool = "gemtune 0.1.0"};
    k->part = (gt_ckpt_part){.sum = calloc(k->n + CASE_NUMBERS, sizeof(int64_t)),
                             .n = k->n,
                             .numbers = CASE_NUMBERS,
                             .names = "loss,supervised,bad",
                             .shift = 43,
                             .finished = k->finished,
                             .micro_batches = CASE_MICRO,
                             .plan = CASE_DIGEST("91a0")};
}

static inline void case_free(ckpt_case *k)
{
    free(k->memory);
    free(k->part.sum);
}

static inline void case_finish(ckpt_case *k, int micro)
{
    assert_int_equal(k->finished[micro], 0);
    k->finished[micro] = 1;
    for (size_t i = 0; i < k->n + CASE_NUMBERS; i++) k->part.sum[i] += case_gradient(k->s.step, micro, i) / 64;
}

/* The sums must be exactly those of the micro-batches in `finished`. */
static inline void case_check_sums(const ckpt_case *k, const gt_ckpt_part *p)
{
    for (size_t i = 0; i < k->n + CASE_NUMBERS; i++) {
        int64_t want = 0;
        for (int m = 0; m < CASE_MICRO; m++)
            if (p->finished[m]) want += case_gradient(k->s.step, m, i) / 64;
        if (p->sum[i] != want) fail_msg("sum %zu is %lld, expected %lld", i, (long long)p->sum[i], (long long)want);
    }
}

/* Reads a checkpoint into a fresh case of the same shapes. */
static inline gt_status case_read(ckpt_case *into, const gt_ckpt *k, int64_t step, int scale)
{
    case_make(into, step, scale);
    memset(into->memory, 0x55, 3 * into->n * sizeof *into->memory);
    return gt_ckpt_read(k, into->tensor, CASE_TENSORS);
}

static inline gt_ckpt_policy case_policy(const char *dir, int keep)
{
    return (gt_ckpt_policy){.out_dir = dir, .keep = keep, .resumed = NULL, .best_step = -1};
}

#endif
