/* record.c: what the store has of a sandbox (remote.h), and the loading of all of it. Writing and deleting a record is
 * for start.c and remove.c, in whose order of things it has its place.
 */
#include "remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "sandbox/"

enum { READS_MAX = 64 }; /* at once */

/* ---- one record ---- */

void record_key(char *to, size_t size, const char *sandbox_id)
{
    snprintf(to, size, PREFIX "%s", sandbox_id);
}

static char *copy(const char *text)
{
    char *result = text ? strdup(text) : NULL;
    if (text && !result)
        abort();
    return result;
}

static sbx_json *text_or_null(const struct sbx_json_api *json, const char *text)
{
    return text ? json->new_string(text) : NULL;
}

char *record_write(const struct record *record, const struct sbx_json_api *json)
{
    sbx_json *object = json->new_object();
    json->set(object, "owner", text_or_null(json, record->owner));
    json->set(object, "spec_id", text_or_null(json, record->spec_id));
    json->set(object, "working_dir", text_or_null(json, record->working_dir));
    json->set(object, "created_at_us", json->new_integer(record->created_at_us));
    size_t len;
    char *text = copy(json->text(object, &len));
    json->free(object);
    return text;
}

void record_read(struct record *record, const struct sbx_json_api *json, const void *bytes, size_t len)
{
    sbx_json *object = bytes ? json->parse(bytes, len, NULL) : NULL;
    record_finish(record);
    record->owner = copy(json->string(json->get(object, "owner"), NULL));
    record->spec_id = copy(json->string(json->get(object, "spec_id"), NULL));
    record->working_dir = copy(json->string(json->get(object, "working_dir"), NULL));
    record->created_at_us = json->integer(json->get(object, "created_at_us"), 0);
    json->free(object);
}

void record_finish(struct record *record)
{
    free(record->owner);
    free(record->spec_id);
    free(record->working_dir);
    *record = (struct record){0};
}

/* ---- all of them ---- */

struct load {
    struct remote *remote;
    uint64_t number;
    char **ids; /* to be read, from `asked` on; owned */
    size_t count, asked;
    unsigned reading;
    bool failed;
    struct sbx_error error;
    void (*done)(void *arg, const struct sbx_error *error);
    void *arg;
};

struct reading {
    struct load *load;
    char id[SANDBOX_ID_SIZE];
};

static bool is_id(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return len > 0 && len < SANDBOX_ID_SIZE && text[len] == '\0';
}

/* Their records went since: removed by another instance of this backend. */
static void drop_missing(struct load *load)
{
    struct sandbox *sandbox = table_next(load->remote, NULL);
    while (sandbox) {
        struct sandbox *next = table_next(load->remote, sandbox);
        if (sandbox->loaded < load->number && sandbox->busy == 0)
            table_remove(load->remote, sandbox);
        sandbox = next;
    }
}

static void end(struct load *load)
{
    if (!load->failed)
        drop_missing(load);
    load->done(load->arg, load->failed ? &load->error : NULL);
    for (size_t i = load->asked; i < load->count; i++)
        free(load->ids[i]);
    free(load->ids);
    free(load);
}

static void read_on(struct load *load);

static void on_value(const struct sbx_error *error, const void *value, size_t len, void *arg)
{
    struct reading *reading = arg;
    struct load *load = reading->load;
    struct remote *remote = load->remote;
    load->reading--;
    if (error && !load->failed) {
        load->failed = true;
        load->error = *error;
    }
    if (value) {
        struct sandbox *sandbox = table_add(remote, reading->id);
        if (!sandbox->recorded) {
            record_read(&sandbox->record, remote->host->json, value, len);
            sandbox->cut_ms = remote->host->now_ms(); /* by a crash, perhaps */
        }
        sandbox->recorded = true;
        sandbox->loaded = load->number;
    }
    free(reading);
    read_on(load);
}

static void read_on(struct load *load)
{
    const struct sbx_host *host = load->remote->host;
    while (!load->failed && load->asked < load->count && load->reading < READS_MAX) {
        struct reading *reading = calloc(1, sizeof *reading);
        if (!reading)
            abort();
        char *id = load->ids[load->asked++];
        reading->load = load;
        snprintf(reading->id, sizeof reading->id, "%s", id);
        free(id);
        char key[SANDBOX_ID_SIZE + sizeof PREFIX];
        record_key(key, sizeof key, reading->id);
        load->reading++;
        host->store_get(load->remote->public, key, on_value, reading);
    }
    if (load->reading == 0)
        end(load);
}

static void on_keys(const struct sbx_error *error, const char *const *keys, size_t count, void *arg)
{
    struct load *load = arg;
    if (error) {
        load->failed = true;
        load->error = *error;
        count = 0;
    }
    if (count > 0 && !(load->ids = calloc(count, sizeof *load->ids)))
        abort();
    for (size_t i = 0; i < count; i++) {
        const char *id = keys[i] + strlen(PREFIX);
        struct sandbox *sandbox = is_id(id) ? table_find(load->remote, id) : NULL;
        if (sandbox && sandbox->recorded)
            sandbox->loaded = load->number;
        else if (is_id(id))
            load->ids[load->count++] = copy(id);
    }
    read_on(load);
}

void records_load(struct remote *remote, void (*done)(void *arg, const struct sbx_error *error), void *arg)
{
    struct load *load = calloc(1, sizeof *load);
    if (!load)
        abort();
    *load = (struct load){.remote = remote, .number = ++remote->loads, .done = done, .arg = arg};
    remote->host->store_list(remote->public, PREFIX, on_keys, load);
}
