/* harness.h: a loop, a set of backends and a record of all that came out of it, for the tests of this folder. */
#ifndef TESTS_PLUGIN_HARNESS_H
#define TESTS_PLUGIN_HARNESS_H

#include "base/buffer.h"
#include "fakes.h"
#include "plugin/instance.h"
#include "plugin/set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { HARNESS_BACKENDS = 4 };

struct harness {
    struct loop *loop;
    struct pool *pool;
    struct client *client;
    struct store *store;
    struct backend_set *set;
    char *state_dir; /* made by harness_create, removed at the end */
    int log_fd, stderr_fd;
    struct event tick;

    struct config configs[2]; /* the old and the next one, taking turns */
    struct config_backend backends[2][HARNESS_BACKENDS];
    unsigned turn;

    struct config_problems problems;
    bool prepared, ok, closed;
    bool hasty;         /* logs get a second, and not ten */
    bool in_call;       /* a backend_… call is on the stack: nothing may come out */
    struct buffer seen; /* a line for each thing that came out */
};

int harness_setup(void **state); /* for cmocka: *state is a struct harness */
int harness_teardown(void **state);

/* Turns the loop until `condition` holds; fails the test when it has not after 20 s. */
#define RUN_UNTIL(harness, condition)                                                                        \
    do {                                                                                                     \
        uint64_t until_ = harness_deadline();                                                                \
        while (!(condition))                                                                                 \
            harness_turn((harness), until_, #condition);                                                     \
    } while (0)
uint64_t harness_deadline(void);
void harness_turn(struct harness *harness, uint64_t deadline, const char *condition);
/* Turns the loop until nothing is ready any more. */
void harness_drain(struct harness *harness);

/* Begins the next configuration, without backends. */
struct config *harness_config(struct harness *harness);
/* Adds a backend to it. `plugin` is a name in the folder of test plugins, or a path. */
void harness_add(struct config *config, const char *name, const char *plugin, const char *options);
/* prepare(); then commit() when that was ok. */
bool harness_prepare(struct harness *harness, struct config *config);
void harness_prepared(void *transaction, bool ok); /* a reload_prepared; `transaction` is the harness */
bool harness_apply(struct harness *harness, struct config *config);
/* Both, for one backend "b" of the plugin `misbehave` that does so. */
struct backend *harness_misbehave(struct harness *harness, const char *how);
void harness_close(struct harness *harness, uint32_t timeout_ms);

/* Has this text been logged; come out; been a problem? */
bool harness_logged(struct harness *harness, const char *text);
bool harness_saw(struct harness *harness, const char *line);
bool harness_problem(struct harness *harness, const char *text);
unsigned harness_count(struct harness *harness, const char *line); /* how often a line came out */

/* Operations whose ends become a line "VERB done" or "VERB KIND CODE: MESSAGE". */
struct backend_operation *harness_start(struct harness *harness, struct backend *backend, const char *id,
                                        uint32_t timeout_ms);
struct backend_operation *harness_act(struct harness *harness, struct backend *backend,
                                      enum backend_verb verb, const char *id, uint32_t timeout_ms);
struct backend_operation *harness_list(struct harness *harness, struct backend *backend);
struct backend_operation *harness_describe(struct harness *harness, struct backend *backend);
struct backend_operation *harness_image(struct harness *harness, struct backend *backend, const char *image);
struct backend_operation *harness_logs(struct harness *harness, struct backend *backend, const char *id,
                                       bool follow, backend_data data);

#endif
