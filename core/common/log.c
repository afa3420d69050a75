#include "log.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error"};
static int my_rank = -1;
static int default_level = GT_INFO;
static struct {
    char name[24];
    int level;
} rules[16];
static int rule_count;

static int level_of(const char *text, size_t n)
{
    for (int i = 0; i < 5; i++)
        if (strlen(level_names[i]) == n && strncmp(level_names[i], text, n) == 0) return i;
    return -1;
}

void gt_log_init(int rank)
{
    my_rank = rank;
    default_level = GT_INFO;
    rule_count = 0;
    const char *p = getenv("GT_LOG");
    while (p && *p) {
        size_t n = strcspn(p, ",");
        const char *colon = memchr(p, ':', n);
        size_t key = colon ? (size_t)(colon - p) : 0;
        int level = colon ? level_of(colon + 1, n - key - 1) : level_of(p, n);
        if (level < 0)
            fprintf(stderr, "gemtune: GT_LOG: '%.*s' is no LEVEL or SUBSYSTEM:LEVEL; ignored\n", (int)n, p);
        else if (!colon)
            default_level = level;
        else if (key < sizeof rules[0].name && rule_count < (int)(sizeof rules / sizeof *rules)) {
            memcpy(rules[rule_count].name, p, key);
            rules[rule_count].name[key] = 0;
            rules[rule_count++].level = level;
        }
        p += n;
        if (*p) p++;
    }
}

int gt_log_on(gt_log_level level, const char *subsystem)
{
    if (my_rank > 0 && level < GT_WARN) return 0;
    for (int i = 0; i < rule_count; i++)
        if (strcmp(rules[i].name, subsystem) == 0) return (int)level >= rules[i].level;
    return (int)level >= default_level;
}

void gt_log(gt_log_level level, const char *subsystem, const char *fmt, ...)
{
    if (!gt_log_on(level, subsystem)) return;
    char line[2048];
    int n = 0;
    if (my_rank > 0) n = snprintf(line, sizeof line, "[rank %d] ", my_rank);
    if (level != GT_INFO) n += snprintf(line + n, sizeof line - (size_t)n, "%s: ", level_names[level]);
    va_list ap;
    va_start(ap, fmt);
    int k = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    if (k < 0) return;
    n += k;
    if (n > (int)sizeof line - 2) n = (int)sizeof line - 2;
    gt_tame_text(line, (size_t)n);
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, (size_t)n) < 0) return; /* nowhere left to complain */
}
