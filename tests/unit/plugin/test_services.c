/* The host services, called by the test in the plugin's place. */
#include "harness.h"

#include "base/clock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* An instance whose plugin does nothing. */
static struct sbx_backend *quiet(struct harness *harness)
{
    struct config *config = harness_config(harness);
    harness_add(config, "v", "variant_1", "{}");
    assert_true(harness_apply(harness, config));
    return &backend_set_find(harness->set, "v")->abi;
}

static void count_call(void *arg)
{
    ++*(unsigned *)arg;
}

/* ---- timers ---- */

static void a_timer_fires_once_in_time_and_never_inside_the_call(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    unsigned fired = 0, now = 0;
    uint64_t began = clock_us();
    sbx_timer timer = backend->host->timer_start(backend, 20000, count_call, &fired);
    assert_true(backend->host->timer_start(backend, 0, count_call, &now) != 0);
    assert_int_equal(now, 0);
    RUN_UNTIL(harness, now == 1);
    RUN_UNTIL(harness, fired == 1);
    assert_true(clock_us() - began >= 20000);
    backend->host->timer_cancel(backend, timer); /* it has ended: nothing happens */
    harness_drain(harness);
    assert_int_equal(fired, 1);
}

static void a_cancelled_timer_does_not_fire(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    unsigned fired = 0, other = 0;
    sbx_timer timer = backend->host->timer_start(backend, 1000, count_call, &fired);
    backend->host->timer_cancel(backend, timer);
    sbx_timer next = backend->host->timer_start(backend, 5000, count_call, &other);
    assert_true(next != timer); /* though it may have its place */
    backend->host->timer_cancel(backend, timer);
    backend->host->timer_cancel(backend, 0);
    RUN_UNTIL(harness, other == 1);
    assert_int_equal(fired, 0);
    backend->host->timer_cancel(backend, backend->host->timer_start(backend, UINT64_MAX, count_call, &fired));
}

/* ---- watches ---- */

struct ready {
    struct sbx_backend *backend;
    sbx_watch watch;
    unsigned calls;
    uint32_t events;
};

static void on_ready(int fd, uint32_t events, void *arg)
{
    struct ready *ready = arg;
    char byte;
    ready->events = events;
    if (events & SBX_IO_READ && read(fd, &byte, 1) == 1)
        ready->calls++;
    if (ready->calls == 2)
        ready->backend->host->watch_cancel(ready->backend, ready->watch);
}

static void a_watch_calls_as_long_as_there_is_something_and_ends_when_cancelled(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    const struct sbx_host *host = backend->host;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    struct ready ready = {.backend = backend};
    ready.watch = host->watch_start(backend, fds[0], SBX_IO_READ, on_ready, &ready);
    assert_true(ready.watch != 0);
    assert_int_equal(write(fds[1], "abc", 3), 3);
    RUN_UNTIL(harness, ready.calls == 2);
    harness_drain(harness);
    assert_int_equal(ready.calls, 2); /* the third byte is left */
    struct ready both = {.backend = backend};
    both.watch = host->watch_start(backend, fds[0], SBX_IO_READ | SBX_IO_WRITE, on_ready, &both);
    RUN_UNTIL(harness, both.events == (SBX_IO_READ | SBX_IO_WRITE));
    host->watch_cancel(backend, both.watch);
    close(fds[0]);
    close(fds[1]);
}

static void what_can_not_be_watched_is_refused(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    const struct sbx_host *host = backend->host;
    int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    assert_int_equal(host->watch_start(backend, file, SBX_IO_READ, on_ready, NULL), 0);
    assert_int_equal(host->watch_start(backend, -1, SBX_IO_READ, on_ready, NULL), 0);
    assert_int_equal(host->watch_start(backend, 99999, SBX_IO_READ, on_ready, NULL), 0);
    assert_int_equal(host->watch_start(backend, harness->log_fd, 0, on_ready, NULL), 0);
    assert_int_equal(host->watch_start(backend, harness->log_fd, 64, on_ready, NULL), 0);
    close(file);
}

