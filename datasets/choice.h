/* choice.h - multiple-choice questions in the columns they are published in, and the one chat shape they all get:
 *
 *     user       {question}\nA. {option A}\nB. {option B} ...
 *     assistant  A. {option A}                                    (the right one)
 *
 * KorMedMCQA (Kweon et al. 2024, arXiv:2403.01469): question, A ... E, answer 1 ... 5; subject, year, period, q_number,
 * cot are ignored. MedQA (Jin et al. 2020, arXiv:2009.13081): question, options {A ...}, answer_idx. */
#ifndef GT_CHOICE_H
#define GT_CHOICE_H

#include "json.h"
#include "status.h"
#include "text.h"

enum { GT_CHOICE_MAX = 26 };

typedef struct {
    const gt_json *question; /* strings inside the row, not owned */
    const gt_json *option[GT_CHOICE_MAX];
    int count;  /* options, at least 2 */
    int answer; /* index of the right one */
} gt_choice;

/* Whether a row has the columns of a multiple-choice question. */
bool gt_choice_is(const gt_json *row);

/* Reads one. Column options (A, B, ...) end at the first that is absent, null or empty; one behind it is refused. The
 * answer is a number from 1, its digits, or the option's letter. GT_ERR_DATA names the field. */
gt_status gt_choice_read(gt_choice *out, const gt_json *row);

/* Appends the user's and the assistant's content. */
void gt_choice_prompt(gt_text *out, const gt_choice *c);
void gt_choice_answer(gt_text *out, const gt_choice *c);

#endif
