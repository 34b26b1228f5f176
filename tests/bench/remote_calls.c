/* tests/bench/remote_calls.c: what sandboxes cost over the remote backend, and what the calls of the runtime API under
 * them cost alone: one client asks both daemons in turns, each on a kept connection.
 *
 * usage: bench-remote-calls NEAR_PORT FAR_PORT TURNS <IDS. A turn is: of the near one, a start up to RUNNING and a pause;
 * of the far one's runtime API, /start (whose answer says that it is ready), /pause, and /sessions/batch with the
 * IDS. Prints the medians in microseconds: start, pause of the near one; start, pause, listing of the far one. */
#include "raw_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TURNS = 1000, REPLY_MAX = 4 * 1024 * 1024, PATH_MAX_BYTES = 30000 };
enum what { NEAR_START, NEAR_PAUSE, FAR_START, FAR_PAUSE, FAR_LIST, WHATS };

static int near, far;
static char reply[REPLY_MAX], listing[PATH_MAX_BYTES];
static int64_t took[WHATS][MAX_TURNS];
static unsigned long turn;

static void need(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "turn %lu: %s failed\n", turn, what);
    exit(1);
}

static void timed(enum what what, int daemon, const char *method, const char *path, const char *body)
{
    int64_t begun = raw_now_us();
    need(raw_call(daemon, method, path, body, reply, sizeof reply), path);
    took[what][turn] = raw_now_us() - begun;
}

/* The text of a member of the answer. */
static void member(const char *name, char *to, size_t size)
{
    char start[64];
    snprintf(start, sizeof start, "\"%s\":\"", name);
    const char *value = strstr(reply, start), *end = value ? strchr(value + strlen(start), '"') : NULL;
    need(end && end > value + strlen(start), name);
    value += strlen(start);
    snprintf(to, size, "%.*s", (int)(end - value), value);
}

static void ask_near(void)
{
    char id[128], path[256];
    timed(NEAR_START, near, "POST", "/api/v1/sandboxes?wait=30s", "");
    need(strstr(reply, "\"status\":\"RUNNING\"") != NULL, "a start up to RUNNING");
    member("id", id, sizeof id);
    snprintf(path, sizeof path, "/api/v1/sandboxes/%s/pause", id);
    timed(NEAR_PAUSE, near, "POST", path, "");
}

/* As the remote backend asks. */
static void ask_far(void)
{
    char id[128], body[1024];
    snprintf(body, sizeof body,
             "{\"image\":\"image\",\"command\":[\"agent\"],\"working_dir\":\"/"
             "workspace\",\"environment\":{\"A\":\"b\"},"
             "\"session_id\":\"raw-%lu\",\"resource_factor\":1,\"run_as_user\":1000,\"run_as_group\":1000,"
             "\"fs_group\":1000}",
             turn);
    timed(FAR_START, far, "POST", "/runtime-api/start", body);
    need(strstr(reply, "\"pod_status\":\"ready\"") != NULL, "a start up to ready");
    member("runtime_id", id, sizeof id);
    snprintf(body, sizeof body, "{\"runtime_id\":\"%s\"}", id);
    timed(FAR_PAUSE, far, "POST", "/runtime-api/pause", body);
    timed(FAR_LIST, far, "GET", listing, "");
}

static void read_ids(void)
{
    char id[128];
    size_t len = (size_t)snprintf(listing, sizeof listing, "/runtime-api/sessions/batch");
    for (char before = '?'; scanf("%127s", id) == 1; before = '&') {
        int more = snprintf(listing + len, sizeof listing - len, "%cids=%s", before, id);
        need(more > 0 && (size_t)more < sizeof listing - len, "a path of that many ids");
        len += (size_t)more;
    }
}

int main(int argc, char **argv)
{
    unsigned long turns = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (turns < 1 || turns > MAX_TURNS)
        return 2;
    read_ids();
    near = raw_connect((uint16_t)strtoul(argv[1], NULL, 10));
    far = raw_connect((uint16_t)strtoul(argv[2], NULL, 10));
    need(near >= 0 && far >= 0, "connecting");
    for (turn = 0; turn < turns; turn++) {
        if (turn % 2)
            ask_near();
        ask_far();
        if (turn % 2 == 0)
            ask_near();
    }
    for (int what = 0; what < WHATS; what++)
        printf("%lld%c", (long long)raw_median(took[what], turns), what + 1 < WHATS ? ' ' : '\n');
    return 0;
}
