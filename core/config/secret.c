/* config/secret.c: API keys, in the three forms that a file may give them, and secrets that stand in files. Of an API key
 * only its hash leaves here: the key is wiped once it is hashed, and shown nowhere. */
#include "config/keys.h"

#include "config/scalar.h"
#include "config/text.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { SHA256_BYTES = 32, KEY_FILE_BYTES = 4096, KEY_BYTES = 1024, SECRET_FILE_BYTES = 64 * 1024 };

static void hash(const struct key *key, void *target, const char *text, size_t len)
{
    if (!EVP_Digest(text, len, (unsigned char *)target + key->offset, NULL, EVP_sha256(), NULL))
        abort();
}

static void read_api_key(struct config_reader *reader, const struct key *key, struct config_node *node,
                         void *target)
{
    if (key_text(reader, key, node))
        hash(key, target, node->text, node->len);
    if (node->kind != NODE_SCALAR)
        return;
    OPENSSL_cleanse(node->text, node->len);
    node->plain = false; /* what is empty now was not null */
}

static void take_key_file(struct config_reader *reader, const struct key *key, struct config_node *node,
                          void *target, char *bytes, size_t len)
{
    if (len > 0 && bytes[len - 1] == '\n')
        len--;
    if (len > 0 && bytes[len - 1] == '\r')
        len--;
    bytes[len] = '\0';
    if (len == 0)
        node_error(node, reader->problems, "the file is empty, and must hold a key");
    else if (len > KEY_BYTES || strlen(bytes) != len)
        node_error(node, reader->problems, "the file must hold a key of at most %d bytes, and nothing else",
                   KEY_BYTES);
    else if (accept_api_key(bytes))
        node_error(node, reader->problems, "the key in the file %s", accept_api_key(bytes));
    else
        hash(key, target, bytes, len);
}

/* Checks what was read and stores what comes of it; it may change the bytes. */
typedef void (*take_file)(struct config_reader *reader, const struct key *key, struct config_node *node,
                          void *target, char *bytes, size_t len);

static void read_file(struct config_reader *reader, const struct key *key, struct config_node *node,
                      void *target, size_t most, take_file take)
{
    const char *file = key_text(reader, key, node);
    if (!file)
        return;
    char why[128];
    size_t len;
    bool world_readable;
    char *bytes = text_read_file(file, most, &len, &world_readable, why, sizeof why);
    if (!bytes) {
        node_error(node, reader->problems, "the file can't be used: %s", why);
        return;
    }
    take(reader, key, node, target, bytes, len);
    text_free(bytes, len);
    /* No error: where secrets are mounted into a container, they often come with mode 0444. */
    if (world_readable && !node->refused) {
        char path[NODE_PATH_SIZE];
        node_path(node, path, sizeof path);
        config_problem_add(reader->problems, true, node->line, node->column, path,
                           "every user of this machine can read the file: mode 0600 would be right");
    }
}

static void read_key_file(struct config_reader *reader, const struct key *key, struct config_node *node,
                          void *target)
{
    read_file(reader, key, node, target, KEY_FILE_BYTES, take_key_file);
}

/* The line break behind a single line is no part of it; a file of several lines (a private key) is taken as it is. */
static size_t without_line_break(const char *bytes, size_t len)
{
    const char *first = memchr(bytes, '\n', len);
    if (!first || first != bytes + len - 1)
        return len;
    return len > 1 && first[-1] == '\r' ? len - 2 : len - 1;
}

static void take_secret_file(struct config_reader *reader, const struct key *key, struct config_node *node,
                             void *target, char *bytes, size_t len)
{
    unsigned line, column;
    const char *why;
    len = without_line_break(bytes, len);
    if (len == 0)
        node_error(node, reader->problems, "the file is empty, and must hold a secret");
    else if (!text_check(bytes, len, &line, &column, &why))
        node_error(node, reader->problems, "the file must hold text in UTF-8: line %u, column %u: %s", line,
                   column, why);
    else
        key_store_pointer(key, target, arena_copy(reader->arena, bytes, len));
}

static void read_secret_file(struct config_reader *reader, const struct key *key, struct config_node *node,
                             void *target)
{
    read_file(reader, key, node, target, SECRET_FILE_BYTES, take_secret_file);
}

static void read_sha256(struct config_reader *reader, const struct key *key, struct config_node *node,
                        void *target)
{
    static const struct key text_key = {.flags = KEY_SECRET, .max = KEY_BYTES};
    const char *text = key_text(reader, &text_key, node);
    /* Not shown: it may be the key itself, in the wrong place. */
    if (text && !scalar_hex(text, (uint8_t *)target + key->offset, SHA256_BYTES))
        reader_refuse(reader, &text_key, node, "must be the SHA-256 of the key: 64 hexadecimal digits");
}

const struct key_type type_api_key = {.name = "text", .must = "must be text", .read = read_api_key};
const struct key_type type_key_file = {
    .name = "path of a file", .must = "must be text", .read = read_key_file};
const struct key_type type_secret_file = {
    .name = "path of a file", .must = "must be text", .read = read_secret_file};
const struct key_type type_sha256 = {
    .name = "64 hexadecimal digits", .must = "must be text", .read = read_sha256};
