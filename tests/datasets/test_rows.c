/* Files of rows: what is read, and what is refused with file and line. */
#include "row_files.h"

#include "csv.h"
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All rows of a file, "key=value;" a member and "|" behind a row, "!LINE " for a bad one; values must be strings. */
static char *read_all(const char *path)
{
    gt_rows *r;
    gt_text out = {0};
    gt_text_add(&out, "", 0);
    assert_ok(gt_rows_open(&r, path));
    for (;;) {
        gt_json_doc *row;
        gt_status st = gt_rows_next(r, &row);
        if (st == GT_ERR_DATA) {
            char where[1100];
            snprintf(where, sizeof where, "%s:%llu: ", path, (unsigned long long)gt_rows_line(r));
            assert_memory_equal(gt_error_last()->message, where, strlen(where));
            gt_text_addf(&out, "!%llu ", (unsigned long long)gt_rows_line(r));
            continue;
        }
        assert_int_equal(st, GT_OK);
        if (!row) break;
        for (const gt_json *m = gt_json_root(row)->child; m; m = m->next)
            gt_text_addf(&out, "%s=%s;", m->key, m->type == GT_JSON_STRING ? m->string : "?");
        gt_text_addf(&out, "|");
        gt_json_free(row);
    }
    gt_rows_close(r);
    return out.data;
}

static void check(const char *name, const char *bytes, size_t size, const char *want)
{
    char *got = read_all(row_file(name, bytes, size));
    if (strcmp(got, want) != 0) fail_msg("%s '%.60s' gives '%s', expected '%s'", name, bytes, got, want);
    free(got);
}

static void json_lines_are_read_with_any_line_ends(void **state)
{
    (void)state;
    static const char *const c[][2] = {
        {"", ""},
        {"\n\n \t\r\n", ""},
        {"{\"a\":\"1\"}", "a=1;|"},
        {"{\"a\":\"1\"}\n{\"b\":\"2\"}\n", "a=1;|b=2;|"},
        {"{\"a\":\"1\"}\r\n{\"b\":\"2\"}\r\n", "a=1;|b=2;|"},
        {"\xef\xbb\xbf{\"a\":\"1\"}\n", "a=1;|"},
        {"\xef\xbb\xbf", ""},
        {"\n{\"a\":\"1\"}\n\n{\"b\":2}", "a=1;|b=?;|"},
        {"{\"a\":\"\\n\"}\n", "a=\n;|"},
        {"{}\n", "|"},
        {"{\"a\":\"1\"}\n\xef\xbb\xbf{\"a\":\"1\"}\n", "a=1;|!2 "},
        {"[1]\n{\"a\":\"1\"}\n\"x\"\n", "!1 a=1;|!3 "},
        {"{\"a\":\n\"1\"}\n", "!1 !2 "},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) check("rows.jsonl", c[i][0], strlen(c[i][0]), c[i][1]);
    check("nul.jsonl", "{\"a\":\"1\"}\n{\"a\":\"\0\"}\n{\"a\":\"3\"}", 29, "a=1;|!2 a=3;|");
}

static void csv_is_read_as_rfc_4180_says(void **state)
{
    (void)state;
    static const char *const c[][2] = {
        {"a,b\n1,2\n", "a=1;b=2;|"},
        {"a,b\r\n1,2\r\n3,4", "a=1;b=2;|a=3;b=4;|"},
        {"\xef\xbb\xbf"
         "a,b\n1,2\n",
         "a=1;b=2;|"},
        {"a,b\n\"1,x\",\"say \"\"no\"\"\"\n", "a=1,x;b=say \"no\";|"},
        {"a,b\n\"two\nlines\",\"\"\n3,4\n", "a=two\nlines;b=;|a=3;b=4;|"},
        {"a,b\n\"two\r\nlines\",2\r\n", "a=two\r\nlines;b=2;|"},
        {"a,b\n,\n", "a=;b=;|"},
        {"a\n\n1\n", "a=1;|"},
        {",a\n0,1\n", "=0;a=1;|"},
        {"a,b\n1\n1,2,3\n1,2\n", "!2 !3 a=1;b=2;|"},
        {"a,b\n1,x\"y\n1,2\n", "!2 a=1;b=2;|"},
        {"a,b\n1,\"x\"y\n1,2\n", "!2 a=1;b=2;|"},
        {"a,b\n\"1\n2\",\"3\n4\"\n1\n", "a=1\n2;b=3\n4;|!5 "},
        {"a,b\n1,2\n\"open,2\n3,4\n", "a=1;b=2;|!3 "},
        {"a,b\n1,\xff\n1,2\n", "!2 a=1;b=2;|"},
        {"a,b\n1,\\\"\n", "!2 "},
        {"a,b\n1,tab\there\n", "a=1;b=tab\there;|"},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) check("rows.csv", c[i][0], strlen(c[i][0]), c[i][1]);
}

