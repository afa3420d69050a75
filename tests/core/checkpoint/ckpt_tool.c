/* ckpt_tool.c - one save or one look at a checkpoint, for scripts that break the system under it.
 *   ckpt_tool start DIR STEP         nothing but the start of the program
 *   ckpt_tool save|alone DIR STEP    saves; after a failure once more: 0 saved, 3 saved at the second try, 4 neither
 *   ckpt_tool check DIR LOW HIGH     the newest must be whole, of a step in that range and hold the right bits */
#include "ckpt_case.h"

#include "log.h"

#include <stdio.h>

static gt_comm *self;

static gt_status save(const char *dir, int64_t step, bool alone)
{
    ckpt_case k;
    case_make(&k, step, 1);
    gt_ckpt_policy p = case_policy(dir, 2);
    gt_status st;
    if (alone) {
        case_finish(&k, 0);
        case_finish(&k, 3);
        st = gt_ckpt_save_alone(0, dir, &k.s, &k.part);
    } else
        st = gt_ckpt_save(self, &p, &k.s, NULL, NULL);
    case_free(&k);
    return st;
}

static int check(const char *dir, int64_t low, int64_t high)
{
    gt_ckpt *c = NULL;
    if (gt_ckpt_find(&c, dir) != GT_OK || !c) {
        fprintf(stderr, "nothing to resume from: %s\n", c ? "" : gt_error_last()->message);
        return 1;
    }
    const int64_t step = gt_ckpt_state(c)->step;
    ckpt_case want, got;
    uint8_t skip[CASE_MICRO];
    case_make(&want, step, 1);
    gt_status st = case_read(&got, c, step, 1);
    if (st == GT_OK) st = gt_ckpt_load_window(self, c, &got.part, skip);
    if (st != GT_OK) {
        fprintf(stderr, "%s\n", gt_error_last()->message);
        return 1;
    }
    case_check_sums(&got, &got.part);
    const bool same = memcmp(want.memory, got.memory, 3 * want.n * sizeof(float)) == 0;
    printf("step %lld\n", (long long)step);
    case_free(&want);
    case_free(&got);
    gt_ckpt_close(c);
    return same && step >= low && step <= high ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc < 4 || gt_comm_create_self(&self) != GT_OK) return 2;
    gt_log_init(-1);
    int answer = 0;
    if (strcmp(argv[1], "check") == 0)
        answer = check(argv[2], atoll(argv[3]), argc > 4 ? atoll(argv[4]) : INT64_MAX);
    else if (strcmp(argv[1], "start") != 0) {
        const bool alone = strcmp(argv[1], "alone") == 0;
        if (save(argv[2], atoll(argv[3]), alone) != GT_OK) {
            fprintf(stderr, "first try: %s\n", gt_error_last()->message);
            answer = save(argv[2], atoll(argv[3]), alone) == GT_OK ? 3 : 4;
        }
    }
    gt_comm_destroy(self);
    return answer;
}
