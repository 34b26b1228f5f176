/* mirror/turn.c: see turn.h. Each function that waits for something ends where its answer goes on. */
#include "mirror/turn.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "mirror/poller.h"
#include "mirror/split.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE_LIMIT = 100,         /* what agent servers give at most */
    PAGE_BYTES = 1 << 20,     /* of a whole page; one of fewer items may have more */
    OVERLAP_S = 26 * 60 * 60, /* between the clocks of any two time zones */
    LAST_READS = 4, /* after a conversation changed: an event may be there a little later than that */
    URL_MAX = 8192
};

static void next_conversation(struct agent *agent);
static void next_events(struct agent *agent);
static void report_events(struct agent *agent);

static struct conversation *current(struct agent *agent)
{
    return &agent->conversations[agent->at];
}

static void over(struct agent *agent, const struct sbx_error *err)
{
    poller_turn_over(agent, err, false);
}

/* What is left of a page is not kept meanwhile: many agents may wait. */
static void wait_for_place(struct agent *agent)
{
    page_finish(&agent->page);
    poller_wait_for_place(agent->poller, agent);
}

/* ---- a request -------------------------------------------------------------------------------- */

static void add_encoded(struct buffer *url, const char *text)
{
    for (; *text; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                     (*text >= '0' && *text <= '9') || strchr("-._~", *text);
        if (plain)
            buffer_add(url, text, 1);
        else
            buffer_add_format(url, "%%%02X", (unsigned char)*text);
    }
}

static void make_url(struct agent *agent, const char *base, struct buffer *url)
{
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    buffer_add(url, base, len);
    if (agent->of_events)
        buffer_add_format(url, "/api/conversations/%s/events/search?limit=%zu&sort_order=TIMESTAMP",
                          current(agent)->spelled, agent->limit);
    else
        buffer_add_format(url, "/api/conversations/search?limit=%zu", agent->limit);
    if (agent->of_events && current(agent)->from[0])
        buffer_add_format(url, "&timestamp__gte=%s", current(agent)->from);
    if (agent->page_id[0]) {
        buffer_add_text(url, "&page_id=");
        add_encoded(url, agent->page_id);
    }
}

static size_t page_bytes(const struct agent *agent)
{
    return agent->limit == PAGE_LIMIT ? (size_t)PAGE_BYTES : (size_t)MIRROR_MAX_REPORT;
}

/* The answer is no page: the turn is over, or goes on with the next conversation. */
static void refuse_answer(struct agent *agent, enum sbx_error_kind kind, const char *why)
{
    struct sbx_error err;
    if (agent->of_events) {
        poller_complain(agent, LOG_WARN, "the events of its conversation %s can't be read: %s",
                        current(agent)->id, why);
        current(agent)->page_id[0] = '\0'; /* which it may not know any more */
        current(agent)->newest = 0;
        agent->at++;
        next_events(agent);
        return;
    }
    error_set(&err, kind, SBX_CODE_BACKEND_REFUSED, "%s", why);
    over(agent, &err);
}

static void page_was_read(void *arg)
{
    struct agent *agent = arg;
    agent->under_way = false;
    if (!poller_landed(agent))
        return;
    if (agent->page.why[0]) {
        refuse_answer(agent, SBX_ERR_REFUSED, agent->page.why);
        return;
    }
    if (agent->page.strange)
        poller_complain(agent, LOG_WARN, "its agent server has %s: they are left out",
                        agent->of_events
                            ? "events that are no objects, or whose id or kind is no text of 1 to "
                              "127 bytes"
                            : "conversations that are no objects");
    agent->item = 0;
    if (agent->of_events)
        report_events(agent);
    else
        next_conversation(agent);
}

static void read_page(void *arg)
{
    struct agent *agent = arg;
    page_read(&agent->page);
    if (agent->of_events)
        page_keep(&agent->page, split_is_event);
}

