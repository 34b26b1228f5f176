/* misbehave.c: a backend that does, by its option `how`, each thing that a plugin must not do and that the host
 * can catch. Otherwise its sandboxes run as soon as they are started, and are kept nowhere. */
#include <sandboxd/backend.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct misbehave {
    const struct sbx_host *host;
    struct sbx_backend *backend;
    char how[64];
    sbx_op op; /* kept for later */
    int fd;
    unsigned progress; /* how often it was told of */
    bool quiesced;
};

static bool is(const struct misbehave *self, const char *how)
{
    return strcmp(self->how, how) == 0;
}

static struct sbx_observation running(const char *id)
{
    return (struct sbx_observation){.size = sizeof(struct sbx_observation),
                                    .state = SBX_STATE_RUNNING,
                                    .sandbox_id = id,
                                    .exit_code = -1};
}

static void report_running(struct misbehave *self, const char *id)
{
    struct sbx_observation observation = running(id);
    self->host->report(self->backend, &observation);
}

/* ---- reports ---- */

static void report_nonsense(struct misbehave *self, const char *id)
{
    static char text[5000];
    struct sbx_url urls[17];
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < 17; i++)
        urls[i] = (struct sbx_url){.name = "AGENT_SERVER", .url = "http://127.0.0.1:1"};
    struct sbx_observation observation = running(id);
    if (is(self, "unknown_state"))
        observation.state = 4711;
    else if (is(self, "long_detail"))
        observation.detail = text;
    else if (is(self, "bad_utf8"))
        observation.detail = "\xff\xfe";
    else if (is(self, "bad_id"))
        observation.sandbox_id = "../../etc/passwd";
    else if (is(self, "null_id"))
        observation.sandbox_id = NULL;
    else if (is(self, "no_size"))
        observation.size = 0;
    else if (is(self, "bad_url"))
        urls[0].url = "http://a b";
    else if (is(self, "bad_port"))
        urls[0].port = 70000;
    else if (is(self, "null_urls"))
        observation.urls_count = 1;
    else if (is(self, "bad_agent_url"))
        observation.agent_url = "http://127.0.0.1:1/\n";
    else if (is(self, "bad_exit_code"))
        observation.exit_code = 1000, observation.state = SBX_STATE_ENDED;
    if (is(self, "many_urls") || is(self, "bad_url") || is(self, "bad_port")) {
        observation.urls = urls;
        observation.urls_count = is(self, "many_urls") ? 17 : 1;
    }
    self->host->report(self->backend, &observation);
}

static void report_unclean(struct misbehave *self, const char *id)
{
    struct sbx_error error;
    memset(&error, 'x', sizeof error);
    struct sbx_observation observation = running(id);
    observation.state = SBX_STATE_ENDED;
    observation.exit_code = 3;
    observation.error = &error;
    observation.log_tail = "half a character: \xc3";
    self->host->report(self->backend, &observation);
}

static void flood(struct misbehave *self)
{
    for (int i = 0; i < 200000; i++) {
        char id[32];
        snprintf(id, sizeof id, "flood-%d", i);
        report_running(self, id);
    }
}

/* ---- completions ---- */

static void complete_late(void *arg)
{
    struct misbehave *self = arg;
    self->host->complete(self->backend, self->op, NULL);
}

static void *complete_from_thread(void *arg)
{
    complete_late(arg);
    return NULL;
}

/* A start that tells that it gets on, and ends late, or when it is let go of. */
static void get_on(void *arg)
{
    struct misbehave *self = arg;
    self->host->progress(self->backend, self->op);
    if (self->quiesced || (is(self, "progress") && ++self->progress == 20))
        complete_late(self);
    else
        self->host->timer_start(self->backend, 20000, get_on, self);
}

static void complete_with_garbage(struct misbehave *self, sbx_op op)
{
    struct sbx_error error;
    memset(&error, 'x', sizeof error); /* an unknown kind, a code in lower case, and no end to anything */
    self->host->complete(self->backend, op, &error);
}

static void complete_wrongly(struct misbehave *self, sbx_op op)
{
    static const struct sbx_error nothing = {0};
    static const struct sbx_error cancelled = {
        .kind = SBX_ERR_CANCELLED, .code = "CANCELLED", .message = "Why?"};
    const struct sbx_host *host = self->host;
    pthread_t thread;
    if (is(self, "complete_twice")) {
        host->complete(self->backend, op, NULL);
        host->complete(self->backend, op, &cancelled);
    } else if (is(self, "complete_bogus")) {
        host->complete(self->backend, 0, NULL);
        host->complete(self->backend, 12345, NULL);
        host->complete(self->backend, UINT64_MAX, NULL);
        host->complete(self->backend, op, NULL);
    } else if (is(self, "garbage_error")) {
        complete_with_garbage(self, op);
    } else if (is(self, "empty_error")) {
        host->complete(self->backend, op, &nothing);
    } else if (is(self, "cancelled_unasked")) {
        host->complete(self->backend, op, &cancelled);
    } else if (is(self, "wrong_thread")) {
        self->op = op;
        if (pthread_create(&thread, NULL, complete_from_thread, self) == 0)
            pthread_join(thread, NULL);
        host->complete(self->backend, op, NULL);
    } else if (is(self, "complete_late")) { /* after the timeout, whatever is asked of it */
        self->op = op;
        host->timer_start(self->backend, 400000, complete_late, self);
    } else if (is(self, "never_complete") || is(self, "complete_on_cancel")) {
        self->op = op;
    } else if (is(self, "progress") || is(self, "progress_for_ever")) {
        self->op = op;
        get_on(self);
    } else if (is(self, "progress_bogus")) {
        host->progress(self->backend, 12345);
        host->complete(self->backend, op, NULL);
        host->progress(self->backend, op);
    } else {
        host->complete(self->backend, op, NULL);
    }
}

