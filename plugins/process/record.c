/* record.c: see record.h. Owns the names of the members. */
#include "record.h"

#include "common/failure.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD_MAX = 4 * 1024 * 1024 };

static void set_text(struct record *record, const char *name, const char *text)
{
    (void)record->json->set(record->document, name, text ? record->json->new_string(text) : NULL);
}

static void set_integer(struct record *record, const char *name, int64_t value)
{
    (void)record->json->set(record->document, name, record->json->new_integer(value));
}

int record_new(struct record *record, const struct sbx_json_api *json, const struct sbx_start *start,
               const char *base, struct sbx_error *err)
{
    *record = (struct record){.json = json};
    const char *why = "";
    sbx_json *spec = json->parse(start->spec_json, start->spec_len, &why);
    if (json->type(spec) != SBX_JSON_OBJECT) {
        json->free(spec);
        return failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED, "the spec is no JSON object: %s",
                           why);
    }
    record->document = json->new_object();
    set_text(record, "id", start->sandbox_id);
    set_text(record, "owner", start->owner);
    set_text(record, "spec_id", start->spec_id);
    set_text(record, "session_key", start->session_key);
    set_text(record, "base", base);
    set_integer(record, "created_at_us", start->created_at_us);
    (void)json->set(record->document, "spec", spec);
    return 0;
}

int record_read(struct record *record, const struct sbx_json_api *json, int control_dir)
{
    *record = (struct record){.json = json};
    int fd = openat(control_dir, WIRE_RECORD_NAME, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    if (fd < 0)
        return -1;
    char *text = NULL;
    ssize_t len = -1;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= RECORD_MAX &&
        (text = malloc((size_t)status.st_size + 1)))
        len = read(fd, text, (size_t)status.st_size);
    close(fd);
    if (len > 0)
        record->document = json->parse(text, (size_t)len, NULL);
    if (text)
        explicit_bzero(text, (size_t)status.st_size);
    free(text);
    if (json->type(record->document) == SBX_JSON_OBJECT && record_text(record, "id") &&
        record_text(record, "session_key") && record_text(record, "base"))
        return 0;
    record_finish(record);
    errno = EBADMSG;
    return -1;
}

int record_write(const struct record *record, int control_dir)
{
    size_t len;
    const char *text = record->json->text(record->document, &len);
    int fd = openat(control_dir, WIRE_RECORD_NAME ".new",
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    size_t done = 0;
    while (done < len) {
        ssize_t written = write(fd, text + done, len - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            break;
        done += (size_t)written;
    }
    int error = done == len ? 0 : errno;
    close(fd);
    if (error == 0 && renameat(control_dir, WIRE_RECORD_NAME ".new", control_dir, WIRE_RECORD_NAME) == 0)
        return 0;
    if (error != 0)
        errno = error;
    return -1;
}

int record_sync(int state_dir, int control_dir)
{
    int fd = openat(control_dir, WIRE_RECORD_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    int result = fsync(fd) == 0 && fsync(control_dir) == 0 && fsync(state_dir) == 0 ? 0 : -1;
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

void record_finish(struct record *record)
{
    if (record->document)
        record->json->free(record->document);
    record->document = NULL;
}

void record_set_run(struct record *record, uint64_t incarnation, uint16_t port, uint32_t attempt,
                    const struct limits_groups *groups)
{
    set_integer(record, "incarnation", (int64_t)incarnation);
    set_integer(record, "port", port);
    set_integer(record, "attempt", attempt);
    sbx_json *list = record->json->new_array();
    for (uint32_t i = 0; i < groups->count; i++)
        (void)record->json->push(list, record->json->new_string(groups->dirs[i]));
    (void)record->json->set(record->document, "groups", list);
    set_integer(record, "freezer", groups->freezer);
}

void record_set_owner(struct record *record, const char *mark, const char *path)
{
    set_text(record, RECORD_OWNER, mark);
    set_text(record, RECORD_OWNER_PATH, path);
}

void record_groups(const struct record *record, struct limits_groups *groups)
{
    const sbx_json *list = record->json->get(record->document, "groups");
    int64_t freezer = record_integer(record, "freezer");
    *groups = (struct limits_groups){.freezer = freezer == 1 || freezer == 2 ? (uint32_t)freezer : 0};
    for (size_t i = 0; i < record->json->length(list) && groups->count < LIMITS_GROUPS_MAX; i++) {
        const char *dir = record->json->string(record->json->at(list, i), "");
        size_t len = strlen(dir);
        if (len > 0 && len < PATH_MAX)
            memcpy(groups->dirs[groups->count++], dir, len + 1);
    }
    if (groups->count == 0)
        groups->freezer = 0;
}

const char *record_text(const struct record *record, const char *name)
{
    return record->json->string(record->json->get(record->document, name), NULL);
}

int64_t record_integer(const struct record *record, const char *name)
{
    return record->json->integer(record->json->get(record->document, name), 0);
}

const sbx_json *record_spec(const struct record *record)
{
    return record->json->get(record->document, "spec");
}