/* Too large: fewer items are asked for, down to one. Whose one item is too large is not read further. */
static void ask_for_less(struct agent *agent, const struct sbx_error *err)
{
    if (agent->limit > 1) {
        agent->limit = agent->limit > 10 ? 10 : 1;
        wait_for_place(agent);
    } else if (agent->of_events) {
        current(agent)->spoilt = true;
        poller_complain(agent, LOG_WARN, "the events of its conversation %s can't be read further: %s",
                        current(agent)->id, err->message);
        agent->at++;
        next_events(agent);
    } else {
        over(agent, err);
    }
}

static void fetched(void *arg, const struct sbx_error *err, int status, const void *body, size_t len)
{
    struct agent *agent = arg;
    struct sbx_error none;
    char why[64];
    agent->transfer = NULL;
    poller_leave_place(agent->poller);
    if (err && err->kind == SBX_ERR_REFUSED && status == 200) {
        ask_for_less(agent, err);
    } else if (err) {
        over(agent, err);
    } else if (status != 200) {
        snprintf(why, sizeof why, "it answered with status %d", status);
        refuse_answer(agent, status == 404 ? SBX_ERR_NOT_FOUND : SBX_ERR_REFUSED, why);
    } else if (page_init(&agent->page, body, len)) {
        error_set(&none, SBX_ERR_UNAVAILABLE, SBX_CODE_INTERNAL, "no memory is left for its answer");
        over(agent, &none);
    } else {
        agent->under_way = true;
        pool_submit(agent->poller->deps.pool, read_page, page_was_read, agent);
    }
}

void turn_fetch(struct agent *agent)
{
    static const struct client_handler handler = {.done = fetched};
    struct poller *poller = agent->poller;
    struct mirror_agent running;
    struct sbx_error err;
    page_finish(&agent->page);
    agent->pages++;
    if (!mirror_find_agent(poller->mirror, agent->sandbox_id, &running)) {
        poller_leave_place(poller);
        over(agent, NULL); /* the next look at what runs leaves it */
        return;
    }
    struct buffer url = buffer_init(URL_MAX), key = buffer_init(URL_MAX);
    make_url(agent, running.url, &url);
    buffer_add_format(&key, "X-Session-API-Key: %s", running.session_key);
    const char *headers[] = {"Accept: application/json", buffer_text(&key), NULL};
    struct client_request request = {.url = buffer_text(&url),
                                     .headers = headers,
                                     .purpose = "poll",
                                     .timeout_ms = POLLER_TIMEOUT_MS,
                                     .max_body = page_bytes(agent)};
    agent->transfer = client_start(poller->deps.client, &request, &handler, agent, &err);
    OPENSSL_cleanse(key.data, key.len);
    buffer_finish(&key);
    buffer_finish(&url);
    if (!agent->transfer) {
        poller_leave_place(poller);
        over(agent, &err);
    }
}

/* The next page, or with `last` none. False: the turn was long enough, and is over. */
static bool turn_page(struct agent *agent, bool *last)
{
    *last = agent->page.next[0] == '\0';
    if (!*last && strcmp(agent->page.next, agent->page_id) == 0) {
        poller_complain(agent, LOG_WARN, "its agent server says of a page that it follows itself");
        *last = true;
    }
    if (*last)
        return true;
    memcpy(agent->page_id, agent->page.next, sizeof agent->page_id);
    if (agent->of_events)
        memcpy(current(agent)->page_id, agent->page.next, sizeof agent->page_id);
    if (agent->pages < TURN_PAGES) {
        wait_for_place(agent);
        return true;
    }
    struct sbx_error err;
    error_set(&err, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED, "%d pages had nothing new", TURN_PAGES);
    poller_turn_over(agent, agent->news ? NULL : &err, agent->news);
    return false;
}

/* ---- conversations ---------------------------------------------------------------------------- */