/* ---- children ---- */

struct end {
    unsigned calls;
    int code, signal;
    sbx_child child;
};

static void on_end(sbx_child child, int code, int signal, void *arg)
{
    struct end *end = arg;
    *end = (struct end){.calls = end->calls + 1, .code = code, .signal = signal, .child = child};
}

static struct sbx_spawn shell(const char *const *argv)
{
    return (struct sbx_spawn){.size = sizeof(struct sbx_spawn),
                              .path = argv[0],
                              .argv = argv,
                              .stdin_fd = -1,
                              .stdout_fd = -1,
                              .stderr_fd = -1};
}

static struct end run(struct harness *harness, struct sbx_backend *backend, const char *script)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct sbx_spawn spawn = shell(argv);
    struct end end = {0};
    struct sbx_error err;
    sbx_child child = backend->host->child_spawn(backend, &spawn, on_end, &end, &err);
    assert_true(child != 0);
    assert_int_equal(end.calls, 0);
    RUN_UNTIL(harness, end.calls == 1);
    assert_int_equal(end.child, child);
    assert_int_equal(backend->host->child_pid(backend, child), 0);
    return end;
}

static void a_childs_exit_code_or_signal_is_told(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    struct end end = run(harness, backend, "exit 0");
    assert_int_equal(end.code, 0);
    assert_int_equal(end.signal, 0);
    end = run(harness, backend, "exit 42");
    assert_int_equal(end.code, 42);
    end = run(harness, backend, "kill -9 $$");
    assert_int_equal(end.code, -1);
    assert_int_equal(end.signal, SIGKILL);
}

static void a_child_can_be_signalled(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    const char *const argv[] = {"/bin/sleep", "1000", NULL};
    struct sbx_spawn spawn = shell(argv);
    struct end end = {0};
    struct sbx_error err;
    sbx_child child = backend->host->child_spawn(backend, &spawn, on_end, &end, &err);
    pid_t pid = backend->host->child_pid(backend, child);
    assert_true(pid > 0);
    assert_int_equal(getsid(pid), pid);
    backend->host->child_signal(backend, child, SIGTERM);
    RUN_UNTIL(harness, end.calls == 1);
    assert_int_equal(end.signal, SIGTERM);
    backend->host->child_signal(backend, child, SIGTERM); /* by then nobody's pid */
    assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);    /* reaped */
}

