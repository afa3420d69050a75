/* fuzz_safetensors.c - any bytes: read whole or refused. Of what is read, every byte of every tensor lies in the file,
 * the tensors cover the data, and each is found by its name. */
#include "fuzz.h"

#include "safetensors.h"

static volatile unsigned sink; /* so that the reads stay */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gt_safetensors *s = NULL;
    if (gt_safetensors_open_bytes(&s, data, size, "input") != GT_OK) {
        FUZZ_CHECK(s == NULL);
        return 0;
    }
    const uint8_t *end = NULL;
    unsigned sum = 0;
    for (size_t i = 0; i < gt_safetensors_count(s); i++) {
        const gt_safetensor *t = gt_safetensors_at(s, i);
        const uint8_t *p = t->data;
        FUZZ_CHECK(p >= data + 8 && p + t->bytes <= data + size);
        FUZZ_CHECK(end == NULL || p == end);
        FUZZ_CHECK(gt_safetensors_find(s, t->name) == t);
        for (size_t k = 0; k < t->bytes; k++) sum += p[k];
        for (int d = 0; d < t->rank; d++) sum += (unsigned)t->shape[d];
        end = p + t->bytes;
    }
    FUZZ_CHECK(end == NULL || end == data + size);
    for (size_t i = 0; i < gt_safetensors_metadata_count(s); i++) {
        const char *key;
        FUZZ_CHECK(gt_safetensors_metadata_at(s, i, &key) != NULL);
    }
    gt_safetensors_close(s);
    sink = sum;
    return 0;
}