/* The conversation of that id, begun where it is not known; NULL: there are too many. */
static struct conversation *follow(struct agent *agent, const char *id, const char *spelled)
{
    for (size_t i = 0; i < agent->count; i++)
        if (strcmp(agent->conversations[i].id, id) == 0)
            return &agent->conversations[i];
    if (agent->count == TURN_CONVERSATIONS)
        return NULL;
    if (agent->count == agent->room) {
        agent->room = agent->room ? 2 * agent->room : 4;
        agent->conversations = realloc(agent->conversations, agent->room * sizeof *agent->conversations);
        if (!agent->conversations)
            abort();
    }
    struct conversation *conversation = &agent->conversations[agent->count++];
    *conversation = (struct conversation){0};
    memcpy(conversation->id, id, sizeof conversation->id);
    snprintf(conversation->spelled, sizeof conversation->spelled, "%s", spelled);
    return conversation;
}

/* That of the item; NULL: it is none, or one too many. */
static struct conversation *conversation_of(struct agent *agent, const struct walk_span *json)
{
    static const char *const names[] = {"id", "updated_at"};
    struct walk_span values[2];
    char spelled[SPELLED_SIZE], id[MIRROR_CONVERSATION_ID_SIZE];
    walk_members(json->at, names, values, 2);
    if (!walk_text(&values[0], spelled, sizeof spelled) || !mirror_conversation_id(spelled, id)) {
        poller_complain(agent, LOG_WARN, "its agent server has a conversation whose id is no UUID: left out");
        return NULL;
    }
    struct conversation *conversation = follow(agent, id, spelled);
    if (conversation)
        conversation->dated = !walk_is_null(&values[1]);
    else
        poller_complain(agent, LOG_WARN,
                        "its agent server has more than %d conversations: others are left out",
                        TURN_CONVERSATIONS);
    return conversation;
}

static void conversation_was_reported(void *arg, const struct sbx_error *err,
                                      const struct mirror_outcome *outcome)
{
    (void)outcome;
    struct agent *agent = arg;
    const struct walk_span *json = &agent->page.items[agent->item];
    agent->report = NULL;
    if (err && err->kind != SBX_ERR_INVALID) {
        over(agent, err->retryable ? NULL : err);
        return;
    }
    current(agent)->text = page_hash(json->at, json->len);
    if (err)
        poller_complain(agent, LOG_WARN, "a conversation of its agent server is left out: it %s",
                        err->message);
    agent->item++;
    next_conversation(agent);
}

/* False: its report is on its way. */
static bool is_known(struct agent *agent, const struct walk_span *json)
{
    struct conversation *conversation = conversation_of(agent, json);
    struct sbx_error err;
    struct mirror_agent running;
    if (!conversation)
        return true;
    conversation->listed = true;
    if (conversation->text == page_hash(json->at, json->len))
        return true;
    conversation->reads = 0;
    if (!mirror_find_agent(agent->poller->mirror, agent->sandbox_id, &running))
        return true;
    agent->report = mirror_report_open(agent->poller->mirror, running.sandbox, json->len, &err);
    if (!agent->report)
        return true; /* the next turn tries again */
    agent->at = (size_t)(conversation - agent->conversations);
    mirror_report_conversation(agent->report, json->at, json->len, conversation_was_reported, agent);
    return false;
}

static void forget_unlisted(struct agent *agent)
{
    size_t kept = 0;
    for (size_t i = 0; i < agent->count; i++)
        if (agent->conversations[i].listed)
            agent->conversations[kept++] = agent->conversations[i];
    agent->count = kept;
}

static void next_conversation(struct agent *agent)
{
    bool last;
    for (; agent->item < agent->page.count; agent->item++)
        if (!is_known(agent, &agent->page.items[agent->item]))
            return;
    if (!turn_page(agent, &last) || !last)
        return;
    forget_unlisted(agent);
    agent->of_events = true;
    agent->at = 0;
    next_events(agent);
}

/* ---- events ----------------------------------------------------------------------------------- */