static void a_program_that_can_not_be_run_is_said_at_once(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    char not_executable[64], script[64], junk[64];
    snprintf(not_executable, sizeof not_executable, "%s/plain", harness->state_dir);
    snprintf(script, sizeof script, "%s/script", harness->state_dir);
    snprintf(junk, sizeof junk, "%s/junk", harness->state_dir);
    close(open(not_executable, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    int fd = open(script, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
    dprintf(fd, "#!/nowhere/interpreter\n");
    close(fd);
    fd = open(junk, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
    dprintf(fd, "junk");
    close(fd);
    const struct {
        const char *path, *code, *end;
    } cases[] = {
        {"/nowhere/x", SBX_CODE_COMMAND_NOT_FOUND,
         "does not exist, or the interpreter that its first line names doesn't"},
        {"/etc/passwd/x", SBX_CODE_COMMAND_NOT_FOUND, "doesn't"},
        {script, SBX_CODE_COMMAND_NOT_FOUND, "doesn't"},
        {not_executable, SBX_CODE_COMMAND_NOT_FOUND, "may not be executed"},
        {"/tmp", SBX_CODE_COMMAND_NOT_FOUND, "may not be executed"},
        {junk, SBX_CODE_START_FAILED, "is not a program of this machine"},
        {"relative", SBX_CODE_INTERNAL, "its path is not absolute"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const argv[] = {cases[i].path, NULL};
        struct sbx_spawn spawn = shell(argv);
        struct sbx_error err = {0};
        assert_int_equal(backend->host->child_spawn(backend, &spawn, on_end, NULL, &err), 0);
        assert_string_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.message, cases[i].end));
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing of them is left */
}

static void wrong_directories_and_descriptors_are_said_at_once(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    const char *const argv[] = {"/bin/true", NULL};
    struct sbx_spawn spawn = shell(argv);
    struct sbx_error err = {0};
    spawn.working_dir = "/nowhere";
    assert_int_equal(backend->host->child_spawn(backend, &spawn, on_end, NULL, &err), 0);
    assert_string_equal(err.message, "the working directory /nowhere: No such file or directory");
    spawn.working_dir = NULL;
    spawn.stdout_fd = 9999;
    assert_int_equal(backend->host->child_spawn(backend, &spawn, on_end, NULL, &err), 0);
    assert_string_equal(err.message, "descriptor 9999 is to be passed to the child, but is not open");
}

static void read_all(int fd, char *out, size_t size)
{
    size_t len = 0;
    ssize_t got;
    while ((got = read(fd, out + len, size - 1 - len)) > 0)
        len += (size_t)got;
    out[len] = '\0';
    close(fd);
}

static void a_child_gets_no_descriptor_but_those_named(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    int out[2], a[2], b[2], leak = open("/dev/null", O_RDONLY);
    assert_true(leak >= 0); /* even one without O_CLOEXEC */
    assert_int_equal(pipe2(out, O_CLOEXEC) | pipe2(a, O_CLOEXEC) | pipe2(b, O_CLOEXEC), 0);
    const char *const argv[] = {
        "/bin/sh", "-c", "for fd in /proc/$$/fd/*; do echo ${fd##*/}; done; echo A >&3; echo B >&4", NULL};
    struct sbx_spawn spawn = shell(argv);
    /* Numbers that overlap with what they become. */
    int pass[2] = {a[1], b[1]};
    spawn.stdout_fd = out[1];
    spawn.pass_fds = pass;
    spawn.pass_fds_count = 2;
    struct end end = {0};
    struct sbx_error err;
    assert_true(backend->host->child_spawn(backend, &spawn, on_end, &end, &err) != 0);
    close(out[1]);
    close(a[1]);
    close(b[1]);
    RUN_UNTIL(harness, end.calls == 1);
    char text[256];
    read_all(out[0], text, sizeof text);
    assert_string_equal(text, "0\n1\n2\n3\n4\n5\n"); /* 5 is the folder that the shell reads */
    read_all(a[0], text, sizeof text);
    assert_string_equal(text, "A\n");
    read_all(b[0], text, sizeof text);
    assert_string_equal(text, "B\n");
    close(leak);
}

static void passed_descriptors_may_have_each_others_numbers(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    int a[2], b[2];
    assert_int_equal(pipe2(a, O_CLOEXEC) | pipe2(b, O_CLOEXEC), 0);
    const char *const argv[] = {"/bin/sh", "-c", "echo OUT; echo ERR >&2", NULL};
    struct sbx_spawn spawn = shell(argv);
    /* What becomes 1 is 2 here, and the other way round. */
    int saved[2] = {dup(1), dup(2)};
    dup2(b[1], 1);
    dup2(a[1], 2);
    spawn.stdout_fd = 2;
    spawn.stderr_fd = 1;
    struct end end = {0};
    struct sbx_error err;
    sbx_child child = backend->host->child_spawn(backend, &spawn, on_end, &end, &err);
    dup2(saved[0], 1);
    dup2(saved[1], 2);
    assert_true(child != 0);
    close(a[1]);
    close(b[1]);
    RUN_UNTIL(harness, end.calls == 1);
    char text[64];
    read_all(a[0], text, sizeof text);
    assert_string_equal(text, "OUT\n");
    read_all(b[0], text, sizeof text);
    assert_string_equal(text, "ERR\n");
    close(saved[0]);
    close(saved[1]);
}

static void a_child_has_default_signals_and_an_empty_environment(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    int out[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    const char *const argv[] = {"/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL};
    struct sbx_spawn spawn = shell(argv);
    spawn.stdout_fd = out[1];
    struct end end = {0};
    struct sbx_error err;
    assert_true(backend->host->child_spawn(backend, &spawn, on_end, &end, &err) != 0);
    const char *const env[] = {"/usr/bin/env", NULL};
    spawn.path = env[0];
    spawn.argv = env;
    assert_true(backend->host->child_spawn(backend, &spawn, on_end, &end, &err) != 0);
    close(out[1]);
    RUN_UNTIL(harness, end.calls == 2);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    char text[256];
    read_all(out[0], text, sizeof text);
    assert_string_equal(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void a_disowned_child_lives_on_and_is_reaped(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    const char *const argv[] = {"/bin/cat", NULL};
    struct sbx_spawn spawn = shell(argv);
    int in[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    spawn.stdin_fd = in[0];
    struct end end = {0};
    struct sbx_error err;
    sbx_child child = backend->host->child_spawn(backend, &spawn, on_end, &end, &err);
    pid_t pid = backend->host->child_pid(backend, child);
    backend->host->child_disown(backend, child);
    close(in[0]);
    assert_int_equal(kill(pid, 0), 0);
    assert_true(harness_apply(harness, harness_config(harness))); /* and also outlives its backend */
    harness_drain(harness);
    assert_int_equal(kill(pid, 0), 0);
    close(in[1]);
    RUN_UNTIL(harness, kill(pid, 0) < 0);
    assert_int_equal(end.calls, 0);
}

static void without_descriptors_a_spawn_fails_and_leaves_nothing(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    int fds[256];
    unsigned count = 0;
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){.rlim_cur = 256, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < 256 && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        count++;
    assert_true(count < 256);
    const char *const argv[] = {"/bin/true", NULL};
    struct sbx_spawn spawn = shell(argv);
    spawn.stdin_fd = 0;
    unsigned failed = 0;
    struct sbx_error err = {0};
    /* Each time one more is free: it fails in one place after the other, and at last it works. */
    struct end end = {0};
    while (backend->host->child_spawn(backend, &spawn, on_end, &end, &err) == 0) {
        assert_true(err.kind == SBX_ERR_LIMIT || err.kind == SBX_ERR_INVALID || err.kind == SBX_ERR_INTERNAL);
        failed++;
        close(fds[--count]);
    }
    assert_true(failed >= 2);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    while (count > 0)
        close(fds[--count]);
    RUN_UNTIL(harness, end.calls == 1);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void spawning_leaks_no_descriptor(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    run(harness, backend, "exit 0");
    int before = dup(0);
    close(before);
    for (int i = 0; i < 20; i++)
        run(harness, backend, "exit 0");
    int after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

/* ---- work and post ---- */

struct job {
    pthread_t ran_on, done_on;
    bool ran, done, posted;
    struct sbx_backend *backend;
};

static void on_posted(void *arg)
{
    struct job *job = arg;
    job->posted = true;
    job->done_on = pthread_self();
}

static void run_job(void *arg)
{
    struct job *job = arg;
    job->ran_on = pthread_self();
    job->ran = true;
    job->backend->host->log(job->backend, SBX_LOG_INFO, "s1", "from %s", "a thread");
    job->backend->host->post(job->backend, on_posted, job);
}

static void finish_job(void *arg)
{
    struct job *job = arg;
    job->done = true;
}

static void work_runs_on_a_thread_and_ends_on_the_loop(void **state)
{
    struct harness *harness = *state;
    struct job job = {.backend = quiet(harness)};
    job.backend->host->work(job.backend, run_job, finish_job, &job);
    assert_false(job.done);
    RUN_UNTIL(harness, job.done && job.posted);
    assert_true(job.ran);
    assert_false(pthread_equal(job.ran_on, pthread_self()));
    assert_true(pthread_equal(job.done_on, pthread_self()));
    assert_true(harness_logged(harness, "info backend=v sandbox=s1: from a thread"));
}

static void close_waits_for_work_and_posts(void **state)
{
    struct harness *harness = *state;
    struct job job = {.backend = quiet(harness)};
    job.backend->host->work(job.backend, run_job, finish_job, &job);
    harness_close(harness, 5000);
    assert_true(job.done);
    assert_true(job.posted);
}

/* ---- store ---- */

struct answer {
    unsigned calls;
    int kind;
    char text[256];
};

static void on_answer(const struct sbx_error *error, const void *value, size_t len, void *arg)
{
    struct answer *answer = arg;
    answer->calls++;
    answer->kind = error ? error->kind : SBX_ERR_NONE;
    snprintf(answer->text, sizeof answer->text, "%.*s", (int)len, value ? (const char *)value : "");
}

static void on_keys(const struct sbx_error *error, const char *const *keys, size_t count, void *arg)
{
    struct answer *answer = arg;
    answer->calls++;
    answer->kind = error ? error->kind : SBX_ERR_NONE;
    answer->text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        snprintf(answer->text + strlen(answer->text), sizeof answer->text - strlen(answer->text), "%s,",
                 keys[i]);
}

static void what_is_put_can_be_got_and_is_the_backends_own(void **state)
{
    struct harness *harness = *state;
    struct config *config = harness_config(harness);
    harness_add(config, "v", "variant_1", "{}");
    harness_add(config, "w", "variant_1", "{}");
    assert_true(harness_apply(harness, config));
    struct sbx_backend *v = &backend_set_find(harness->set, "v")->abi;
    struct sbx_backend *w = &backend_set_find(harness->set, "w")->abi;
    struct answer put = {0}, got = {0}, other = {0}, keys = {0};
    v->host->store_put(v, "key", "value", 5, on_answer, &put);
    assert_int_equal(put.calls, 0);
    v->host->store_get(v, "key", on_answer, &got);
    w->host->store_get(w, "key", on_answer, &other);
    v->host->store_list(v, "k", on_keys, &keys);
    RUN_UNTIL(harness, keys.calls == 1);
    assert_int_equal(put.calls, 1);
    assert_string_equal(got.text, "value");
    assert_string_equal(other.text, "");
    assert_string_equal(keys.text, "key,");
    v->host->store_delete(v, "key", NULL, NULL);
    v->host->store_get(v, "key", on_answer, &got);
    RUN_UNTIL(harness, got.calls == 2);
    assert_string_equal(got.text, "");
}

static void a_wrong_key_is_refused_by_its_callback(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    struct answer answer = {0}, keys = {0};
    char key[600] = {0};
    memset(key, 'k', sizeof key - 1);
    backend->host->store_put(backend, "", "x", 1, on_answer, &answer);
    backend->host->store_put(backend, NULL, "x", 1, on_answer, &answer);
    backend->host->store_get(backend, key, on_answer, &answer);
    backend->host->store_get(backend, "\xff", on_answer, &answer);
    backend->host->store_list(backend, "\xff", on_keys, &keys);
    assert_int_equal(answer.calls, 0);
    RUN_UNTIL(harness, answer.calls == 4 && keys.calls == 1);
    assert_int_equal(answer.kind, SBX_ERR_INVALID);
    assert_int_equal(keys.kind, SBX_ERR_INVALID);
}

static void close_waits_for_the_store(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    struct answer answer = {0};
    fake_store_hold(harness->store);
    backend->host->store_put(backend, "key", "x", 1, on_answer, &answer);
    assert_true(harness_apply(harness, harness_config(harness)));
    harness_drain(harness);
    fake_store_answer(harness->store);
    assert_int_equal(answer.calls, 1);
    harness_close(harness, 5000);
}

/* ---- HTTP ---- */

struct reply {
    unsigned heads, pieces, ends;
    int status;
    char body[64];
    sbx_transfer transfer;
};

static void on_head(sbx_transfer transfer, int status, const char *const *headers, void *arg)
{
    (void)transfer;
    (void)status;
    (void)headers;
    ((struct reply *)arg)->heads++;
}

static enum sbx_stream on_data(sbx_transfer transfer, const void *bytes, size_t len, void *arg)
{
    (void)transfer;
    (void)bytes;
    (void)len;
    return ++((struct reply *)arg)->pieces == 2 ? SBX_STREAM_STOP : SBX_STREAM_GO;
}

static void on_http_done(sbx_transfer transfer, const struct sbx_error *error, int status, const void *body,
                         size_t len, void *arg)
{
    struct reply *reply = arg;
    (void)error;
    reply->ends++;
    reply->status = status;
    reply->transfer = transfer;
    snprintf(reply->body, sizeof reply->body, "%.*s", (int)len, body ? (const char *)body : "");
}

static const struct sbx_http_handler collected = {.size = sizeof collected, .done = on_http_done};

static struct sbx_http_request get(const char *url)
{
    return (struct sbx_http_request){.size = sizeof(struct sbx_http_request), .method = "GET", .url = url};
}

static void a_request_ends_with_one_done(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    struct sbx_http_request request = get("http://h/1");
    struct reply reply = {0};
    struct sbx_error err;
    sbx_transfer transfer = backend->host->http_start(backend, &request, &collected, &reply, &err);
    assert_true(transfer != 0);
    assert_string_equal(harness->client->transfers->url, "http://h/1");
    assert_null(harness->client->transfers->handler.data);
    fake_client_finish(harness->client->transfers, NULL, 200, "hello");
    assert_int_equal(reply.ends, 1);
    assert_int_equal(reply.transfer, transfer);
    assert_string_equal(reply.body, "hello");
    backend->host->http_cancel(backend, transfer);
    backend->host->http_resume(backend, transfer);
    assert_int_equal(harness->client->cancelled, 0);
}

static void a_streamed_answer_stops_and_goes_on(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    struct sbx_http_handler handler = {
        .size = sizeof handler, .head = on_head, .data = on_data, .done = on_http_done};
    struct sbx_http_request request = get("http://h/2");
    struct reply reply = {0};
    struct sbx_error err;
    sbx_transfer transfer = backend->host->http_start(backend, &request, &handler, &reply, &err);
    struct client_transfer *inside = harness->client->transfers;
    inside->handler.head(inside->arg, 200, NULL);
    assert_true(inside->handler.data(inside->arg, "x", 1));
    assert_false(inside->handler.data(inside->arg, "x", 1));
    backend->host->http_resume(backend, transfer);
    assert_int_equal(inside->resumed, 1);
    assert_int_equal(reply.heads, 1);
    backend->host->http_cancel(backend, transfer);
    assert_int_equal(harness->client->cancelled, 1);
    assert_int_equal(reply.ends, 0);
}

static void wrong_requests_are_refused_at_once(void **state)
{
    struct harness *harness = *state;
    struct sbx_backend *backend = quiet(harness);
    const struct sbx_host *host = backend->host;
    struct sbx_error err;
    struct sbx_http_request request = get(NULL);
    assert_int_equal(host->http_start(backend, &request, &collected, NULL, &err), 0);
    assert_string_equal(err.message, "the plugin's http_start() is wrong: it has no URL");
    request = get("http://h/");
    request.method = "get\r\n";
    assert_int_equal(host->http_start(backend, &request, &collected, NULL, &err), 0);
    const char *const headers[] = {"X: a\r\nY: b", NULL};
    request = get("http://h/");
    request.headers = headers;
    assert_int_equal(host->http_start(backend, &request, &collected, NULL, &err), 0);
    assert_non_null(strstr(err.message, "a header is not \"Name: value\" on one line"));
    request = get("http://h/");
    struct sbx_http_handler none = {.size = sizeof none};
    assert_int_equal(host->http_start(backend, &request, &none, NULL, &err), 0);
    assert_non_null(strstr(err.message, "its handler has no done()"));
    harness->client->refuse = true;
    assert_int_equal(host->http_start(backend, &request, &collected, NULL, &err), 0);
    assert_string_equal(err.message, "That is no URL.");
    harness->client->refuse = false;
    unsigned begun = 0;
    while (host->http_start(backend, &request, &collected, NULL, &err) != 0)
        begun++;
    assert_int_equal(begun, 1024);
    assert_int_equal(err.kind, SBX_ERR_LIMIT);
    harness_close(harness, 1000); /* ends them all */
    assert_int_equal(harness->client->cancelled, 1024);
}

/* ---- the rest ---- */

static void handles_of_one_backend_mean_nothing_to_another(void **state)
{
    struct harness *harness = *state;
    struct config *config = harness_config(harness);
    harness_add(config, "v", "variant_1", "{}");
    harness_add(config, "w", "variant_1", "{}");
    assert_true(harness_apply(harness, config));
    struct sbx_backend *v = &backend_set_find(harness->set, "v")->abi;
    struct sbx_backend *w = &backend_set_find(harness->set, "w")->abi;
    unsigned fired = 0;
    sbx_timer timer = v->host->timer_start(v, 1000, count_call, &fired);
    w->host->timer_cancel(w, timer);
    v->host->watch_cancel(v, timer);
    v->host->child_disown(v, timer);
    v->host->http_cancel(v, timer);
    RUN_UNTIL(harness, fired == 1);
}

static void the_number_of_handles_is_bounded(void **state)
{
    (void)state;
    struct handles handles = {0};
    uint64_t first = handles_add(&handles, HANDLE_TIMER, &handles), last = 0;
    for (unsigned i = 1; i < HANDLES_MAX; i++)
        last = handles_add(&handles, HANDLE_TIMER, &handles);
    assert_true(last != 0);
    assert_int_equal(handles_add(&handles, HANDLE_TIMER, &handles), 0);
    handles_remove(&handles, first);
    uint64_t again = handles_add(&handles, HANDLE_WATCH, &handles);
    assert_true(again != 0 && again != first);
    assert_null(handles_get(&handles, HANDLE_TIMER, first));
    assert_null(handles_get(&handles, HANDLE_TIMER, again));
    assert_ptr_equal(handles_get(&handles, HANDLE_WATCH, again), &handles);
    handles_finish(&handles);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_timer_fires_once_in_time_and_never_inside_the_call),
        TEST(a_cancelled_timer_does_not_fire),
        TEST(a_watch_calls_as_long_as_there_is_something_and_ends_when_cancelled),
        TEST(what_can_not_be_watched_is_refused),
        TEST(a_childs_exit_code_or_signal_is_told),
        TEST(a_child_can_be_signalled),
        TEST(a_program_that_can_not_be_run_is_said_at_once),
        TEST(wrong_directories_and_descriptors_are_said_at_once),
        TEST(a_child_gets_no_descriptor_but_those_named),
        TEST(passed_descriptors_may_have_each_others_numbers),
        TEST(a_child_has_default_signals_and_an_empty_environment),
        TEST(a_disowned_child_lives_on_and_is_reaped),
        TEST(without_descriptors_a_spawn_fails_and_leaves_nothing),
        TEST(spawning_leaks_no_descriptor),
        TEST(work_runs_on_a_thread_and_ends_on_the_loop),
        TEST(close_waits_for_work_and_posts),
        TEST(what_is_put_can_be_got_and_is_the_backends_own),
        TEST(a_wrong_key_is_refused_by_its_callback),
        TEST(close_waits_for_the_store),
        TEST(a_request_ends_with_one_done),
        TEST(a_streamed_answer_stops_and_goes_on),
        TEST(wrong_requests_are_refused_at_once),
        TEST(handles_of_one_backend_mean_nothing_to_another),
        cmocka_unit_test(the_number_of_handles_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
