#include "args.h"

#include "recipe.h"
#include "spelling.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether an argument is this option, by name, letter, or "name=value" (then *value points behind the sign). */
static bool matches(const gt_option *o, const char *arg, const char **value)
{
    size_t n = strlen(o->name);
    *value = NULL;
    if (strcmp(arg, o->name) == 0 || (o->letter && strcmp(arg, o->letter) == 0)) return true;
    if (strncmp(arg, o->name, n) != 0 || arg[n] != '=') return false;
    *value = arg + n + 1;
    return true;
}

static gt_status unknown(const gt_command_text *text, const gt_option *option, const char *arg)
{
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(arg, "="), arg);
    int best = INT_MAX;
    const char *near = NULL;
    for (const gt_option *o = option; o->name; o++) {
        int d = gt_word_distance(word, o->name);
        if (d < best) best = d, near = o->name;
    }
    if (near && gt_word_is_near(word, best))
        return GT_FAIL(GT_ERR_USAGE, "%s: no option '%.60s'; did you mean %s?", text->name, word, near);
    return GT_FAIL(GT_ERR_USAGE, "%s: no option '%.60s'; gemtune %s --help lists them", text->name, word, text->name);
}

/* The i-th word that a choice takes, NULL behind the last. */
static const char *choice_at(const gt_option *o, int i)
{
    return o->choices ? o->choices[i] : gt_recipe_key_find(o->key)->choices[i].text;
}

static gt_status store_choice(const gt_command_text *text, const gt_option *o, const char *value)
{
    char allowed[200] = "";
    const char *choice;
    for (int i = 0; (choice = choice_at(o, i)); i++) {
        if (strcmp(choice, value) == 0) {
            *(const char **)o->out = choice;
            return GT_OK;
        }
        size_t n = strlen(allowed);
        snprintf(allowed + n, sizeof allowed - n, "%s%s", n ? ", " : "", choice);
    }
    return GT_FAIL(GT_ERR_USAGE, "%s: %s is '%.60s'; allowed: %s", text->name, o->name, value, allowed);
}

static gt_status store_number(const gt_command_text *text, const gt_option *o, const char *value)
{
    char *end;
    errno = 0;
    double v = strtod(value, &end);
    bool whole = o->kind == GT_OPT_INT;
    if (end == value || *end || errno == ERANGE || isnan(v) || v < o->min || v > o->max || (whole && v != floor(v)))
        return GT_FAIL(GT_ERR_USAGE, "%s: %s is '%.60s'; allowed: a %snumber from %.*g to %.*g", text->name, o->name,
                       value, whole ? "whole " : "", whole ? 17 : 9, o->min, whole ? 17 : 9, o->max);
    if (whole)
        *(int64_t *)o->out = (int64_t)v;
    else
        *(double *)o->out = v;
    return GT_OK;
}

static gt_status store(const gt_command_text *text, const gt_option *o, const char *value)
{
    switch (o->kind) {
    case GT_OPT_SWITCH:
        *(bool *)o->out = true;
        return GT_OK;
    case GT_OPT_TEXT:
        if (!*value) return GT_FAIL(GT_ERR_USAGE, "%s: %s is empty; it takes %s", text->name, o->name, o->value);
        *(const char **)o->out = value;
        return GT_OK;
    case GT_OPT_INT:
    case GT_OPT_REAL:
        return store_number(text, o, value);
    case GT_OPT_CHOICE:
        return store_choice(text, o, value);
    case GT_OPT_LIST: {
        gt_arg_list *l = o->out;
        if (l->count == GT_ARG_LIST_MAX)
            return GT_FAIL(GT_ERR_USAGE, "%s: more than %d times %s", text->name, GT_ARG_LIST_MAX, o->name);
        l->item[l->count++] = value;
        return GT_OK;
    }
    }
    return GT_FAIL(GT_ERR_INTERNAL, "option %s has no kind", o->name);
}

static void print_option(const gt_option *o)
{
    enum { COLUMN = 28 };
    char head[80];
    snprintf(head, sizeof head, "  %s%s%s%s%s", o->letter ? o->letter : "", o->letter ? ", " : "", o->name,
             o->value ? " " : "", o->value ? o->value : "");
    size_t n = strlen(head);
    printf("%s%*s", head, n < COLUMN ? (int)(COLUMN - n) : 1, "");
    for (const char *p = o->help; *p;) {
        size_t line = strcspn(p, "\n");
        printf("%.*s\n", (int)line, p);
        p += line;
        if (*p) printf("%*s", COLUMN, ""), p++;
    }
}

static void print_help(const gt_command_text *text, const gt_option *option)
{
    printf("usage: gemtune %s %s%s[options]\n\n%s\n", text->name, text->operands, *text->operands ? " " : "",
           text->summary);
    if (text->about) printf("\n%s\n", text->about);
    printf("\noptions:\n");
    for (const gt_option *o = option; o->name; o++) print_option(o);
    printf("  -h, --help                this text\n");
}

/* Wherever it stands: who asks for help may have the rest wrong. */
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

/* The option at argv[*i], and its value, which may be the word behind it. */
static gt_status take_option(const gt_command_text *text, const gt_option *option, int argc, char **argv, int *i)
{
    const char *arg = argv[*i], *value = NULL;
    const gt_option *o = option;
    while (o->name && !matches(o, arg, &value)) o++;
    if (!o->name) return unknown(text, option, arg);
    if (o->kind == GT_OPT_SWITCH && value) return GT_FAIL(GT_ERR_USAGE, "%s: %s takes no value", text->name, o->name);
    if (o->kind != GT_OPT_SWITCH && !value) {
        if (*i + 1 == argc) return GT_FAIL(GT_ERR_USAGE, "%s: %s needs %s behind it", text->name, o->name, o->value);
        value = argv[++*i];
    }
    return store(text, o, value);
}

static gt_status check_missing(const gt_command_text *text, const gt_option *option, int operands)
{
    if (operands < text->min_operands)
        return GT_FAIL(GT_ERR_USAGE, "%s: %s is missing; usage: gemtune %s %s", text->name, text->operands, text->name,
                       text->operands);
    for (const gt_option *o = option; o->name; o++)
        if (o->missing && !*(const char **)o->out) return GT_FAIL(GT_ERR_USAGE, "%s: %s", text->name, o->missing);
    return GT_OK;
}

gt_status gt_args_parse(const gt_command_text *text, const gt_option *option, int argc, char **argv,
                        const char **operand, int *count, bool *help)
{
    int operands = 0;
    bool options_end = false;
    *help = asks_for_help(argc, argv);
    if (*help) {
        print_help(text, option);
        return GT_OK;
    }
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (!options_end && strcmp(arg, "--") == 0) {
            options_end = true;
            continue;
        }
        if (!options_end && arg[0] == '-' && arg[1]) {
            GT_TRY(take_option(text, option, argc, argv, &i));
            continue;
        }
        if (operands == text->max_operands)
            return GT_FAIL(GT_ERR_USAGE, "%s: one word too many: '%.100s'; usage: gemtune %s %s", text->name, arg,
                           text->name, text->operands);
        operand[operands++] = arg;
    }
    GT_TRY(check_missing(text, option, operands));
    if (count) *count = operands;
    return GT_OK;
}
