/* Files are whole or not there: failures are made by what the system refuses (folders in the way, links, limits), not
 * by a stand-in for it. */
#include "testing.h"

#include "fs.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char *in(const char *folder, const char *name)
{
    char *path = gt_fs_join(folder, name);
    assert_non_null(path);
    return path;
}

static void what_is_written_is_read_and_mapped_again(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4095, 4096, 100000};
    char *path = in(temp_dir(), "file"), *data = malloc(100000);
    for (size_t i = 0; i < 100000; i++) data[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_ok(gt_fs_write(path, data, sizes[i]));
        char *text;
        size_t size;
        assert_ok(gt_fs_read(&text, &size, path, 100000));
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(text, data, size);
        assert_int_equal(text[size], 0);
        free(text);
        gt_map m;
        assert_ok(gt_map_open(&m, path));
        assert_int_equal(m.size, sizes[i]);
        if (size > 0)
            assert_memory_equal(m.data, data, size);
        else
            assert_null(m.data);
        assert_string_equal(m.path, path);
        gt_map_close(&m);
        gt_map_close(&m);
    }
    gt_map_close(NULL);
    free(data);
    free(path);
}

static void only_regular_files_are_opened(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    char *fifo = in(dir, "fifo"), *absent = in(dir, "absent"), *text;
    gt_map m;
    size_t size;
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_fails(gt_map_open(&m, fifo), GT_ERR_IO, "fifo");
    assert_fails(gt_map_open(&m, dir), GT_ERR_IO, "folder");
    assert_fails(gt_map_open(&m, absent), GT_ERR_IO, "No such file");
    assert_fails(gt_fs_read(&text, &size, "/dev/zero", 100), GT_ERR_IO, "device");
    free(fifo);
    free(absent);
}

static void a_file_above_the_limit_is_not_read(void **state)
{
    (void)state;
    char *path = in(temp_dir(), "file"), *text;
    size_t size;
    assert_ok(gt_fs_write(path, "12345", 5));
    assert_fails(gt_fs_read(&text, &size, path, 4), GT_ERR_DATA, "at most 4");
    assert_ok(gt_fs_read(&text, &size, path, 5));
    free(text);
    free(path);
}

static int entries(const char *dir)
{
    char command[1200];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", dir);
    FILE *f = popen(command, "r");
    int n = -1;
    assert_int_equal(fscanf(f, "%d", &n), 1);
    pclose(f);
    return n;
}

static void a_file_is_whole_or_not_there(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    char *path = in(dir, "file"), *text;
    size_t size;
    assert_ok(gt_fs_write(path, "old", 3));
    gt_new_file f;
    assert_ok(gt_new_file_open(&f, path));
    assert_ok(gt_new_file_write(&f, "new ", 4));
    assert_ok(gt_fs_read(&text, &size, path, 100));
    assert_string_equal(text, "old");
    free(text);
    assert_int_equal(entries(dir), 2);
    gt_new_file_abandon(&f);
    gt_new_file_abandon(&f);
    assert_int_equal(entries(dir), 1);
    assert_ok(gt_new_file_open(&f, path));
    assert_ok(gt_new_file_write(&f, "new ", 4));
    assert_ok(gt_new_file_write(&f, "text", 4));
    assert_ok(gt_new_file_publish(&f));
    gt_new_file_abandon(&f);
    assert_ok(gt_fs_read(&text, &size, path, 100));
    assert_string_equal(text, "new text");
    free(text);
    assert_int_equal(entries(dir), 1);
    free(path);
}

/* A file size limit stands for a full disk: write(2) takes a part, then fails. */
static void a_write_that_fails_leaves_the_old_file_and_no_other(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    char *path = in(dir, "file"), *text, *big = calloc(1, 1 << 20);
    size_t size;
    assert_ok(gt_fs_write(path, "old", 3));
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    gt_status st = gt_fs_write(path, big, 1 << 20);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(st, GT_ERR_IO);
    assert_non_null(strstr(gt_error_last()->message, path));
    assert_int_equal(entries(dir), 1);
    assert_ok(gt_fs_read(&text, &size, path, 100));
    assert_string_equal(text, "old");
    free(text);
    free(big);
    free(path);
}

