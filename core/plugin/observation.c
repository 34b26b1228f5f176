/* plugin/observation.c: see observation.h. Owns nothing: whether a report is possible is decided here, what it
 * means is the sandbox service's business. */
#include "plugin/observation.h"

#include "plugin/sanitize.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    OWNER_MAX = 255,
    URL_NAME_MAX = 63,
    SIZE_WITH_RESTARTS = offsetof(struct sbx_observation, restart_count) + sizeof(uint32_t)
};

/* The copy: first it is measured (`at` is NULL), then it is written. */
struct writer {
    char *at;
    size_t used;
};

static char *add_bytes(struct writer *writer, const void *bytes, size_t len)
{
    char *place = writer->at ? writer->at + writer->used : NULL;
    if (place && bytes)
        memcpy(place, bytes, len);
    writer->used += len;
    return place;
}

static const char *add_text(struct writer *writer, const char *text)
{
    return text ? add_bytes(writer, text, strlen(text) + 1) : NULL;
}

/* Output of a program may hold anything, and be cut in the middle of a character. */
static const char *add_output(struct writer *writer, const char *text)
{
    if (!text)
        return NULL;
    size_t len = strlen(text);
    char *place = add_bytes(writer, NULL, len + 1);
    if (place)
        sanitize_text(place, len + 1, text, len);
    return place;
}

static bool fits(const char *text, size_t max)
{
    return !text || strnlen(text, max + 1) <= max;
}

static bool is_text(const char *text, size_t max)
{
    return fits(text, max) && (!text || sanitize_is_utf8(text, strlen(text)));
}

static bool is_word(const char *text, size_t max)
{
    if (!text || !text[0] || !is_text(text, max))
        return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f)
            return false;
    return true;
}

static bool is_url_name(const char *name)
{
    if (!name || !fits(name, URL_NAME_MAX))
        return false;
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return len > 0 && name[len] == '\0';
}

/* A plugin built against 1.0 ends before it, and may have anything in `urls` of what does not run. */
static bool has_flags(const struct sbx_observation *report)
{
    return report->size >= offsetof(struct sbx_observation, flags) + sizeof report->flags;
}

/* A plugin built against 1.1 counts none. */
static uint32_t restart_count(const struct sbx_observation *report)
{
    return report->size >= SIZE_WITH_RESTARTS ? report->restart_count : 0;
}

static uint32_t count_urls(const struct sbx_observation *report)
{
    switch (report->state) {
    case SBX_STATE_RUNNING: return report->urls_count;
    case SBX_STATE_STARTING:
    case SBX_STATE_PAUSED:
    case SBX_STATE_STOPPED: return has_flags(report) ? report->urls_count : 0;
    default: return 0;
    }
}

static const char *check_urls(const struct sbx_observation *report)
{
    if (count_urls(report) == 0)
        return NULL;
    if (report->urls_count > OBSERVATION_MAX_URLS)
        return "it has more than 16 URLs";
    if (!report->urls)
        return "it counts URLs but has none";
    for (uint32_t i = 0; i < report->urls_count; i++) {
        const struct sbx_url *url = &report->urls[i];
        if (!is_url_name(url->name))
            return "the name of a URL is not 1 to 63 letters, digits, '_' and '-'";
        if (!is_word(url->url, OBSERVATION_MAX_TEXT))
            return "a URL is missing, over 4 KiB, not UTF-8, or has blanks in it";
        if (url->port < 0 || url->port > 65535)
            return "the port of a URL is not between 0 and 65535";
    }
    return NULL;
}

/* NULL also for a plugin built against 1.0, whose struct ends before it. */
static const char *agent_url(const struct sbx_observation *report)
{
    return report->state == SBX_STATE_RUNNING && SBX_HAS(report, agent_url) ? report->agent_url : NULL;
}

/* Does it tell of an end? Before 1.2 what starts had none. */
static bool has_ended(const struct sbx_observation *report)
{
    return report->state == SBX_STATE_ENDED ||
           (report->state == SBX_STATE_STARTING && report->error && report->size >= SIZE_WITH_RESTARTS);
}

