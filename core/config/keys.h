/* config/keys.h: how a key of the configuration file is described, and how a file is read by such
 * descriptions. The table of all keys is in keys.c; it drives the reader (section.c, types.c) and the
 * reference page (reference.c) alike.
 */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include "config/suggest.h"
#include "config/tree.h"

struct config_reader {
    struct config_arena *arena;
    struct config_problems *problems;
};

struct key;

/* A type: what its values look like, and the function that checks one and stores it in the struct of the
 * section. `node` is never null there, nor YAML's null (but for KEY_NULL). A value that is wrong is told,
 * and not stored. */
struct key_type {
    const char *name; /* for the reference page */
    const char *must; /* "must be …" */
    void (*read)(struct config_reader *reader, const struct key *key, struct config_node *node, void *target);
    bool (*parse)(const char *text, uint64_t *value); /* of numbers; see scalar.h */
    void (*print)(uint64_t value, char *out);         /* a bound, in SCALAR_TEXT_SIZE bytes */
};

enum key_flags {
    KEY_REQUIRED = 1,
    KEY_SECRET = 2, /* its value is never shown, nor what stands there instead of it */
    KEY_NULL = 4,   /* null is a value of its own, not the same as leaving the key out */
    KEY_EMPTY = 8,  /* an empty text is the same as leaving the key out */
    KEY_LINES = 16  /* may have line breaks and tabs */
};

struct section;

struct key {
    const char *name;
    const struct key_type *type;
    unsigned flags;
    const char *fallback;       /* the default, as a file would have it; NULL: none */
    const char *absent;         /* for the reference, where there is no default: what then counts */
    const char *about;          /* for the reference: one line of Markdown */
    uint64_t min, max;          /* of a number, or of the bytes of a text */
    size_t most;                /* elements or members at most; 0: no list and no map */
    size_t offset, size;        /* where in the struct of the section the value goes */
    size_t length;              /* offset of the size_t that tells how many elements there are */
    size_t given;               /* offset of the bool that tells that there was a value; 0: there is none */
    const char *const *choices; /* ends in NULL; the value stored is the index */
    const char *(*accept)(const char *text); /* of a text: NULL, or "must be …"; may be NULL */
    const struct section *section;           /* of what is nested */
};

/* A mapping with known keys; one that is repeated describes one element of a list or a map. */
struct section {
    const char *path; /* "server", "auth.keys[]", "backends.NAME" */
    const char *about;
    const struct key *keys;
    size_t count;
    size_t size;  /* of its struct */
    bool secrets; /* a name in it that is not a key may be a secret in the wrong place */
    /* What its keys have to do with each other; may be NULL. `node` is NULL where the section is not in the
     * file. Runs after all of its keys were read. */
    void (*check)(struct config_reader *reader, struct config_node *node, void *target);
};

extern const struct section config_section; /* the whole file; its struct is struct config */

extern const struct key_type type_integer, type_duration, type_size, type_boolean, type_choice, type_text,
    type_texts, type_pairs, type_scalars, type_addresses, type_options, type_api_key, type_key_file,
    type_sha256, type_secret_file, type_section, type_sections, type_named_sections;

/* Reads what is under `node` (NULL: nothing) by a section into its struct: defaults, values, checks. */
void section_read(struct config_reader *reader, const struct section *section, struct config_node *node,
                  void *target);

/* "PATH: MUST, got WHAT"; without the last where it may be a secret. Marks the node as refused. */
void reader_refuse(struct config_reader *reader, const struct key *key, struct config_node *node,
                   const char *must);
/* Stores a number, a bool or a choice, and a pointer. */
void key_store_number(const struct key *key, void *target, uint64_t value);
void key_store_pointer(const struct key *key, void *target, const void *value);
void key_store_length(const struct key *key, void *target, size_t length);
/* Checks a text by the key's bounds and rules; NULL where it was refused. */
const char *key_text(struct config_reader *reader, const struct key *key, struct config_node *node);
/* Whether a list or a map is one, of at most key->most elements; refuses it otherwise. */
bool key_is_branch(struct config_reader *reader, const struct key *key, struct config_node *node,
                   enum node_kind kind);

/* The rules of sections (check.c) and of texts (accept.c). */
void check_server(struct config_reader *reader, struct config_node *node, void *config);
void check_auth_key(struct config_reader *reader, struct config_node *node, void *key);
void check_backend(struct config_reader *reader, struct config_node *node, void *backend);
void check_spec(struct config_reader *reader, struct config_node *node, void *spec);
void check_secret(struct config_reader *reader, struct config_node *node, void *secret);
void check_llm(struct config_reader *reader, struct config_node *node, void *llm);
void check_config(struct config_reader *reader, struct config_node *node, void *config);
const char *accept_absolute(const char *text);
const char *accept_url(const char *text);
const char *accept_public_url(const char *text);
const char *accept_host_pattern(const char *text); /* of server.hosts */
const char *accept_origin(const char *text);
const char *accept_plugin(const char *text);
const char *accept_health_path(const char *text);
const char *accept_api_key(const char *text);
const char *accept_variable(const char *text); /* the name of one */
const char *accept_backend_name(const char *text);
const char *accept_secret_name(const char *text);
const char *accept_registry_prefix(const char *text);
/* For whom `secrets` and `llms` are; a part of check_config(). */
void check_audiences(struct config_reader *reader, struct config_node *root, const struct config *config);

#endif