static void a_publish_onto_a_folder_fails_and_leaves_nothing(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    char *path = in(dir, "folder");
    assert_ok(gt_fs_make_dirs(path));
    assert_fails(gt_fs_write(path, "x", 1), GT_ERR_IO, "renamed");
    assert_int_equal(entries(dir), 1);
    char *below = in(dir, "absent/file");
    assert_fails(gt_fs_write(below, "x", 1), GT_ERR_IO, "created");
    free(below);
    free(path);
}

static void folders_are_made_with_their_parents_and_removed_with_their_contents(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    char *deep = in(dir, "a/b//c/"), *file = in(dir, "a/b/c/file"), *top = in(dir, "a"), *kept = in(dir, "kept");
    char *link = in(dir, "a/link");
    assert_ok(gt_fs_make_dirs(deep));
    assert_ok(gt_fs_make_dirs(deep));
    assert_true(gt_fs_is_dir(deep));
    assert_ok(gt_fs_write(file, "x", 1));
    assert_fails(gt_fs_make_dirs(file), GT_ERR_IO, "file");
    assert_ok(gt_fs_make_dirs(kept));
    assert_int_equal(symlink(kept, link), 0);
    assert_ok(gt_fs_remove_tree(top));
    assert_false(gt_fs_exists(top));
    assert_true(gt_fs_is_dir(kept)); /* the link went, not what it points to */
    assert_ok(gt_fs_remove_tree(top));
    assert_int_equal(symlink(kept, top), 0);
    assert_ok(gt_fs_remove_tree(top));
    assert_true(gt_fs_is_dir(kept));
    free(deep);
    free(file);
    free(top);
    free(kept);
    free(link);
}

static void a_finished_folder_is_published_by_one_rename(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    char *tmp = in(dir, "new.tmp"), *path = in(dir, "new"), *file = in(dir, "new.tmp/f"), *at = in(dir, "new/f");
    assert_ok(gt_fs_make_dirs(tmp));
    assert_ok(gt_fs_write(file, "x", 1));
    assert_ok(gt_fs_sync(tmp));
    assert_ok(gt_fs_publish(tmp, path));
    assert_true(gt_fs_exists(at));
    assert_false(gt_fs_exists(tmp));
    assert_true(gt_fs_holds(dir, "new"));
    assert_true(gt_fs_holds(path, "f"));
    assert_false(gt_fs_holds(dir, "f"));
    assert_fails(gt_fs_publish(tmp, path), GT_ERR_IO, "renamed");
    free(tmp);
    free(path);
    free(file);
    free(at);
}

static void only_plain_names_are_safe(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "model-00001-of-00003.safetensors", "A_b.c", "...", "-"};
    static const char *const bad[] = {"",     ".",      "..", "a/b", "/a",   "a\\b",  "a b",  "\xc3\xa9",
                                      "a\nb", "%2e%2e", "~",  "a:b", "../a", "a\x01", "$(x)", "a;b"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(gt_fs_safe_name(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(gt_fs_safe_name(bad[i]));
    char lengthy[258];
    memset(lengthy, 'a', sizeof lengthy - 1);
    lengthy[256] = '\0';
    assert_false(gt_fs_safe_name(lengthy));
    lengthy[255] = '\0';
    assert_true(gt_fs_safe_name(lengthy));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_and_mapped_again),
        cmocka_unit_test(only_regular_files_are_opened),
        cmocka_unit_test(a_file_above_the_limit_is_not_read),
        cmocka_unit_test(a_file_is_whole_or_not_there),
        cmocka_unit_test(a_write_that_fails_leaves_the_old_file_and_no_other),
        cmocka_unit_test(a_publish_onto_a_folder_fails_and_leaves_nothing),
        cmocka_unit_test(folders_are_made_with_their_parents_and_removed_with_their_contents),
        cmocka_unit_test(a_finished_folder_is_published_by_one_rename),
        cmocka_unit_test(only_plain_names_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
