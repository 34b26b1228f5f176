/* A directory, a loop and a store for each test, and answers waited for on the loop. */
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include "store/store.h"

#include <stdbool.h>

extern struct loop *test_loop;
extern struct store *test_store;
extern char test_directory[64]; /* /tmp/…/state; not there before the store makes it */

int fixture_setup(void **state);      /* the loop and the path only */
int fixture_setup_open(void **state); /* the store too */
int fixture_teardown(void **state);   /* removes all */

void fixture_open(void); /* fails the test when it can't */
void fixture_close(void);
const char *fixture_file(const char *name); /* a path in test_directory */
/* Opening must fail with a sentence that has both texts in it. */
void fixture_refused(const char *one, const char *other);

/* An answer, to be waited for. */
struct answer {
    bool here, failed;
    struct sbx_error err;
    char *value; /* NULL: there is none */
    size_t len;
    char keys[1024]; /* each ending in a space */
    size_t count;
    int order; /* 1 for the first answer of the test, and so on */
};
void answer_done(void *arg, const struct sbx_error *err);
void answer_value(void *arg, const struct sbx_error *err, const void *value, size_t len);
void answer_keys(void *arg, const struct sbx_error *err, const char *const *keys, size_t count);
void answer_wait(struct answer *answer); /* and check that it came once */

/* Both wait. */
struct answer put(const char *space, const char *key, const char *value);
struct answer get(const char *space, const char *key);                    /* the value is to be freed */
void assert_value(const char *space, const char *key, const char *value); /* NULL: no such key */

#endif
