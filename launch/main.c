/* main.c - picks the subcommand, and says in words and in the exit code how it ended. Nothing below launch/ does
 * either. */
#include "commands.h"

#include "backends.h"
#include "log.h"
#include "report.h"
#include "signals.h"
#include "spelling.h"
#include "standard_output.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *summary; /* one line of `gemtune --help` */
    gt_status (*run)(int argc, char **argv);
} commands[] = {
    {"train", "fine-tunes a model as a recipe says; also under mpirun -n N", gt_cmd_train},
    {"quantize", "packs a base to NF4: our one file, or a bitsandbytes folder", gt_cmd_quantize},
    {"export", "an adapter, a merged model or a plain base as a folder others load", gt_cmd_export},
    {"generate", "continues a prompt", gt_cmd_generate},
    {"score", "log-likelihoods of rows", gt_cmd_score},
    {"tokenize", "text, chats and token ids, into each other", gt_cmd_tokenize},
    {"inspect", "says what a base, adapter, packed file, dataset or checkpoint holds", gt_cmd_inspect},
    {"version", "prints the version", gt_cmd_version},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *out)
{
    fprintf(out, "usage: gemtune COMMAND ...\n\nFine-tunes Gemma 3 models by QLoRA.\n\ncommands:\n");
    for (int i = 0; i < COMMANDS; i++) fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(
        out,
        "\ngemtune COMMAND --help tells the rest.\n"
        "Exit codes: 0 done, or saved on request; 64 wrong command line; 65 wrong data; 70 a fault of ours; 74 a file "
        "could\nnot be read or written; 75 try again; 78 wrong recipe; 128 + N stopped by signal N.\n");
}

static gt_status unknown_command(const char *name)
{
    int best = INT_MAX;
    const char *near = NULL;
    for (int i = 0; i < COMMANDS; i++) {
        int d = gt_word_distance(name, commands[i].name);
        if (d < best) best = d, near = commands[i].name;
    }
    if (near && gt_word_is_near(name, best))
        return GT_FAIL(GT_ERR_USAGE, "no command '%.60s'; did you mean '%s'?", name, near);
    return GT_FAIL(GT_ERR_USAGE, "no command '%.60s'; gemtune --help lists them", name);
}

static gt_status run(int argc, char **argv)
{
    const char *name = argv[1];
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    return unknown_command(name);
}

int main(int argc, char **argv)
{
    gt_log_init(-1);
    gt_backends_offer();
    if (argc < 2) {
        print_usage(stderr);
        return gt_status_exit_code(GT_ERR_USAGE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        if (argc > 2 && strcmp(argv[1], "help") == 0) { /* gemtune help train */
            char *asked[] = {argv[0], argv[2], (char *)"--help", NULL};
            gt_status st = run(3, asked);
            if (st != GT_OK) gt_report_failure(false, -1);
            return gt_status_exit_code(st);
        }
        print_usage(stdout);
        if (gt_standard_output_flush() == GT_OK) return 0;
        gt_report_failure(false, -1);
        return gt_status_exit_code(GT_ERR_IO);
    }
    if (strcmp(argv[1], "--version") == 0) argv[1] = (char *)"version";

    gt_status st = gt_signals_install();
    if (st == GT_OK) st = run(argc, argv);
    if (st == GT_OK) st = gt_standard_output_flush();
    if (st == GT_OK) return 0;
    fflush(stdout);
    gt_report_failure(false, -1);
    if (st == GT_ERR_INTERRUPTED && gt_signals_stop_asked()) return 128 + gt_signals_stop_asked();
    return gt_status_exit_code(st);
}
