/* store/store.c: see store.h. Owns the queue, the thread that works it off, and the way of the answers
 * back. What is written how is the database's business. */
#include "store/store.h"

#include "base/log.h"
#include "store/database.h"
#include "store/directory.h"
#include "store/identity.h"
#include "store/operation.h"
#include "store/room.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 1024,           /* operations in one transaction */
                            /* bytes of one operation */
    MAX_WAITING = 64 << 20, /* bytes of all that wait for the disk */
    STACK_SIZE = 256 * 1024
};

/* No backend has an empty name. */
#define IDENTITY_SPACE ""
#define IDENTITY_KEY "identity"

/* Operations in the order of the calls. */
struct queue {
    struct operation *first, **last;
};

struct store {
    struct database *database; /* under database_lock once the thread runs */
    int lock_fd;               /* keeps other daemons out */
    struct identity identity;
    struct room room; /* under database_lock, likewise */
    pthread_t thread;
    pthread_mutex_t database_lock;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t more;
    struct queue waiting, finished;
    size_t waiting_size;
    bool closing;
    struct store_stats stats;

    int finished_fd; /* an eventfd: not loop_post(), so that an answer still on its way can be taken back */
    struct event finished_event;
    struct event asked_event; /* others ask whether this state is served */
    bool writes_fail;         /* the thread's: the last write did, and that was logged */
};

/* ---- queues --------------------------------------------------------------------------------- */

static void queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_append(struct queue *queue, struct operation *first, struct operation **last)
{
    *queue->last = first;
    queue->last = last;
}

static void free_operations(struct operation *op)
{
    for (struct operation *next; op; op = next) {
        next = op->next;
        operation_free(op);
    }
}

/* ---- on the thread -------------------------------------------------------------------------- */

/* All in one transaction, which is on disk when this returns. False when it came to nothing as a whole. */
static bool run_together(struct store *store, struct operation *batch)
{
    if (database_begin(store->database, NULL))
        return false;
    for (struct operation *op = batch; op; op = op->next) {
        if (!op->refused && !room_refuses(&store->room, op))
            database_run(store->database, op);
        if (!database_in_transaction(store->database))
            return false;
    }
    return database_commit(store->database, NULL) == 0;
}

/* Where there is no room for it some is made, if it is a deletion. */
static void run_one(struct store *store, struct operation *op)
{
    for (;;) {
        operation_forget_outcome(op);
        if (op->refused || room_refuses(&store->room, op))
            return;
        database_run(store->database, op);
        if (!op->err && operation_writes(op))
            room_note_success(&store->room);
        if (!op->err || strcmp(op->err->code, STORE_NO_SPACE) != 0 ||
            !room_make(&store->room, store->database, op))
            return;
    }
}

/* Each write a transaction of its own, so that those fail that must and no other. */
static void run_alone(struct store *store, struct operation *batch)
{
    for (struct operation *op = batch; op; op = op->next)
        run_one(store, op);
}

static void count_and_log(struct store *store, const struct operation *batch, bool together)
{
    struct store_stats stats = {0};
    const struct sbx_error *why = NULL;
    for (const struct operation *op = batch; op; op = op->next) {
        if (op->err) {
            stats.failures++;
            if (strcmp(op->err->code, STORE_NO_SPACE) != 0 || !store->room.full) /* that was told, once */
                why = op->err;
        } else if (operation_writes(op)) {
            stats.writes++;
        }
    }
    stats.commits = together ? stats.writes > 0 : stats.writes;
    if (why)
        log_error("state_dir %s: %s (operations that failed with it: %llu)", store->room.directory,
                  why->message, (unsigned long long)stats.failures);
    else if (store->writes_fail && stats.writes)
        log_info("the store works again");
    if (why || stats.writes)
        store->writes_fail = why != NULL;
    pthread_mutex_lock(&store->lock);
    store->stats.writes += stats.writes;
    store->stats.commits += stats.commits;
    store->stats.failures += stats.failures;
    store->stats.full = store->room.full;
    pthread_mutex_unlock(&store->lock);
}

static void run_batch(struct store *store, struct operation *batch)
{
    size_t writes = 0;
    for (const struct operation *op = batch; op; op = op->next)
        writes += operation_writes(op) && !op->refused;
    pthread_mutex_lock(&store->database_lock);
    bool together = writes > 1 && run_together(store, batch);
    if (!together) {
        database_rollback(store->database);
        run_alone(store, batch);
    }
    pthread_mutex_unlock(&store->database_lock);
    count_and_log(store, batch, together);
}

/* Takes up to BATCH operations off the queue, with the lock held. */
static struct operation *take_batch(struct store *store, struct operation ***last)
{
    struct operation *first = store->waiting.first, *op = first;
    store->waiting_size -= op->size;
    for (int i = 1; i < BATCH && op->next; i++) {
        op = op->next;
        store->waiting_size -= op->size;
    }
    store->waiting.first = op->next;
    if (!op->next)
        store->waiting.last = &store->waiting.first;
    op->next = NULL;
    *last = &op->next;
    return first;
}

