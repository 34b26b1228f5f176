/* The place of a callback: written and read back whole, who is held, and text that is none. */
#include "mirror/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_place_is_read_back_as_it_was_written(void **state)
{
    (void)state;
    struct place place = {.told = 12345678901234}, back;
    char id[128];
    assert_true(PLACE_HELD_MAX * (sizeof id + 20) + 20 < PLACE_TEXT_MAX);
    for (int i = 0; i < PLACE_HELD_MAX; i++) {
        snprintf(id, sizeof id, "%0127d", i);
        assert_non_null(place_hold(&place, id, INT64_MAX - i));
    }
    assert_null(place_hold(&place, "one more", 1));
    struct buffer text = buffer_init(PLACE_TEXT_MAX);
    place_write(&place, &text);
    assert_false(text.failed);
    assert_true(place_read(&back, text.data, text.len));
    assert_true(back.told == place.told && back.count == PLACE_HELD_MAX);
    for (const struct held *held = place.held; held; held = held->next)
        assert_int_equal(place_find(&back, held->sandbox_id)->told, held->told);
    buffer_finish(&text);
    place_finish(&place);
    place_finish(&back);
}

static void the_one_that_is_due_first_is_next_and_who_is_released_is_held_no_more(void **state)
{
    (void)state;
    struct place place = {0};
    assert_null(place_next(&place));
    place_hold(&place, "a", 1)->due_ms = 20;
    place_hold(&place, "b", 1)->due_ms = 10;
    place_hold(&place, "c", 1)->due_ms = 30;
    assert_string_equal(place_next(&place)->sandbox_id, "b");
    place_release(&place, place_find(&place, "b"));
    assert_null(place_find(&place, "b"));
    assert_string_equal(place_next(&place)->sandbox_id, "a");
    place_finish(&place);
    assert_null(place_next(&place));
}

static void what_is_no_place_is_not_read(void **state)
{
    (void)state;
    static const char *const texts[] = {"",         "x",       "-1",          "1x",
                                        "1\n",      "1\nx y",  "1\n2",        "1\n2 ",
                                        "1\n2 a\n", "1\n-2 a", "1\n2 a\n3 a", "99999999999999999999"};
    struct place place;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(place_read(&place, texts[i], strlen(texts[i])));
        assert_true(place.told == 0 && !place.held && place.count == 0);
    }
    assert_false(place_read(&place, "1\0", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_is_read_back_as_it_was_written),
        cmocka_unit_test(the_one_that_is_due_first_is_next_and_who_is_released_is_held_no_more),
        cmocka_unit_test(what_is_no_place_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
