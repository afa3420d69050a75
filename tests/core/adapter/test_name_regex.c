/* Regular expressions over module names: Python's answers (re.fullmatch, 3.11) for patterns of the kinds that adapters
 * hold. */
#include "testing.h"

#include "name_regex.h"

#include <string.h>

static const struct {
    const char *pattern, *name;
    bool matches;
} cases[] = {
    {"q_proj", "q_proj", true},
    {"q_proj", "xq_proj", false},
    {".*q_proj", "model.layers.0.self_attn.q_proj", true},
    {".*\\.(q|k)_proj", "model.layers.0.self_attn.k_proj", true},
    {".*\\.(q|k)_proj", "model.layers.0.self_attn.v_proj", false},
    {"model\\.layers\\.\\d+\\.self_attn\\.[qv]_proj", "model.layers.17.self_attn.v_proj", true},
    {"model\\.layers\\.\\d+\\.self_attn\\.[qv]_proj", "model.layers.x.self_attn.v_proj", false},
    {"model\\.layers\\.(?:[0-4]|1[0-7])\\..*", "model.layers.13.mlp.up_proj", true},
    {"model\\.layers\\.(?:[0-4]|1[0-7])\\..*", "model.layers.18.mlp.up_proj", false},
    {"(?:.*?(?:language|text).*?(?:self_attn|mlp).*?(?:q_proj|k_proj).*?)|(?:\\bmodel\\.layers\\.[\\d]{1,}\\.(?:self_"
     "attn|mlp)"
     "\\.(?:(?:q_proj|k_proj)))",
     "model.language_model.layers.3.self_attn.q_proj", true},
    {"(?:.*?(?:language|text).*?(?:self_attn|mlp).*?(?:q_proj|k_proj).*?)|(?:\\bmodel\\.layers\\.[\\d]{1,}\\.(?:self_"
     "attn|mlp)"
     "\\.(?:(?:q_proj|k_proj)))",
     "model.layers.31.self_attn.k_proj", true},
    {"(?:.*?(?:language|text).*?(?:self_attn|mlp).*?(?:q_proj|k_proj).*?)|(?:\\bmodel\\.layers\\.[\\d]{1,}\\.(?:self_"
     "attn|mlp)"
     "\\.(?:(?:q_proj|k_proj)))",
     "model.layers.31.self_attn.v_proj", false},
    {"a{2}", "aa", true},
    {"a{2}", "aaa", false},
    {"a{2,}", "aaaa", true},
    {"a{,2}b", "aab", true},
    {"a{,2}b", "aaab", false},
    {"a{1,3}?", "aaa", true},
    {"a{x}", "a{x}", true},
    {"(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false},
    {"(a|b|c)+", "abcabc", true},
    {"(a|b|)x", "x", true},
    {"", "", true},
    {"", "a", false},
    {"^model.*$", "model.x", true},
    {"[^.]*", "abc", true},
    {"[^.]*", "a.c", false},
    {"[]a]+", "a]", true},
    {"[a-]+", "a-", true},
    {"\\w+\\b\\.\\bq", "abc.q", true},
    {"\\S+\\Bc", "abc", true},
    {"(?P<name>q|k)_proj", "k_proj", true},
    {"a+?b", "aab", true},
    {"\\.", ".", true},
    {"\\.", "x", false},
    {".", "\n", false},
    {"a|b", "ab", false},
    {"(ab|a)(bc|c)", "abc", true},
};

static void matches_as_python_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gt_regex *r = NULL;
        assert_ok(gt_regex_compile(&r, cases[i].pattern));
        if (gt_regex_full_match(r, cases[i].name) != cases[i].matches)
            fail_msg("'%s' on '%s' should give %d", cases[i].pattern, cases[i].name, cases[i].matches);
        gt_regex_free(r);
    }
}

static void what_it_cannot_read_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *words;
    } bad[] = {{"(a", "not closed"},
               {"a)", "without"},
               {"*a", "nothing to repeat"},
               {"a**", "multiple repeat"},
               {"a*+", "possessive"},
               {"(?=a)b", "look-around"},
               {"(?!a)b", "look-around"},
               {"(?i)a", "flags"},
               {"(a)\\1", "back-reference"},
               {"[a", "not closed"},
               {"[b-a]", "backwards"},
               {"a{3,2}", "n below m"},
               {"a{2000}", "above 1000"},
               {"((a{999}){999}){9}", "too large"},
               {"\\", "escape"},
               {"(?P<x", "not closed"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gt_regex *r = NULL;
        assert_fails(gt_regex_compile(&r, bad[i].pattern), GT_ERR_CONFIG, bad[i].words);
        assert_null(r);
    }
    char deep[1000];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    gt_regex *r = NULL;
    assert_fails(gt_regex_compile(&r, deep), GT_ERR_CONFIG, "too deeply");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_as_python_does),
        cmocka_unit_test(what_it_cannot_read_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
