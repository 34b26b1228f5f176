/* unit/api/builds_world.c: see builds_world.h. Builds nothing. */
#include "builds_world.h"

#include <stdio.h>
#include <string.h>

struct builds_world builds_world;

struct build_upload {
    char unused;
};
static struct build_upload the_upload;

struct build_upload *builds_upload(struct builds *builds, const struct config *config,
                                   const struct viewer *viewer, const struct build_upload_events *events,
                                   struct sbx_error *err)
{
    (void)builds, (void)config, (void)viewer;
    if (builds_world.refuse) {
        *err = builds_world.error;
        return NULL;
    }
    builds_world.begun++;
    builds_world.events = *events;
    return &the_upload;
}

bool build_upload_write(struct build_upload *upload, const void *bytes, size_t len)
{
    assert_ptr_equal(upload, &the_upload);
    assert_true(len <= sizeof builds_world.context - builds_world.len);
    memcpy(builds_world.context + builds_world.len, bytes, len);
    builds_world.len += len;
    return !builds_world.full;
}

void build_upload_finish(struct build_upload *upload, const char *image, const char *const *names,
                         size_t count)
{
    assert_ptr_equal(upload, &the_upload);
    builds_world.finished++;
    builds_world.names_len = count;
    snprintf(builds_world.image, sizeof builds_world.image, "%s", image);
    for (size_t i = 0; i < count; i++)
        snprintf(builds_world.names[i], sizeof builds_world.names[i], "%s", names[i]);
}

void build_upload_drop(struct build_upload *upload)
{
    assert_ptr_equal(upload, &the_upload);
    builds_world.dropped++;
}

const struct build *builds_find(const struct builds *builds, const struct viewer *viewer, const char *id)
{
    (void)builds, (void)viewer;
    return builds_world.build && strcmp(builds_world.build->id, id) == 0 ? builds_world.build : NULL;
}

const struct build *builds_of_image(const struct builds *builds, const struct viewer *viewer,
                                    const char *full_name)
{
    (void)builds, (void)viewer;
    return builds_world.build && strcmp(builds_world.build->names[0], full_name) == 0 ? builds_world.build
                                                                                      : NULL;
}

bool builds_taken(const struct builds *builds, const struct viewer *viewer, const char *full_name)
{
    (void)builds, (void)viewer;
    return builds_world.taken && strcmp(builds_world.taken, full_name) == 0;
}
