/* net/resolver.c: see resolver.h. Owns the cache of names, the lookups under way and their threads. It knows
 * nothing of HTTP. */
#include "net/resolver.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/map.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { MAX_ADDRESSES = 8, ADDRESSES_SIZE = 512, STACK_SIZE = 256 * 1024 };

/* A lookup: made by the loop thread, worked on by one of the others, taken back by the loop thread. */
struct job {
    struct job *next;
    char addresses[ADDRESSES_SIZE]; /* "" on failure */
    const char *why;                /* constant text */
    char host[];
};

/* What the threads see. Lives until the resolver and the last thread have let go of it. */
struct shared {
    pthread_mutex_t lock; /* guards all that follows */
    struct job *waiting, **waiting_last;
    struct job *finished, **finished_last;
    unsigned threads;
    bool closed;
    int event_fd; /* not written to once closed */
};

struct resolver_name {
    char *host;
    char *addresses; /* NULL while it is being looked up */
    uint64_t until_ms;
    struct resolver_query *queries;
    struct resolver_name *older, *newer; /* of those that were looked up */
};

struct resolver {
    struct shared *shared;
    struct map names;
    struct resolver_name *oldest, *newest;
    size_t kept;
    struct event finished_event;
};

static void free_jobs(struct job *job)
{
    for (struct job *next; job; job = next) {
        next = job->next;
        free(job);
    }
}

