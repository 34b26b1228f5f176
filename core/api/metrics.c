/* api/metrics.c: GET /metrics, in the Prometheus text format 0.0.4. Names and labels here are documented for
 * operators: they are changed with care. */
#include "api/call.h"
#include "api/routes.h"

#include <dirent.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <unistd.h>

static void family(struct evbuffer *out, const char *name, const char *type, const char *help)
{
    evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(struct evbuffer *out, const char *name, const char *type, const char *help, uint64_t value)
{
    family(out, name, type, help);
    evbuffer_add_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

/* NAME="VALUE", with what the format wants escaped. */
static void label(struct evbuffer *out, const char *name, const char *value)
{
    evbuffer_add_printf(out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\n') {
            evbuffer_add(out, "\\n", 2);
            continue;
        }
        if (*value == '\\' || *value == '"')
            evbuffer_add(out, "\\", 1);
        evbuffer_add(out, value, 1);
    }
    evbuffer_add(out, "\"", 1);
}

/* Pages of memory that are resident, the second number of statm (proc(5)). */
static uint64_t resident_bytes(void)
{
    unsigned long long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static uint64_t open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    uint64_t count = 0;
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count - 1; /* the one that reads the folder */
}

static void add_daemon(struct evbuffer *out, const struct call *call)
{
    family(out, "sandboxd_info", "gauge", "The daemon's version, as a label.");
    evbuffer_add_printf(out, "sandboxd_info{");
    label(out, "version", call->api->deps.version);
    evbuffer_add_printf(out, "} 1\n");
    single(out, "sandboxd_generation", "gauge", "Number of the configuration in force.",
           http_config(call->request)->number);
    single(out, "process_resident_memory_bytes", "gauge", "Resident memory in bytes.", resident_bytes());
    single(out, "process_open_fds", "gauge", "Open file descriptors.", open_descriptors());
}

static void add_http(struct evbuffer *out, const struct api *api)
{
    if (api->server) {
        struct http_stats stats = http_server_stats(api->server);
        single(out, "sandboxd_http_connections", "gauge", "Client connections that are open.",
               stats.connections);
        single(out, "sandboxd_http_connections_total", "counter", "Client connections that were accepted.",
               stats.connections_total);
        single(out, "sandboxd_http_requests_total", "counter", "Requests whose head was read.",
               stats.requests_total);
        single(out, "sandboxd_http_bad_requests_total", "counter", "Requests that were not valid HTTP.",
               stats.bad_requests);
        single(out, "sandboxd_http_timeouts_total", "counter", "Clients that were cut off for being slow.",
               stats.timeouts);
        single(out, "sandboxd_http_over_limit_total", "counter",
               "Times that new connections had to wait for room.", stats.over_limit);
    }
    family(out, "sandboxd_http_responses_total", "counter", "Answers, by class of status.");
    for (int first = 2; first < 6; first++)
        evbuffer_add_printf(out, "sandboxd_http_responses_total{code=\"%dxx\"} %llu\n", first,
                            (unsigned long long)api->answers[first]);
    single(out, "sandboxd_http_abandoned_total", "counter", "Requests whose client left before the answer.",
           api->cancelled);
}

static void add_backends(struct evbuffer *out, const struct service *service)
{
    size_t count = service_backends_count(service);
    family(out, "sandboxd_backend_up", "gauge", "1 while the backend can be reached.");
    for (size_t i = 0; i < count; i++) {
        struct service_backend backend = service_backend_at(service, i);
        evbuffer_add_printf(out, "sandboxd_backend_up{");
        label(out, "backend", backend.name);
        evbuffer_add_printf(out, ",");
        label(out, "plugin", backend.plugin);
        evbuffer_add_printf(out, "} %d\n", backend.unavailable ? 0 : 1);
    }
    family(out, "sandboxd_sandboxes", "gauge",
           "Sandboxes, by backend and status. DELETING: not cleaned up yet.");
    for (size_t i = 0; i < count; i++) {
        struct service_backend backend = service_backend_at(service, i);
        size_t counts[SANDBOX_STATUSES];
        table_count(service_table(service), backend.home, counts);
        for (int status = 0; status < SANDBOX_STATUSES; status++) {
            evbuffer_add_printf(out, "sandboxd_sandboxes{");
            label(out, "backend", backend.name);
            evbuffer_add_printf(out, ",status=\"%s\"} %zu\n", sandbox_status_name(status), counts[status]);
        }
    }
}

static void add_service(struct evbuffer *out, const struct service *service)
{
    struct service_stats stats = service_stats(service);
    single(out, "sandboxd_starts_total", "counter", "Starts that were asked for.", stats.starts);
    single(out, "sandboxd_start_failures_total", "counter", "Starts that failed.", stats.start_failures);
    single(out, "sandboxd_pauses_total", "counter", "Pauses.", stats.pauses);
    single(out, "sandboxd_room_pauses_total", "counter",
           "Sandboxes paused by over_limit: pause_oldest, to make room for another one.", stats.room_pauses);
    single(out, "sandboxd_outside_pauses_total", "counter",
           "Sandboxes that a backend reported as paused or stopped, and this daemon had not asked for it.",
           stats.outside_pauses);
    single(out, "sandboxd_resumes_total", "counter", "Resumes.", stats.resumes);
    single(out, "sandboxd_deletes_total", "counter", "Deletions.", stats.deletes);
    single(out, "sandboxd_adopted_total", "counter", "Sandboxes found that this daemon had no record of.",
           stats.adopted);
    single(out, "sandboxd_health_checks_total", "counter", "Health checks of sandboxes.",
           stats.health_checks);
    single(out, "sandboxd_health_failures_total", "counter", "Health checks that failed.",
           stats.health_failures);
}

static void add_mirror(struct evbuffer *out, const struct mirror *mirror)
{
    struct mirror_stats stats = mirror_stats(mirror);
    single(out, "sandboxd_events_stored_total", "counter", "Events of agents that were stored.",
           stats.events);
    single(out, "sandboxd_events_duplicates_total", "counter", "Events that were reported again.",
           stats.duplicates);
    single(out, "sandboxd_conversation_reports_total", "counter",
           "Reports of conversations that were stored.", stats.conversations);
    single(out, "sandboxd_reports_refused_total", "counter", "Reports that were wrong, or over a bound.",
           stats.refused);
    single(out, "sandboxd_events_rejected_total", "counter",
           "Events in reports that were no events; the others of their reports were stored.", stats.rejected);
    single(out, "sandboxd_reports_failed_total", "counter", "Reports that the store failed to keep.",
           stats.failed);
    single(out, "sandboxd_agent_polls_total", "counter", "Times that an agent server was asked what is new.",
           stats.polls + stats.poll_failures);
    single(out, "sandboxd_agent_poll_failures_total", "counter", "Of these, that did not end well.",
           stats.poll_failures);
}

static void add_callbacks(struct evbuffer *out, const struct mirror *mirror)
{
    static const struct {
        const char *name, *type, *help;
    } families[] = {
        {"sandboxd_callback_up", "gauge", "1 unless there are messages that the callback did not take."},
        {"sandboxd_callback_events_total", "counter", "Events that the callback has taken."},
        {"sandboxd_callback_messages_total", "counter", "Messages in which they were."},
        {"sandboxd_callback_failures_total", "counter", "Messages that it did not take."},
        {"sandboxd_callback_dropped_events_total", "counter",
         "Events that it has not taken within events.retention."},
    };
    struct mirror_callback callback;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        family(out, families[i].name, families[i].type, families[i].help);
        for (size_t at = 0; mirror_callback_at(mirror, at, &callback); at++) {
            const uint64_t values[] = {!callback.failing, callback.events, callback.messages,
                                       callback.failures, callback.dropped};
            evbuffer_add_printf(out, "%s{", families[i].name);
            label(out, "callback", callback.name);
            evbuffer_add_printf(out, "} %llu\n", (unsigned long long)values[i]);
        }
    }
}

static void add_store(struct evbuffer *out, struct store *store)
{
    struct store_stats stats = store_stats(store);
    single(out, "sandboxd_store_writes_total", "counter", "Writes to the state file.", stats.writes);
    single(out, "sandboxd_store_commits_total", "counter", "Synced transactions that they were grouped into.",
           stats.commits);
    single(out, "sandboxd_store_failures_total", "counter", "Writes that failed.", stats.failures);
    single(out, "sandboxd_store_full", "gauge",
           "1 while the disk of state_dir is full, and nothing but deletions is stored.", stats.full);
    single(out, "sandboxd_store_ballast_bytes", "gauge", "Room that is kept for deletions on a full disk.",
           stats.ballast);
}

void metrics_get(struct call *call)
{
    struct evbuffer *out = call->api->out;
    add_daemon(out, call);
    add_http(out, call->api);
    add_backends(out, call->api->deps.service);
    add_service(out, call->api->deps.service);
    add_mirror(out, call->api->deps.mirror);
    add_callbacks(out, call->api->deps.mirror);
    add_store(out, call->api->deps.store);
    call_reply_out(call, 200, "text/plain; version=0.0.4; charset=utf-8");
}