static const char *check(const struct sbx_observation *report)
{
    if (report->state < SBX_STATE_STARTING || report->state > SBX_STATE_GONE)
        return "its state is none of enum sbx_state";
    if (!is_text(report->detail, OBSERVATION_MAX_TEXT))
        return "its detail is over 4 KiB or not UTF-8";
    if (!fits(report->log_tail, OBSERVATION_MAX_TEXT))
        return "its log_tail is over 4 KiB";
    if (has_ended(report) && (report->exit_code < -1 || report->exit_code > 255))
        return "its exit_code is not between -1 and 255";
    if (!is_text(report->owner, OWNER_MAX) || !is_text(report->spec_id, OBSERVATION_MAX_TEXT) ||
        !is_text(report->session_key, OWNER_MAX))
        return "its owner, spec_id or session_key is too long or not UTF-8";
    if (agent_url(report) && !is_word(agent_url(report), OBSERVATION_MAX_TEXT))
        return "its agent_url is empty, over 4 KiB, not UTF-8, or has blanks in it";
    if (has_flags(report) && report->flags & SBX_OBSERVED_KEY && !is_word(report->session_key, OWNER_MAX))
        return "it brings a session_key that is missing, empty, or has blanks in it";
    return check_urls(report);
}

/* Those that mean something in that state. */
static uint32_t report_flags(const struct sbx_observation *report, bool over)
{
    uint32_t known = SBX_OBSERVED_KEY;
    if (over && report->state != SBX_STATE_STARTING)
        known |= SBX_OBSERVED_UNUSED;
    if (report->state == SBX_STATE_RUNNING)
        known |= SBX_OBSERVED_UNREACHED;
    return has_flags(report) ? report->flags & known : 0;
}

static struct sbx_observation *write_copy(struct writer *writer, const struct sbx_observation *report)
{
    bool over = has_ended(report) || report->state == SBX_STATE_FAILED;
    uint32_t count = count_urls(report);
    struct sbx_observation *copy = (void *)add_bytes(writer, NULL, sizeof *copy);
    struct sbx_url *urls = count ? (void *)add_bytes(writer, report->urls, count * sizeof *urls) : NULL;
    struct sbx_error *error = over && report->error ? (void *)add_bytes(writer, NULL, sizeof *error) : NULL;
    if (error)
        sanitize_error(error, report->error);
    struct sbx_observation value = {
        .size = sizeof value,
        .state = report->state,
        .sandbox_id = add_text(writer, report->sandbox_id),
        .detail = add_text(writer, report->detail),
        .urls = urls,
        .urls_count = count,
        .exit_code = has_ended(report) ? report->exit_code : -1,
        .error = error,
        .log_tail = over ? add_output(writer, report->log_tail) : NULL,
        .incarnation = report->incarnation,
        .owner = add_text(writer, report->owner),
        .spec_id = add_text(writer, report->spec_id),
        .session_key = add_text(writer, report->session_key),
        .created_at_us = report->created_at_us > 0 ? report->created_at_us : 0,
        .agent_url = add_text(writer, agent_url(report)),
        .flags = report_flags(report, over),
        .restart_count = restart_count(report),
    };
    for (uint32_t i = 0; i < count; i++) {
        const char *name = add_text(writer, report->urls[i].name);
        const char *url = add_text(writer, report->urls[i].url);
        if (urls) {
            urls[i].name = name;
            urls[i].url = url;
        }
    }
    if (copy)
        *copy = value;
    return copy;
}

struct sbx_observation *observation_copy(const struct sbx_observation *report, size_t *bytes,
                                         const char **why, const char **id)
{
    *id = NULL;
    *why = "it is null or gives no size";
    if (!report ||
        report->size < offsetof(struct sbx_observation, created_at_us) + sizeof report->created_at_us)
        return NULL;
    *why = "its sandbox_id is not 1 to 127 letters, digits, '-', '_' and '.'";
    if (!sanitize_is_sandbox_id(report->sandbox_id))
        return NULL;
    *id = report->sandbox_id;
    *why = check(report);
    if (*why)
        return NULL;
    struct writer writer = {0};
    write_copy(&writer, report);
    *bytes = writer.used;
    writer = (struct writer){.at = malloc(*bytes)};
    *why = "there is no memory for it";
    return writer.at ? write_copy(&writer, report) : NULL;
}