/* Between two batches, without the lock. */
static void look_after_disk(struct store *store, bool check_room)
{
    pthread_mutex_lock(&store->database_lock);
    if (store->room.full)
        database_move_log(store->database); /* while there is room for that: the log needs none then */
    else
        database_checkpoint(store->database);
    if (check_room || store->room.full)
        room_check(&store->room);
    pthread_mutex_unlock(&store->database_lock);
    pthread_mutex_lock(&store->lock);
    store->stats.full = store->room.full;
    store->stats.ballast = store->room.ballast.held;
    pthread_mutex_unlock(&store->lock);
}

/* With the lock held, which is let go meanwhile. */
static void wait_for_more(struct store *store)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += room_check_after_s(&store->room);
    while (!store->waiting.first && !store->closing) {
        if (pthread_cond_timedwait(&store->more, &store->lock, &until) != ETIMEDOUT)
            continue;
        pthread_mutex_unlock(&store->lock);
        look_after_disk(store, true);
        pthread_mutex_lock(&store->lock);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += room_check_after_s(&store->room);
    }
}

static void *work(void *arg)
{
    struct store *store = arg;
    look_after_disk(store, true);
    pthread_mutex_lock(&store->lock);
    for (;;) {
        wait_for_more(store);
        if (!store->waiting.first)
            break;
        struct operation **last, *batch = take_batch(store, &last);
        pthread_mutex_unlock(&store->lock);
        run_batch(store, batch);
        pthread_mutex_lock(&store->lock);
        queue_append(&store->finished, batch, last);
        pthread_mutex_unlock(&store->lock);
        uint64_t one = 1;
        while (write(store->finished_fd, &one, sizeof one) < 0 && errno == EINTR)
            continue;
        look_after_disk(store, false);
        pthread_mutex_lock(&store->lock);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* ---- answers, on the loop ------------------------------------------------------------------- */

static void on_finished(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct store *store = arg;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        return;
    pthread_mutex_lock(&store->lock);
    struct operation *op = store->finished.first;
    queue_init(&store->finished);
    pthread_mutex_unlock(&store->lock);
    for (struct operation *next; op; op = next) {
        next = op->next;
        operation_tell(op);
        operation_free(op);
    }
}

static void on_asked(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct store *store = arg;
    identity_answer(&store->identity);
}

/* ---- asking, on the loop -------------------------------------------------------------------- */

/* Those of what was refused come in their turn, too. */
void store_submit(struct store *store, struct operation *op)
{
    pthread_mutex_lock(&store->lock);
    if (!op->refused && store->waiting_size + op->size > MAX_WAITING)
        operation_refuse(op, SBX_ERR_UNAVAILABLE, "the disk does not keep up: 64 MiB wait to be stored");
    store->waiting_size += op->size;
    queue_append(&store->waiting, op, &op->next);
    pthread_cond_signal(&store->more);
    pthread_mutex_unlock(&store->lock);
}

void store_put_sandbox(struct store *store, const struct store_sandbox *sandbox, store_done done, void *arg)
{
    struct operation *op = operation_new_sandbox(PUT_SANDBOX, sandbox, arg);
    op->told.done = done;
    store_submit(store, op);
}

void store_delete_sandbox(struct store *store, const char *id, store_done done, void *arg)
{
    struct operation *op = operation_new_sandbox(DELETE_SANDBOX, &(struct store_sandbox){.id = id}, arg);
    op->told.done = done;
    store_submit(store, op);
}

void store_put(struct store *store, const char *space, const char *key, const void *value, size_t len,
               store_done done, void *arg)
{
    struct operation *op = operation_new_record(PUT, space, key, value, len, arg);
    op->told.done = done;
    store_submit(store, op);
}

void store_get(struct store *store, const char *space, const char *key, store_value done, void *arg)
{
    struct operation *op = operation_new_record(GET, space, key, NULL, 0, arg);
    op->told.value = done;
    store_submit(store, op);
}

void store_delete(struct store *store, const char *space, const char *key, store_done done, void *arg)
{
    struct operation *op = operation_new_record(DELETE, space, key, NULL, 0, arg);
    op->told.done = done;
    store_submit(store, op);
}

void store_list(struct store *store, const char *space, const char *prefix, store_keys done, void *arg)
{
    struct operation *op = operation_new_record(LIST, space, prefix, NULL, 0, arg);
    op->told.keys = done;
    store_submit(store, op);
}

/* ---- opening and closing -------------------------------------------------------------------- */

/* Signals are the loop's. */
static int start_thread(struct store *store)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int failed = pthread_create(&store->thread, &attributes, work, store);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

/* Reads what the database says of the state's identity, and writes there what holds now. */
static int settle_identity(struct database *database, struct identity *identity, struct sbx_error *err)
{
    char text[IDENTITY_TEXT_MAX];
    struct operation *get = operation_new_record(GET, IDENTITY_SPACE, IDENTITY_KEY, NULL, 0, NULL);
    database_run(database, get);
    int result = -1;
    if (get->err)
        *err = *get->err;
    else
        result = identity_settle(identity, get->found ? get->result.data : NULL, get->result.len, err);
    operation_free(get);
    if (result < 0 || !identity->record_is_old)
        return result;
    size_t len = identity_text(identity, text);
    struct operation *put = operation_new_record(PUT, IDENTITY_SPACE, IDENTITY_KEY, text, len, NULL);
    database_run(database, put);
    if (put->err) /* a full disk is no reason not to serve: the next start tries it again */
        log_warn("state_dir: which state this is can't be written down: %s", put->err->message);
    operation_free(put);
    return 0;
}

/* What it has to write before it serves may be too much for a full disk: the ballast is there for
 * that, too. The most of it is kept for deletions. */
static struct database *open_database(const char *file, struct room *room, struct sbx_error *err)
{
    struct database *database = database_open(file, err);
    while (!database && strcmp(err->code, STORE_NO_SPACE) == 0 && room_make_to_open(room))
        database = database_open(file, err);
    return database;
}

static struct database *open_locked(const char *path, struct identity *identity, struct room *room,
                                    struct sbx_error *err)
{
    char *file = NULL;
    if (asprintf(&file, "%s/" STORE_FILE, path) < 0)
        abort();
    struct database *database = NULL;
    room_init(room, path);
    if (identity_read_file(identity, path, err) == 0)
        database = open_database(file, room, err);
    if (database && settle_identity(database, identity, err) < 0) {
        database_close(database);
        database = NULL;
    }
    if (database) {
        identity_write_file(identity);
    } else {
        identity_finish(identity);
        room_finish(room);
    }
    free(file);
    return database;
}

static struct database *open_in(const char *directory, struct identity *identity, struct room *room,
                                int *lock_fd, struct sbx_error *err)
{
    /* A slash at the end would follow a symbolic link. */
    size_t len = strlen(directory);
    while (len > 1 && directory[len - 1] == '/')
        len--;
    char *path = NULL;
    if (asprintf(&path, "%.*s", (int)len, directory) < 0)
        abort();
    struct database *database = NULL;
    *lock_fd = directory_open(path, err);
    if (*lock_fd >= 0)
        database = open_locked(path, identity, room, err);
    if (*lock_fd >= 0 && !database)
        close(*lock_fd);
    free(path);
    return database;
}

struct store *store_open(struct loop *loop, const char *directory, struct sbx_error *err)
{
    int lock_fd;
    struct identity identity;
    struct room room;
    struct database *database = open_in(directory, &identity, &room, &lock_fd, err);
    if (!database)
        return NULL;
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        abort();
    store->database = database;
    store->lock_fd = lock_fd;
    store->identity = identity;
    store->room = room;
    queue_init(&store->waiting);
    queue_init(&store->finished);
    pthread_mutex_init(&store->lock, NULL);
    pthread_mutex_init(&store->database_lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&store->more, &clock);
    pthread_condattr_destroy(&clock);
    store->finished_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (store->finished_fd < 0 || start_thread(store))
        abort(); /* nothing works without it */
    event_assign(&store->finished_event, loop_base(loop), store->finished_fd, EV_READ | EV_PERSIST,
                 on_finished, store);
    event_add(&store->finished_event, NULL);
    if (store->identity.alive_fd >= 0) {
        event_assign(&store->asked_event, loop_base(loop), store->identity.alive_fd, EV_READ | EV_PERSIST,
                     on_asked, store);
        event_add(&store->asked_event, NULL);
    }
    return store;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    pthread_mutex_lock(&store->lock);
    store->closing = true;
    pthread_cond_signal(&store->more);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    event_del(&store->finished_event);
    if (store->identity.alive_fd >= 0)
        event_del(&store->asked_event);
    close(store->finished_fd);
    free_operations(store->finished.first);
    database_close(store->database);
    identity_finish(&store->identity);
    room_finish(&store->room);
    close(store->lock_fd);
    pthread_mutex_destroy(&store->lock);
    pthread_mutex_destroy(&store->database_lock);
    pthread_cond_destroy(&store->more);
    free(store);
}

const char *store_directory(const struct store *store)
{
    return store->room.directory;
}

const char *store_instance_id(const struct store *store)
{
    return store->identity.id;
}

int store_load_sandboxes(struct store *store, void (*each)(void *arg, const struct store_sandbox *sandbox),
                         void *arg, struct sbx_error *err)
{
    pthread_mutex_lock(&store->database_lock);
    int result = database_load(store->database, each, arg, err);
    pthread_mutex_unlock(&store->database_lock);
    return result;
}

struct store_stats store_stats(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    struct store_stats stats = store->stats;
    pthread_mutex_unlock(&store->lock);
    return stats;
}
