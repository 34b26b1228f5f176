/* store/database.h: the SQLite connection: opening it, transactions, and the statements behind each
 * operation. Used by one thread at a time; knows neither the loop nor the queue. */
#ifndef STORE_DATABASE_H
#define STORE_DATABASE_H

#include "store/operation.h"

struct database;

/* `path` is the file, which is there (it may be empty). NULL with a sentence in `err`. */
struct database *database_open(const char *path, struct sbx_error *err);
void database_close(struct database *database);

/* A transaction around several operations. -1: it failed, and nothing of it remains; `err` says why. */
int database_begin(struct database *database, struct sbx_error *err);
int database_commit(struct database *database, struct sbx_error *err);
void database_rollback(struct database *database); /* also when there is none */
/* False once a failure has undone the transaction as a whole. */
bool database_in_transaction(const struct database *database);

/* For what a job does in its run(): the statement of a text, which is a constant, ready to be bound; NULL: it can't
 * be prepared. The same text is the same statement: one use of it at a time. */
struct sqlite3_stmt *database_statement(struct database *database, const char *sql, struct sbx_error *err);
/* 1: a row is there; 0: there are no more; -1: it failed. After 0 and -1 it is reset and its values are forgotten. */
int database_step(struct database *database, struct sqlite3_stmt *statement, struct sbx_error *err);
/* A statement that was not stepped to its end. */
void database_reset(struct sqlite3_stmt *statement);
/* Bytes that a program without privileges may still write to the file's disk. */
uint64_t database_room(const struct database *database);

/* Carries one out, in the transaction or as one of its own, and notes in it how it went. A failure undoes
 * this operation alone. */
void database_run(struct database *database, struct operation *op);

/* Moves all of the log into the file, so that it goes on from its beginning; the second one also gives its room back. False:
 * that failed. Between transactions. */
bool database_move_log(struct database *database);
bool database_cut_log(struct database *database);
/* Moves the log into the file when enough has gathered: done between transactions, when nobody waits. */
void database_checkpoint(struct database *database);

int database_load(struct database *database, void (*each)(void *arg, const struct store_sandbox *sandbox),
                  void *arg, struct sbx_error *err);

#endif
