/* ckpt_manifest_write.c - the manifest's text, byte for byte the same for the same state: it is hashed with itself (64
 * zeros stand for its digest while that is taken), and the caller's JSON goes in as it is. Hence no printer of JSON:
 * one may write a number otherwise, and 64-bit integers it may not hold at all. */
#include "ckpt_manifest.h"

#include "hash.h"

#include <math.h>
#include <string.h>

void gt_manifest_file_line(gt_text *t, const char *name, uint64_t bytes, const char *sha256)
{
    gt_text_addf(t, "%s  {\"name\": \"%s\", \"bytes\": %llu, \"sha256\": \"%s\"}", t->size ? ",\n" : "", name,
                 (unsigned long long)bytes, sha256);
}

void gt_manifest_part_line(gt_text *t, const char *file, int rank, const gt_ckpt_part *p)
{
    gt_text_addf(t, "%s  {\"file\": \"%s\", \"rank\": %d, \"shift\": %d, \"numbers\": %d, \"names\": ",
                 t->size ? ",\n" : "", file, rank, p->shift, p->numbers);
    gt_text_add_json_string(t, p->names, strlen(p->names));
    gt_text_addf(t, ", \"plan\": \"%s\", \"micro_batches\": %lld, \"finished\": [", p->plan,
                 (long long)p->micro_batches);
    const char *comma = "";
    for (int64_t i = 0; i < p->micro_batches; i++) {
        if (!p->finished[i]) continue;
        gt_text_addf(t, "%s%lld", comma, (long long)i);
        comma = ", ";
    }
    gt_text_addf(t, "]}");
}

static void add_string(gt_text *t, const char *key, const char *value)
{
    gt_text_addf(t, "  \"%s\": ", key);
    gt_text_add_json_string(t, value, strlen(value));
    gt_text_addf(t, ",\n");
}

void gt_manifest_state(gt_text *t, const gt_train_state *s, const char *id)
{
    gt_text_addf(t, "{\n  \"id\": \"%s\",\n", id);
    gt_text_addf(t, "  \"step\": %lld,\n  \"epoch\": %lld,\n  \"window\": %lld,\n", (long long)s->step,
                 (long long)s->epoch, (long long)s->window);
    gt_text_addf(t, "  \"rows_seen\": %lld,\n  \"tokens_seen\": %lld,\n  \"supervised_seen\": %lld,\n",
                 (long long)s->rows_seen, (long long)s->tokens_seen, (long long)s->supervised_seen);
    /* A string: readers of JSON keep 53 bits of a number. */
    gt_text_addf(t, "  \"seed\": \"%llu\",\n  \"world_size\": %d,\n", (unsigned long long)s->seed, s->world_size);
    const bool best = s->best_eval_step >= 0 && isfinite(s->best_eval_loss);
    gt_text_addf(t, "  \"best_eval_step\": %lld,\n", best ? (long long)s->best_eval_step : -1ll);
    if (best)
        gt_text_addf(t, "  \"best_eval_loss\": %.17g,\n", s->best_eval_loss);
    else
        gt_text_addf(t, "  \"best_eval_loss\": null,\n");
    add_string(t, "dataset", s->dataset);
    add_string(t, "base", s->base);
    add_string(t, "tokenizer", s->tokenizer);
    add_string(t, "numerics", s->numerics);
    add_string(t, "tool", s->tool);
    gt_text_addf(t, "  \"recipe\": ");
    gt_text_add(t, s->recipe, strlen(s->recipe));
    gt_text_addf(t, ",\n  \"metrics\": ");
    gt_text_add(t, s->metrics, strlen(s->metrics));
    gt_text_addf(t, ",\n  \"extra\": ");
    gt_text_add(t, s->extra, strlen(s->extra));
    gt_text_addf(t, "\n }");
}

static void add_tensors(gt_text *t, const gt_train_state *s)
{
    for (int i = 0; i < s->tensor_count; i++) {
        gt_text_addf(t, "%s\n  {\"name\": \"%s\", \"shape\": [", i ? "," : "", s->tensor[i].name);
        for (int d = 0; d < s->tensor[i].dims; d++)
            gt_text_addf(t, "%s%lld", d ? ", " : "", (long long)s->tensor[i].shape[d]);
        gt_text_addf(t, "]}");
    }
}

gt_status gt_manifest_compose(gt_text *out, const gt_train_state *s, const char *id, const char *part_lines,
                              const char *file_lines)
{
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    gt_text t = {0};
    gt_text_addf(&t, "{\n \"format\": \"gemtune checkpoint\",\n \"version\": %d,\n \"self\": \"",
                 (int)GT_MANIFEST_VERSION);
    const size_t at = t.size;
    gt_text_addf(&t, "%s\",\n \"state\": ", zeros);
    gt_manifest_state(&t, s, id);
    gt_text_addf(&t, ",\n \"tensors\": [");
    add_tensors(&t, s);
    gt_text_addf(&t, "\n ],\n \"parts\": [\n%s\n ],\n \"files\": [\n", part_lines);
    gt_text_add(&t, file_lines, strlen(file_lines));
    gt_text_addf(&t, "\n ]\n}\n");
    if (t.failed) {
        gt_text_free(&t);
        return GT_FAIL(GT_ERR_NOMEM, "no memory for a manifest");
    }
    gt_sha256 h;
    uint8_t digest[32];
    char hex[65];
    gt_sha256_init(&h);
    gt_sha256_add(&h, t.data, t.size);
    gt_sha256_end(&h, digest);
    gt_hex(hex, digest);
    memcpy(t.data + at, hex, 64);
    /* What a reader would refuse is never written: this also finds a caller's text that is no JSON object. */
    gt_manifest check;
    gt_status st = gt_manifest_parse(&check, t.data, t.size, "the manifest to be written");
    if (st != GT_OK) {
        gt_text_free(&t);
        return GT_FAIL(GT_ERR_ARG, "%.900s", gt_error_last()->message);
    }
    gt_manifest_free(&check);
    *out = t;
    return GT_OK;
}