static void cancel(struct sbx_backend *backend, sbx_op op)
{
    struct misbehave *self = backend->self;
    struct sbx_error error = {.kind = SBX_ERR_CANCELLED, .code = "CANCELLED", .message = "It was cancelled."};
    if (is(self, "complete_on_cancel"))
        self->host->complete(backend, op, &error);
    if (is(self, "cancel_completes_twice")) {
        self->host->complete(backend, op, &error);
        self->host->complete(backend, op, NULL);
    }
}

/* ---- operations ---- */

static void start(struct sbx_backend *backend, const struct sbx_start *start, sbx_op op)
{
    struct misbehave *self = backend->self;
    if (is(self, "flood"))
        flood(self);
    if (is(self, "late_id_prefix"))
        self->host->id_prefix(backend, "late-");
    if (is(self, "unclean_report"))
        report_unclean(self, start->sandbox_id);
    else
        report_nonsense(self, start->sandbox_id);
    complete_wrongly(self, op);
}

static void act(struct sbx_backend *backend, const char *sandbox_id, sbx_op op)
{
    struct misbehave *self = backend->self;
    struct sbx_observation paused = running(sandbox_id);
    paused.state = SBX_STATE_PAUSED;
    self->host->report(backend, &paused);
    if (is(self, "progress_of_a_pause"))
        self->host->progress(backend, op);
    complete_wrongly(self, op);
}

static void remove_box(struct sbx_backend *backend, const char *sandbox_id, sbx_op op)
{
    (void)sandbox_id;
    complete_wrongly(backend->self, op);
}

static void list(struct sbx_backend *backend, sbx_op op)
{
    struct misbehave *self = backend->self;
    report_nonsense(self, "listed");
    if (is(self, "flood"))
        flood(self);
    self->host->complete(backend, op, NULL);
}

static void logs(struct sbx_backend *backend, const struct sbx_logs *logs, sbx_op op)
{
    static const char piece[8192];
    struct misbehave *self = backend->self;
    (void)logs;
    if (is(self, "logs_never_end"))
        return;
    if (is(self, "write_after_stop"))
        while (self->host->stream_write(backend, op, piece, sizeof piece) == SBX_STREAM_GO)
            continue;
    if (is(self, "write_after_stop"))
        self->host->stream_write(backend, op, piece, sizeof piece);
    if (is(self, "write_too_much"))
        self->host->stream_write(backend, op, piece, (size_t)1 << 30);
    if (is(self, "write_bogus"))
        self->host->stream_write(backend, op + 1, piece, sizeof piece);
    self->host->complete(backend, op, NULL);
    self->host->stream_write(backend, op, piece, sizeof piece);
}

static void stream_ready(struct sbx_backend *backend, sbx_op op)
{
    (void)backend;
    (void)op;
}

static void describe(struct sbx_backend *backend, sbx_op op)
{
    static const char bad[] = "{\"half\":";
    static char large[70000];
    struct misbehave *self = backend->self;
    self->host->result(backend, op + 1, "{}", 2);
    if (is(self, "large_result"))
        self->host->result(backend, op, large, sizeof large);
    else
        self->host->result(backend, op, bad, sizeof bad - 1);
    self->host->complete(backend, op, NULL);
}

/* ---- life ---- */

static void on_ready(int fd, uint32_t events, void *arg)
{
    (void)fd;
    (void)events;
    (void)arg;
    abort(); /* it was left open on purpose, and must not be called after close() */
}

static void on_left(void *arg)
{
    (void)arg;
    abort();
}

static void on_child(sbx_child child, int code, int signal, void *arg)
{
    (void)child;
    (void)code;
    (void)signal;
    on_left(arg);
}

static void leave_open(struct misbehave *self)
{
    static const char *const argv[] = {"/bin/sleep", "0.2", NULL};
    struct sbx_spawn spawn = {.size = sizeof spawn,
                              .path = argv[0],
                              .argv = argv,
                              .stdin_fd = -1,
                              .stdout_fd = -1,
                              .stderr_fd = -1};
    struct sbx_error error;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        abort();
    close(fds[1]); /* so that the other is readable at once */
    self->fd = fds[0];
    self->host->watch_start(self->backend, self->fd, SBX_IO_READ, on_ready, self);
    self->host->timer_start(self->backend, 1000, on_left, self);
    self->host->child_spawn(self->backend, &spawn, on_child, self, &error);
}

