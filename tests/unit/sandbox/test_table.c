/* The sandbox table: order, pages, owners and keys. */
#include "sandbox/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct viewer everybody = {.everything = true};

static struct sandbox *add(struct table *table, const char *id, const char *owner, int64_t created)
{
    struct sandbox *sandbox = table_add(table, id, owner);
    sandbox->created_at_us = created;
    table_show(table, sandbox);
    return sandbox;
}

static void assert_page(const struct table *table, const struct viewer *viewer, const char *page,
                        size_t limit, const char *expected, char *next)
{
    const struct sandbox *out[100];
    char found[256] = "";
    char unused[TABLE_PAGE_ID_SIZE];
    size_t count = table_search(table, viewer, page, limit, out, next ? next : unused);
    for (size_t i = 0; i < count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s ", out[i]->id);
    assert_string_equal(found, expected);
}

static void newest_come_first_whatever_the_order_of_arrival(void **state)
{
    (void)state;
    struct table table;
    table_init(&table);
    add(&table, "b", NULL, 20);
    add(&table, "d", NULL, 40);
    add(&table, "a", NULL, 10);
    add(&table, "c2", NULL, 30);
    add(&table, "c1", NULL, 30);
    assert_page(&table, &everybody, NULL, 100, "d c2 c1 b a ", NULL);
    table_finish(&table);
}

static struct sandbox *add_at(struct table *table, const char *id, int64_t sequence, int64_t created)
{
    struct sandbox *sandbox = table_add(table, id, NULL);
    sandbox->sequence = sequence;
    sandbox->created_at_us = created;
    table_show(table, sandbox);
    return sandbox;
}

static void the_sequence_decides_and_not_the_clock(void **state)
{
    (void)state;
    struct table table;
    char next[TABLE_PAGE_ID_SIZE];
    table_init(&table);
    add_at(&table, "first", 1, 3000); /* the clock was set back after it */
    add_at(&table, "second", 2, 1000);
    add_at(&table, "third", 3, 2000);
    assert_page(&table, &everybody, NULL, 2, "third second ", next);
    assert_page(&table, &everybody, next, 2, "first ", next);
    table_finish(&table);
}

static void what_others_made_stands_after_the_newest_that_is_older(void **state)
{
    (void)state;
    struct table table;
    table_init(&table);
    assert_int_equal(table_sequence_of(&table, 5), 0);
    add_at(&table, "a", 1, 100);
    add_at(&table, "b", 2, 200);
    add_at(&table, "c", 3, 300);
    assert_int_equal(table_sequence_of(&table, 99), 0);
    add_at(&table, "late", table_sequence_of(&table, 250), 250);
    add_at(&table, "between", table_sequence_of(&table, 220), 220);
    add_at(&table, "early", table_sequence_of(&table, 50), 50);
    add_at(&table, "last", table_sequence_of(&table, 400), 400);
    add_at(&table, "d", 4, 350);
    assert_page(&table, &everybody, NULL, 10, "d last c late between b a early ", NULL);
    table_finish(&table);
}

static void pages_neither_repeat_nor_skip_when_sandboxes_come_and_go(void **state)
{
    (void)state;
    struct table table;
    char next[TABLE_PAGE_ID_SIZE];
    table_init(&table);
    for (int i = 0; i < 6; i++)
        add(&table, (const char *[]){"a", "b", "c", "d", "e", "f"}[i], NULL, 10 * i);
    assert_page(&table, &everybody, NULL, 2, "f e ", next);
    add(&table, "g", NULL, 100);                   /* newer than the page that was read */
    table_remove(&table, table_find(&table, "e")); /* the very place that the page id names */
    table_remove(&table, table_find(&table, "d"));
    assert_page(&table, &everybody, next, 2, "c b ", next);
    assert_page(&table, &everybody, next, 2, "a ", next);
    assert_string_equal(next, "");
    table_finish(&table);
}

static void the_last_full_page_names_no_next_one(void **state)
{
    (void)state;
    struct table table;
    char next[TABLE_PAGE_ID_SIZE];
    table_init(&table);
    assert_page(&table, &everybody, NULL, 2, "", next);
    assert_string_equal(next, "");
    add(&table, "a", NULL, 1);
    add(&table, "b", NULL, 2);
    assert_page(&table, &everybody, NULL, 2, "b a ", next);
    assert_string_equal(next, "");
    table_finish(&table);
}

static void unknown_page_ids_start_from_the_beginning(void **state)
{
    (void)state;
    struct table table;
    table_init(&table);
    add(&table, "a", NULL, 1);
    const char *odd[] = {"", "100", "x", "_a", "99999999999999999999_a", "12_", "-"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_page(&table, &everybody, odd[i], 10, "a ", NULL);
    table_finish(&table);
}

static void users_see_their_own_and_admins_everything(void **state)
{
    (void)state;
    struct table table;
    table_init(&table);
    add(&table, "a1", "alice", 1);
    add(&table, "b1", "bob", 2);
    add(&table, "n1", NULL, 3);
    const struct viewer alice = {.user = "alice"}, eve = {.user = "eve"};
    const struct viewer admin = {.user = "ops", .everything = true};
    assert_page(&table, &alice, NULL, 10, "a1 ", NULL);
    assert_page(&table, &eve, NULL, 10, "", NULL);
    assert_page(&table, &admin, NULL, 10, "n1 b1 a1 ", NULL);
    assert_non_null(table_get(&table, &alice, "a1"));
    assert_null(table_get(&table, &alice, "b1"));
    assert_null(table_get(&table, &alice, "n1"));
    assert_non_null(table_get(&table, &admin, "n1"));
    table_finish(&table);
}

static void hidden_sandboxes_are_in_no_read(void **state)
{
    (void)state;
    struct table table;
    table_init(&table);
    struct sandbox *sandbox = add(&table, "a", NULL, 1);
    table_set_key(&table, sandbox, "secret");
    assert_ptr_equal(table_get_by_key(&table, "secret"), sandbox);
    table_hide(&table, sandbox);
    assert_page(&table, &everybody, NULL, 10, "", NULL);
    assert_null(table_get(&table, &everybody, "a"));
    assert_null(table_get_by_key(&table, "secret"));
    assert_ptr_equal(table_find(&table, "a"), sandbox);
    table_show(&table, sandbox);
    assert_ptr_equal(table_get(&table, &everybody, "a"), sandbox);
    table_finish(&table);
}

static void keys_are_found_only_while_they_are_set(void **state)
{
    (void)state;
    struct table table;
    table_init(&table);
    struct sandbox *a = add(&table, "a", NULL, 1), *b = add(&table, "b", NULL, 2);
    table_set_key(&table, a, "one");
    table_set_key(&table, b, "one"); /* can only come from outside */
    assert_ptr_equal(table_get_by_key(&table, "one"), a);
    assert_string_equal(b->session_key, "one");
    table_set_key(&table, a, "two");
    assert_null(table_get_by_key(&table, "one"));
    assert_ptr_equal(table_get_by_key(&table, "two"), a);
    assert_null(table_get_by_key(&table, ""));
    table_remove(&table, a);
    assert_null(table_get_by_key(&table, "two"));
    table_finish(&table);
}

static void an_owner_without_a_name_is_nobody(void **state)
{
    (void)state;
    struct table table;
    table_init(&table);
    assert_ptr_equal(table_add(&table, "one", "")->owner, table.nobody); /* one name, one quota */
    assert_ptr_equal(table_add(&table, "two", NULL)->owner, table.nobody);
    table_finish(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_come_first_whatever_the_order_of_arrival),
        cmocka_unit_test(the_sequence_decides_and_not_the_clock),
        cmocka_unit_test(what_others_made_stands_after_the_newest_that_is_older),
        cmocka_unit_test(pages_neither_repeat_nor_skip_when_sandboxes_come_and_go),
        cmocka_unit_test(the_last_full_page_names_no_next_one),
        cmocka_unit_test(unknown_page_ids_start_from_the_beginning),
        cmocka_unit_test(users_see_their_own_and_admins_everything),
        cmocka_unit_test(hidden_sandboxes_are_in_no_read),
        cmocka_unit_test(keys_are_found_only_while_they_are_set),
        cmocka_unit_test(an_owner_without_a_name_is_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
