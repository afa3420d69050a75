/* fuzz_manifest.c - any bytes as a checkpoint's manifest: parsed or refused. A seal over random text never fits, so the
 * target seals what it is given; what parses keeps the reader's promises. */
#include "fuzz.h"

#include "ckpt_manifest.h"
#include "fs.h"
#include "hash.h"

#include <string.h>

static void seal(char *text, size_t size)
{
    static const char key[] = "\"self\": \"";
    char *at = memmem(text, size, key, sizeof key - 1);
    if (!at || (size_t)(text + size - at) < sizeof key - 1 + 64) return;
    at += sizeof key - 1;
    memset(at, '0', 64);
    gt_sha256 h;
    uint8_t digest[32];
    char hex[65];
    gt_sha256_init(&h);
    gt_sha256_add(&h, text, size);
    gt_sha256_end(&h, digest);
    gt_hex(hex, digest);
    memcpy(at, hex, 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    seal(text, size);
    gt_manifest m;
    if (gt_manifest_parse(&m, text, size, "input") == GT_OK) {
        FUZZ_CHECK(strlen(m.id) == 64 && m.state.step >= 0 && m.state.world_size >= 1);
        FUZZ_CHECK(m.elements == gt_ckpt_elements(&m.state) && m.elements != SIZE_MAX);
        FUZZ_CHECK(m.state.recipe[0] == '{' && m.state.recipe[strlen(m.state.recipe) - 1] == '}');
        if (m.state_file >= 0) FUZZ_CHECK(m.file[m.state_file].bytes >= 12 * m.elements);
        for (int i = 0; i < m.file_count; i++)
            FUZZ_CHECK(gt_fs_safe_name(m.file[i].name) && strlen(m.file[i].sha256) == 64);
        for (int i = 0; i < m.part_count; i++) {
            FUZZ_CHECK(m.part[i].file >= 0 && m.part[i].file < m.file_count && m.part[i].file != m.state_file);
            FUZZ_CHECK(m.part[i].count <= m.part[i].micro_batches);
        }
        gt_manifest_free(&m);
    }
    free(text);
    return 0;
}
