/* SHA-256 against published digests, on the processor's instructions and in plain C, cut into pieces of every size. */
#include "testing.h"

#include "fs.h"
#include "hash.h"
#include "hash_blocks.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

static void check(const char *text, size_t size, const char *want)
{
    gt_sha256 s;
    uint8_t digest[32];
    char hex[65];
    gt_sha256_init(&s);
    gt_sha256_add(&s, text, size);
    gt_sha256_end(&s, digest);
    gt_hex(hex, digest);
    assert_string_equal(hex, want);
}

/* FIPS 180-4's example messages. */
static void published_digests_are_met(void **state)
{
    (void)state;
    check("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    check(two, strlen(two), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    check(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void pieces_of_any_size_give_the_digest_of_the_whole(void **state)
{
    (void)state;
    uint8_t data[300], whole[32], parts[32];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)gt_rng_u64(1, i);
    for (size_t n = 0; n <= sizeof data; n++) {
        gt_sha256 s;
        gt_sha256_init(&s);
        gt_sha256_add(&s, data, n);
        gt_sha256_end(&s, whole);
        gt_sha256_init(&s);
        for (size_t at = 0, step = 1; at < n; at += step, step = step * 3 % 71 + 1) {
            if (step > n - at) step = n - at;
            gt_sha256_add(&s, data + at, step);
        }
        gt_sha256_end(&s, parts);
        assert_memory_equal(whole, parts, 32);
    }
}

static void hex_digits_are_read_back_and_nothing_else_is(void **state)
{
    (void)state;
    uint8_t digest[32], back[32];
    char hex[65];
    for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(i * 9);
    gt_hex(hex, digest);
    assert_true(gt_unhex(back, hex));
    assert_memory_equal(back, digest, 32);
    static const char wrong[] = "Ag/:`\xff";
    for (const char *c = wrong; *c; c++) {
        hex[63] = *c;
        assert_false(gt_unhex(back, hex));
    }
    hex[63] = '\0';
    assert_false(gt_unhex(back, hex));
    assert_false(gt_unhex(back, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0"));
}

static void a_number_goes_in_as_eight_bytes_the_lowest_first(void **state)
{
    (void)state;
    gt_sha256 s;
    uint8_t bytes[32], number[32];
    gt_sha256_init(&s);
    gt_sha256_add(&s, "\x08\x07\x06\x05\x04\x03\x02\xf1", 8);
    gt_sha256_end(&s, bytes);
    gt_sha256_init(&s);
    gt_sha256_add_u64(&s, 0xf102030405060708u);
    gt_sha256_end(&s, number);
    assert_memory_equal(bytes, number, 32);
}

static void the_processors_instructions_agree_with_plain_c(void **state)
{
    (void)state;
    uint8_t data[64 * 9];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)gt_rng_u64(2, i);
    uint32_t a[8], b[8];
    for (int i = 0; i < 8; i++) a[i] = b[i] = (uint32_t)gt_rng_u64(3, (uint64_t)i);
    gt_sha256_blocks_c(a, data, 9);
    gt_sha256_blocks()(b, data, 9);
    assert_memory_equal(a, b, sizeof a);
    if (gt_sha256_blocks() == gt_sha256_blocks_c) print_message("this processor has no SHA instructions\n");
}

static void a_file_has_the_digest_of_its_bytes(void **state)
{
    (void)state;
    char *path = gt_fs_join(temp_dir(), "abc");
    uint8_t digest[32];
    char hex[65];
    assert_ok(gt_fs_write(path, "abc", 3));
    assert_ok(gt_sha256_file(digest, path));
    gt_hex(hex, digest);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_ok(gt_fs_write(path, "", 0));
    assert_ok(gt_sha256_file(digest, path));
    gt_hex(hex, digest);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_fails(gt_sha256_file(digest, "/nonexistent/file"), GT_ERR_IO, "/nonexistent/file");
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_digests_are_met),
        cmocka_unit_test(pieces_of_any_size_give_the_digest_of_the_whole),
        cmocka_unit_test(a_number_goes_in_as_eight_bytes_the_lowest_first),
        cmocka_unit_test(hex_digits_are_read_back_and_nothing_else_is),
        cmocka_unit_test(the_processors_instructions_agree_with_plain_c),
        cmocka_unit_test(a_file_has_the_digest_of_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
