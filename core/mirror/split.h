/* mirror/split.h: takes the JSON of a report apart into its events, each with the text that it came as.
 *
 * Pure, and on any thread. The text may be anything: what is not a report is told with its place. */
#ifndef MIRROR_SPLIT_H
#define MIRROR_SPLIT_H

#include "mirror/mirror.h"
#include "store/reports.h"

/* What is wrong with a text, as the members of struct mirror_outcome say where. */
struct split_problem {
    int64_t event;
    const char *member;
    char text[160]; /* "must be …" or a sentence */
};

/* `json` ends in a zero byte that does not count, and stays while the events are used: they point into it. */
struct split {
    struct store_new_event *events;
    size_t count;
    struct split_names *names; /* the ids and kinds */
    struct mirror_rejected *rejected;
    size_t rejected_count;
};

/* An array of events. Each is an object whose `id` is a text, whose `kind` is one too where it is there, and whose
 * `timestamp` counts where it is ISO 8601: else `arrived_us` does. At most `most` of them. What is no
 * such object is rejected, and the others are taken. -1: the text as a whole is wrong, or each event of it is: `problem`
 * tells the first. */
int split_events(struct split *split, const char *json, size_t len, size_t most, int64_t arrived_us,
                 struct split_problem *problem);
void split_finish(struct split *split);

/* Would split_events() take it? The text is an object, and JSON. */
bool split_is_event(const char *json);

/* One conversation: an object with an `id`, which is written as it is kept. -1: `problem`. */
int split_conversation(const char *json, size_t len, char *conversation_id, struct split_problem *problem);

#endif