static void *post_from_thread(void *arg)
{
    struct misbehave *self = arg;
    self->host->post(self->backend, on_left, self);
    return NULL;
}

static void close_backend(struct sbx_backend *backend)
{
    struct misbehave *self = backend->self;
    pthread_t thread;
    if (is(self, "leave_open"))
        leave_open(self);
    if (is(self, "post_in_close") && pthread_create(&thread, NULL, post_from_thread, self) == 0)
        pthread_join(thread, NULL);
    if (self->fd >= 0)
        close(self->fd);
    free(self);
}

static void on_after_quiesce(void *arg)
{
    struct misbehave *self = arg;
    report_running(self, "after-quiesce");
    self->host->relist(self->backend);
    self->host->complete(self->backend, self->op, NULL);
}

static void quiesce(struct sbx_backend *backend)
{
    struct misbehave *self = backend->self;
    self->quiesced = true;
    if (is(self, "report_in_quiesce")) {
        report_running(self, "in-quiesce");
        self->host->relist(backend);
    }
    if (is(self, "never_complete") && self->op) /* it ends at last, a while after it was let go of */
        self->host->timer_start(backend, 150000, on_after_quiesce, self);
}

static void resume(struct sbx_backend *backend, const char *sandbox_id, sbx_op op)
{
    struct misbehave *self = backend->self;
    (void)sandbox_id;
    self->op = op;
    if (!is(self, "stuck"))
        self->host->complete(backend, op, NULL);
}

static void copy_how(char *out, size_t size, const struct sbx_host *host,
                     const struct sbx_backend_config *config)
{
    sbx_json *options = host->json->parse(config->options_json, config->options_len, NULL);
    snprintf(out, size, "%s", host->json->string(host->json->get(options, "how"), ""));
    host->json->free(options);
}

static int validate(const struct sbx_host *host, struct sbx_check *check,
                    const struct sbx_backend_config *config)
{
    char how[64];
    copy_how(how, sizeof how, host, config);
    if (strcmp(how, "refuse_silently") == 0)
        return -1;
    if (strcmp(how, "refuse") == 0)
        host->option_error(check, "how", "must be something else");
    if (strcmp(how, "refuse_deep") == 0)
        host->option_error(check, "list[1].mode", "must be ro or rw\x01\xff");
    if (strcmp(how, "warn") == 0)
        host->option_warning(check, "", "is dubious");
    return 0; /* also where it told an error: the host goes by what it was told */
}

static void give_wrong_prefixes(struct misbehave *self)
{
    char long_one[65] = "";
    memset(long_one, 'x', sizeof long_one - 1);
    self->host->id_prefix(self->backend, NULL);
    self->host->id_prefix(self->backend, "with a blank");
    self->host->id_prefix(self->backend, long_one);
}

static void open_late(void *arg)
{
    struct misbehave *self = arg;
    self->host->complete(self->backend, self->op, NULL);
}

static void open_backend(struct sbx_backend *backend, const struct sbx_backend_config *config, sbx_op op)
{
    const struct sbx_host *host = backend->host;
    struct sbx_error error = {
        .kind = SBX_ERR_REFUSED, .code = "NO_LICENCE", .message = "The licence is over."};
    struct misbehave *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    *self = (struct misbehave){.host = host, .backend = backend, .op = op, .fd = -1};
    copy_how(self->how, sizeof self->how, host, config);
    backend->self = self;
    if (is(self, "fail_open")) {
        free(self);
        backend->self = NULL;
        host->complete(backend, op, &error);
    } else if (is(self, "never_open")) {
        static struct misbehave *forgotten; /* keeps it reachable: nobody calls close() */
        forgotten = self;
        (void)forgotten;
    } else if (is(self, "open_late")) {
        host->timer_start(backend, 300000, open_late, self);
    } else {
        if (is(self, "report_in_open"))
            report_running(self, "in-open");
        if (is(self, "wrong_id_prefix"))
            give_wrong_prefixes(self);
        self->op = 0;
        host->on_shutdown(backend, (enum sbx_on_shutdown)99);
        host->complete(backend, op, NULL);
    }
}

static const struct sbx_backend_ops ops = {
    .size = sizeof ops,
    .validate = validate,
    .open = open_backend,
    .quiesce = quiesce,
    .close = close_backend,
    .start = start,
    .pause = act,
    .resume = resume,
    .remove = remove_box,
    .list = list,
    .cancel = cancel,
    .logs = logs,
    .stream_ready = stream_ready,
    .describe = describe,
};

const struct sbx_plugin sandboxd_plugin = {
    .magic = SBX_PLUGIN_MAGIC,
    .size = sizeof sandboxd_plugin,
    .abi_major = SBX_ABI_MAJOR,
    .abi_minor = SBX_ABI_MINOR,
    .name = "misbehave",
    .version = "1.0",
    .health_check_path = "/alive",
    .default_max_sandboxes = 3,
    .ops = &ops,
};