static void files_that_cannot_hold_rows_do_not_open(void **state)
{
    (void)state;
    gt_rows *r;
    assert_fails(gt_rows_open(&r, row_text("a.csv", "")), GT_ERR_DATA, "is empty");
    assert_fails(gt_rows_open(&r, row_text("a.csv", "x,y,x\n")), GT_ERR_DATA, "'x' appears twice");
    assert_fails(gt_rows_open(&r, row_text("a.csv", "\"x\n")), GT_ERR_DATA, "does not end");
    assert_fails(gt_rows_open(&r, row_text("a.csv", "\xff\n")), GT_ERR_DATA, "UTF-8");
    assert_fails(gt_rows_open(&r, row_file("a.jsonl", "\xff\xfe{\0", 4)), GT_ERR_DATA, "UTF-16");
    assert_fails(gt_rows_open(&r, row_file("a.csv", "\xfe\xff\0a", 4)), GT_ERR_DATA, "UTF-16");
    assert_fails(gt_rows_open(&r, "/nonexistent.jsonl"), GT_ERR_IO, "/nonexistent.jsonl");
    assert_fails(gt_rows_open(&r, "/dev/zero"), GT_ERR_IO, "no regular file");
    assert_fails(gt_rows_open(&r, temp_dir()), GT_ERR_IO, "no regular file");
    gt_rows_close(NULL);
}

/* Rows that straddle the reader's buffer in every way. */
static void rows_of_any_length_are_whole(void **state)
{
    (void)state;
    gt_text file = {0};
    static const int length[] = {1, 131000, 131072, 262144, 5, 131071, 131060, 7};
    char *filler = malloc(300000);
    memset(filler, 'x', 300000);
    for (size_t i = 0; i < sizeof length / sizeof *length; i++)
        gt_text_addf(&file, "{\"a\":\"%.*s\"}\r\n", length[i], filler);
    gt_rows *r;
    assert_ok(gt_rows_open(&r, row_file("long.jsonl", file.data, file.size)));
    for (size_t i = 0; i < sizeof length / sizeof *length; i++) {
        gt_json_doc *row;
        assert_ok(gt_rows_next(r, &row));
        assert_int_equal(gt_json_get(gt_json_root(row), "a")->length, length[i]);
        assert_int_equal(gt_rows_line(r), i + 1);
        gt_json_free(row);
    }
    gt_rows_close(r);
    gt_text_free(&file);
    free(filler);
}

static void a_record_splits_into_its_fields_in_place(void **state)
{
    (void)state;
    char record[] = "a,\"b \"\"q\"\", c\",,\"\",d";
    gt_csv_field f[5];
    size_t n;
    assert_ok(gt_csv_split(record, sizeof record - 1, f, 5, &n));
    assert_int_equal(n, 5);
    static const char *const want[] = {"a", "b \"q\", c", "", "", "d"};
    for (int i = 0; i < 5; i++) {
        assert_string_equal(f[i].text, want[i]);
        assert_int_equal(f[i].size, strlen(want[i]));
    }
    char more[] = "a,b,c,d,e,f";
    assert_fails(gt_csv_split(more, sizeof more - 1, f, 5, &n), GT_ERR_DATA, "more than 5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines_are_read_with_any_line_ends),   cmocka_unit_test(csv_is_read_as_rfc_4180_says),
        cmocka_unit_test(files_that_cannot_hold_rows_do_not_open),  cmocka_unit_test(rows_of_any_length_are_whole),
        cmocka_unit_test(a_record_splits_into_its_fields_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
