/* create_parts.h: how the parts of create.c put a request together. Included by these alone.
 */
#ifndef DOCKER_CREATE_PARTS_H
#define DOCKER_CREATE_PARTS_H

#include "operations/create.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARGUMENT_MAX = 128 * 1024 }; /* execve(2), MAX_ARG_STRLEN */

struct creation {
    const struct sbx_json_api *json;
    const struct options *options;
    const struct create_input *input;
    const struct sbx_json *kwargs; /* the operator's, parsed; NULL: none */
    struct sbx_error *err;
};

/* The tree takes the value. They end the program where there is no memory. */
void create_put(const struct creation *creation, struct sbx_json *object, const char *key,
                struct sbx_json *value);
void create_put_text(const struct creation *creation, struct sbx_json *object, const char *key,
                     const char *text);
void create_push(const struct creation *creation, struct sbx_json *array, struct sbx_json *value);
void create_push_text(const struct creation *creation, struct sbx_json *array, const char *text);

/* `text` with each `what` in it replaced. Owned; NULL: longer than `max`. */
char *create_replaced(const char *text, const char *what, const char *with, size_t max);

/* The member's name as it is written in `object`, without regard to case, as the engine reads it; NULL: none. */
const char *create_same_member(const struct sbx_json_api *json, const struct sbx_json *object,
                               const char *name);

/* create_command.c: `Entrypoint` and `Cmd`. -1 with err. */
int create_put_command(const struct creation *creation, struct sbx_json *body);

/* create_env.c: the environment as the engine takes it, with `more` ("NAME=VALUE", or a NAME that is taken away) from
 * the operator. Owned; NULL with err. */
struct sbx_json *create_environment(const struct creation *creation, const struct sbx_json *more);

#endif
