/* build_tail.h: of the text of a build, what people are told: the step at hand, and the end of the output. Pure.
 */
#ifndef DOCKER_BUILD_TAIL_H
#define DOCKER_BUILD_TAIL_H

#include <stddef.h>

enum { BUILD_STEP_SIZE = 160, BUILD_TAIL_SIZE = 2048 };

struct build_tail {
    char step[BUILD_STEP_SIZE]; /* "Step 2/5 : RUN make"; "" before the first */
    char text[BUILD_TAIL_SIZE];
    size_t len;
};

void build_tail_add(struct build_tail *tail, const char *text, size_t len);
/* The last lines on one, with " | " between them, in less than `size` bytes; "" where there are none. */
void build_tail_line(const struct build_tail *tail, char *line, size_t size);

#endif
