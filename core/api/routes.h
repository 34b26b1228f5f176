/* api/routes.h: the handlers of the routes in router.c, each in the file that its name begins with. Each is
 * called with a call that is authenticated, and either answers it or holds it. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

struct api;
struct call;

void sandboxes_search(struct call *call);
void sandboxes_batch(struct call *call);
void sandboxes_get(struct call *call);

void changes_start(struct call *call);
void changes_pause(struct call *call);
void changes_resume(struct call *call);
void changes_delete(struct call *call);

void logs_stream(struct call *call);
/* Ends those that are followed. */
void logs_end_all(struct api *api);

void session_get(struct call *call);
void secrets_list(struct call *call);
void secrets_get(struct call *call);
void users_me(struct call *call);
void specs_search(struct call *call);
void specs_batch(struct call *call);
void webhooks_conversations(struct call *call);
void webhooks_events(struct call *call);
void conversations_search(struct call *call);
void events_search(struct call *call);
void events_count(struct call *call);
void events_batch(struct call *call);
void backends_list(struct call *call);

void runtime_session(struct call *call);
void runtime_sessions(struct call *call);
void runtime_get(struct call *call);
void runtime_list(struct call *call);
void runtime_registry_prefix(struct call *call);
void runtime_build(struct call *call);
void runtime_build_status(struct call *call);
void runtime_image_exists(struct call *call);
void runtime_start(struct call *call);
void runtime_pause(struct call *call);
void runtime_resume(struct call *call);
void runtime_stop(struct call *call);

void system_health(struct call *call);
void system_ready(struct call *call);
void metrics_get(struct call *call);
void openapi_get(struct call *call);

#endif
