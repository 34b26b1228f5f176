/* The hash map, compared with a plain array through many random steps. */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void finds_what_was_put_and_nothing_else(void **state)
{
    (void)state;
    struct map map;
    int one = 1, two = 2;
    map_init(&map);
    assert_null(map_get(&map, "a"));
    assert_null(map_remove(&map, "a"));
    assert_null(map_put(&map, "a", &one));
    assert_ptr_equal(map_get(&map, "a"), &one);
    assert_null(map_get(&map, "b"));
    assert_null(map_get(&map, ""));
    assert_ptr_equal(map_put(&map, "a", &two), &one);
    assert_int_equal(map.count, 1);
    assert_ptr_equal(map_remove(&map, "a"), &two);
    assert_int_equal(map.count, 0);
    map_finish(&map);
}

static void agrees_with_an_array_through_random_puts_and_removals(void **state)
{
    (void)state;
    enum { KEYS = 500, STEPS = 50000 };
    static char names[KEYS][16];
    static bool there[KEYS];
    struct map map;
    size_t count = 0;
    unsigned seed = 4711;
    map_init(&map);
    for (int i = 0; i < KEYS; i++)
        snprintf(names[i], sizeof names[i], "key-%d", i);
    for (int step = 0; step < STEPS; step++) {
        seed = seed * 1103515245 + 12345;
        size_t i = (seed >> 16) % KEYS;
        if (seed & 0x8000) {
            assert_ptr_equal(map_put(&map, names[i], names[i]), there[i] ? names[i] : NULL);
            count += !there[i];
            there[i] = true;
        } else {
            assert_ptr_equal(map_remove(&map, names[i]), there[i] ? names[i] : NULL);
            count -= there[i];
            there[i] = false;
        }
        assert_int_equal(map.count, count);
        if (step % 1000 == 0)
            for (size_t at = 0; at < KEYS; at++)
                assert_ptr_equal(map_get(&map, names[at]), there[at] ? names[at] : NULL);
    }
    size_t visited = 0;
    const char *name;
    for (size_t at = 0; (name = map_next(&map, &at)); visited++)
        assert_true(there[strtol(name + 4, NULL, 10)]);
    assert_int_equal(visited, count);
    map_finish(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_put_and_nothing_else),
        cmocka_unit_test(agrees_with_an_array_through_random_puts_and_removals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