/* Without a zone, which an agent server takes as its own, in which its events' times are written. */
static void begin_from(struct conversation *conversation, int64_t last_us)
{
    char iso[CLOCK_ISO_SIZE];
    int64_t from_us = last_us - (int64_t)OVERLAP_S * 1000000;
    conversation->begun = true;
    if (from_us <= 0)
        return;
    clock_iso(from_us, iso);
    snprintf(conversation->from, sizeof conversation->from, "%.*s", (int)strlen(iso) - 1, iso);
}

static void last_time_is_known(void *arg, const struct sbx_error *err, int64_t last_us)
{
    struct agent *agent = arg;
    agent->under_way = false;
    if (!poller_landed(agent))
        return;
    if (err) {
        over(agent, NULL); /* that is not its fault, and was told */
        return;
    }
    begin_from(current(agent), last_us);
    next_events(agent);
}

static bool has_nothing_new(const struct conversation *conversation)
{
    return conversation->spoilt || (conversation->dated && conversation->reads >= LAST_READS);
}

static void next_events(struct agent *agent)
{
    page_finish(&agent->page);
    while (agent->at < agent->count && has_nothing_new(current(agent)))
        agent->at++;
    if (agent->at == agent->count) {
        over(agent, NULL);
        return;
    }
    struct conversation *conversation = current(agent);
    if (!conversation->begun) {
        agent->under_way = true;
        store_events_last_time(agent->poller->deps.store, agent->sandbox_id, conversation->id,
                               last_time_is_known, agent);
        return;
    }
    agent->limit = PAGE_LIMIT;
    memcpy(agent->page_id, conversation->page_id, sizeof agent->page_id);
    wait_for_place(agent);
}

static void events_are_had(struct agent *agent)
{
    bool last;
    if (agent->page.last)
        current(agent)->newest = agent->page.last;
    if (!turn_page(agent, &last) || !last)
        return;
    current(agent)->reads++;
    agent->at++;
    next_events(agent);
}

static void events_were_reported(void *arg, const struct sbx_error *err, const struct mirror_outcome *outcome)
{
    struct agent *agent = arg;
    agent->report = NULL;
    if (err) {
        over(agent, err->retryable ? NULL : err);
    } else {
        agent->news = agent->news || outcome->stored > 0;
        events_are_had(agent);
    }
}

static void report_events(struct agent *agent)
{
    const struct page *page = &agent->page;
    struct mirror_agent running;
    struct sbx_error err;
    size_t len;
    if (page->count == 0 || page->last == current(agent)->newest) {
        events_are_had(agent);
        return;
    }
    if (!mirror_find_agent(agent->poller->mirror, agent->sandbox_id, &running)) {
        over(agent, NULL);
        return;
    }
    char *array = page_array(page, &len);
    if (array)
        agent->report = mirror_report_open(agent->poller->mirror, running.sandbox, len, &err);
    if (agent->report)
        mirror_report_events(agent->report, current(agent)->id, array, len, events_were_reported, agent);
    free(array);
    if (!agent->report)
        over(agent, NULL); /* there is no room for it now */
}

/* ---- the interface ---------------------------------------------------------------------------- */

void turn_begin(struct agent *agent)
{
    for (size_t i = 0; i < agent->count; i++)
        agent->conversations[i].listed = false;
    agent->of_events = agent->news = false;
    agent->at = agent->pages = 0;
    agent->limit = PAGE_LIMIT;
    agent->page_id[0] = '\0';
    wait_for_place(agent);
}

bool turn_cancel(struct agent *agent)
{
    if (agent->transfer) {
        client_cancel(agent->transfer);
        agent->transfer = NULL;
        poller_leave_place(agent->poller);
    }
    if (agent->report)
        mirror_report_close(agent->report);
    agent->report = NULL;
    return !agent->under_way;
}

void turn_finish(struct agent *agent)
{
    page_finish(&agent->page);
}