static void free_shared(struct shared *shared)
{
    free_jobs(shared->waiting);
    free_jobs(shared->finished);
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

/* Has the loop look at what is finished. With the lock held. */
static void announce(struct shared *shared)
{
    uint64_t one = 1;
    while (!shared->closed && write(shared->event_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

/* ---- on a thread ---------------------------------------------------------------------------- */

static void look_up(struct job *job)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list;
    int failed = getaddrinfo(job->host, NULL, &hints, &list);
    if (failed) {
        job->why = gai_strerror(failed);
        return;
    }
    size_t len = 0;
    int count = 0;
    for (struct addrinfo *a = list; a && count < MAX_ADDRESSES; a = a->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        size_t add = strlen(text);
        if (len + add + 4 > sizeof job->addresses)
            break;
        bool v6 = a->ai_family == AF_INET6;
        if (count++)
            job->addresses[len++] = ',';
        if (v6)
            job->addresses[len++] = '[';
        memcpy(job->addresses + len, text, add);
        len += add;
        if (v6)
            job->addresses[len++] = ']';
    }
    job->addresses[len] = '\0';
    if (len == 0)
        job->why = "it has no address";
    freeaddrinfo(list);
}

static void *work(void *arg)
{
    struct shared *shared = arg;
    pthread_mutex_lock(&shared->lock);
    struct job *job;
    while (!shared->closed && (job = shared->waiting)) {
        shared->waiting = job->next;
        if (!shared->waiting)
            shared->waiting_last = &shared->waiting;
        pthread_mutex_unlock(&shared->lock);
        look_up(job);
        pthread_mutex_lock(&shared->lock);
        job->next = NULL;
        *shared->finished_last = job;
        shared->finished_last = &job->next;
        announce(shared);
    }
    bool last = --shared->threads == 0 && shared->closed;
    pthread_mutex_unlock(&shared->lock);
    if (last)
        free_shared(shared);
    return NULL;
}

/* ---- on the loop ---------------------------------------------------------------------------- */

static void forget(struct resolver *resolver, struct resolver_name *name)
{
    if (name->addresses) {
        *(name->older ? &name->older->newer : &resolver->oldest) = name->newer;
        *(name->newer ? &name->newer->older : &resolver->newest) = name->older;
        resolver->kept--;
    }
    map_remove(&resolver->names, name->host);
    free(name->host);
    free(name->addresses);
    free(name);
}

/* All are kept equally long, so the oldest end first. */
static void forget_old(struct resolver *resolver)
{
    uint64_t now = clock_ms();
    while (resolver->oldest && (resolver->oldest->until_ms <= now || resolver->kept > RESOLVER_CACHE))
        forget(resolver, resolver->oldest);
}

static void keep(struct resolver *resolver, struct resolver_name *name, const char *addresses)
{
    name->addresses = strdup(addresses);
    if (!name->addresses)
        abort();
    name->until_ms = clock_ms() + RESOLVER_KEEP_MS;
    name->older = resolver->newest;
    *(name->older ? &name->older->newer : &resolver->oldest) = name;
    resolver->newest = name;
    resolver->kept++;
}

/* A failure is not kept: the next who asks tries anew. */
static void finish(struct resolver *resolver, struct job *job)
{
    struct resolver_name *name = map_get(&resolver->names, job->host);
    struct resolver_query *queries = name->queries;
    name->queries = NULL;
    if (queries)
        queries->prev = &queries;
    if (job->addresses[0])
        keep(resolver, name, job->addresses);
    else
        forget(resolver, name);
    struct resolver_query *query;
    while ((query = queries)) {
        resolver_cancel(query);
        query->done(query->arg, job->addresses[0] ? job->addresses : NULL, job->why);
    }
    free(job);
}

static void on_finished(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct resolver *resolver = arg;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        return;
    struct shared *shared = resolver->shared;
    pthread_mutex_lock(&shared->lock);
    struct job *job = shared->finished;
    shared->finished = NULL;
    shared->finished_last = &shared->finished;
    pthread_mutex_unlock(&shared->lock);
    for (struct job *next; job; job = next) {
        next = job->next;
        finish(resolver, job);
    }
    forget_old(resolver);
}

static bool start_thread(struct shared *shared)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    bool made = pthread_create(&thread, &attributes, work, shared) == 0;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return made;
}

static void submit(struct resolver *resolver, const char *host)
{
    struct shared *shared = resolver->shared;
    size_t len = strlen(host) + 1;
    struct job *job = calloc(1, sizeof *job + len);
    if (!job)
        abort();
    memcpy(job->host, host, len);
    pthread_mutex_lock(&shared->lock);
    *shared->waiting_last = job;
    shared->waiting_last = &job->next;
    if (shared->threads < RESOLVER_THREADS) {
        shared->threads++;
        if (!start_thread(shared) && --shared->threads == 0) {
            /* Nobody would ever do the work: all that waits fails. Nothing waited before this one. */
            job->why = "no thread could be started for it";
            shared->waiting = NULL;
            shared->waiting_last = &shared->waiting;
            *shared->finished_last = job;
            shared->finished_last = &job->next;
            announce(shared);
        }
    }
    pthread_mutex_unlock(&shared->lock);
}

struct resolver *resolver_create(struct loop *loop)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    struct shared *shared = calloc(1, sizeof *shared);
    if (!resolver || !shared)
        abort();
    shared->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (shared->event_fd < 0)
        abort();
    pthread_mutex_init(&shared->lock, NULL);
    shared->waiting_last = &shared->waiting;
    shared->finished_last = &shared->finished;
    resolver->shared = shared;
    map_init(&resolver->names);
    event_assign(&resolver->finished_event, loop_base(loop), shared->event_fd, EV_READ | EV_PERSIST,
                 on_finished, resolver);
    event_add(&resolver->finished_event, NULL);
    return resolver;
}

void resolver_destroy(struct resolver *resolver)
{
    if (!resolver)
        return;
    event_del(&resolver->finished_event);
    struct shared *shared = resolver->shared;
    pthread_mutex_lock(&shared->lock);
    shared->closed = true;
    close(shared->event_fd);
    bool last = shared->threads == 0;
    pthread_mutex_unlock(&shared->lock);
    if (last)
        free_shared(shared);
    size_t position = 0;
    struct resolver_name *name;
    while ((name = map_next(&resolver->names, &position))) {
        free(name->host);
        free(name->addresses);
        free(name);
    }
    map_finish(&resolver->names);
    free(resolver);
}

const char *resolver_known(struct resolver *resolver, const char *host)
{
    forget_old(resolver);
    struct resolver_name *name = map_get(&resolver->names, host);
    return name ? name->addresses : NULL;
}

void resolver_lookup(struct resolver *resolver, struct resolver_query *query, const char *host)
{
    struct resolver_name *name = map_get(&resolver->names, host);
    if (!name) {
        name = calloc(1, sizeof *name);
        if (!name || !(name->host = strdup(host)))
            abort();
        map_put(&resolver->names, name->host, name);
        submit(resolver, host);
    }
    query->next = name->queries;
    query->prev = &name->queries;
    if (query->next)
        query->next->prev = &query->next;
    name->queries = query;
}

void resolver_cancel(struct resolver_query *query)
{
    if (!query->prev)
        return;
    *query->prev = query->next;
    if (query->next)
        query->next->prev = query->prev;
    query->prev = NULL;
}
