/* operation.c: what operations on a container have in common: that events leave it alone meanwhile. Knows nothing of
 * what they do.
 *
 * Each event of an operation's own making would cost a look, so that there is none while it is in flight: the
 * operation looks at its end. But what an event tells may be younger than what that look is answered with, which the
 * engine may have said before; such an event has one more look follow.
 */
#include "docker.h"

void operation_begin(struct docker *docker, const char *name)
{
    table_add(docker, name)->busy++;
}

void operation_look(struct docker *docker, const char *name, look_done done, void *arg)
{
    struct container *container = table_find(docker, name);
    if (container)
        container->missed = false;
    look_at(docker, name, done, arg);
}

void operation_end(struct docker *docker, const char *name)
{
    struct container *container = table_find(docker, name); /* it may have been removed, and be another one */
    if (!container || container->busy == 0 || --container->busy > 0)
        return;
    if (container->missed && !docker->quiesced)
        look_at(docker, name, NULL, NULL);
    container->missed = false;
    if (*container->facts.id == '\0') /* nothing was ever seen of it */
        table_remove(docker, container);
}
