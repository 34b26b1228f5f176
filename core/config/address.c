/* config/address.c: the addresses to listen on: HOST:PORT, [IPV6]:PORT, unix:/PATH. Opens nothing, and asks
 * no resolver: a reload must not wait for one, and what is loopback must be known. */
#include "config/keys.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static const char *parse_unix(const char *path, struct config_address *address)
{
    if (*path != '/')
        return "must be an absolute path after \"unix:\"";
    if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        return "must have a path of at most 107 bytes after \"unix:\"";
    address->kind = ADDRESS_UNIX;
    address->path = path;
    return NULL;
}

/* `text` is writable and the host is cut out of it. NULL, or what would be right. */
static const char *parse_tcp(char *text, struct config_address *address)
{
    static const char must[] = "must be HOST:PORT, [IPV6]:PORT or unix:/PATH";
    bool bracketed = *text == '[';
    char *colon = strrchr(text, ':');
    if (!colon || colon == text)
        return must;
    char *host = text, *end = colon;
    if (bracketed) {
        host++;
        end--;
        if (*end != ']' || end <= host)
            return must;
    } else if (memchr(text, ':', (size_t)(colon - text)))
        return "must have an IPv6 address in brackets: [IPV6]:PORT";
    size_t digits = strspn(colon + 1, "0123456789");
    unsigned long port = digits >= 1 && digits <= 5 ? strtoul(colon + 1, NULL, 10) : 65536;
    if (colon[1 + digits] != '\0' || port > 65535)
        return "must end in a port from 0 to 65535";
    *end = '\0';
    struct in6_addr number;
    address->kind = ADDRESS_TCP;
    address->port = (uint16_t)port;
    address->host = host;
    if (!bracketed && strcmp(host, "localhost") == 0)
        address->host = "127.0.0.1";
    else if (inet_pton(bracketed ? AF_INET6 : AF_INET, host, &number) != 1)
        return bracketed ? "must have an IPv6 address between the brackets"
                         : "must have an IPv4 address or localhost before the port (0.0.0.0 is all of them)";
    return NULL;
}

static bool is_same(const struct config_address *a, const struct config_address *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == ADDRESS_UNIX)
        return strcmp(a->path, b->path) == 0;
    return a->port != 0 && a->port == b->port && strcmp(a->host, b->host) == 0;
}

static void read_address(struct config_reader *reader, const struct key *key, struct config_node *node,
                         struct config_address *list, size_t index)
{
    static const struct key text_key = {.max = 4095};
    const char *text = key_text(reader, &text_key, node);
    if (!text)
        return;
    char *copy = arena_copy(reader->arena, text, node->len);
    if (!copy)
        return;
    struct config_address *address = &list[index];
    address->text = text;
    const char *must =
        strncmp(text, "unix:", 5) == 0 ? parse_unix(text + 5, address) : parse_tcp(copy, address);
    if (must) {
        reader_refuse(reader, key, node, must);
        *address = (struct config_address){0};
        return;
    }
    for (size_t i = 0; i < index; i++)
        if (list[i].text && is_same(&list[i], address)) {
            node_error(node, reader->problems, "is the same address as element [%zu]", i);
            return;
        }
}

/* One address may stand there without a list around it. */
static void read_addresses(struct config_reader *reader, const struct key *key, struct config_node *node,
                           void *target)
{
    bool single = node->kind == NODE_SCALAR;
    if (!single && !key_is_branch(reader, key, node, NODE_LIST))
        return;
    size_t count = single ? 1 : node->count;
    if (count == 0) {
        node_error(node, reader->problems, "must have at least one address");
        return;
    }
    struct config_address *list = arena_alloc(reader->arena, count, sizeof *list);
    if (!list)
        return;
    if (single)
        read_address(reader, key, node, list, 0);
    else
        for (struct config_node *child = node->first; child; child = child->next)
            read_address(reader, key, child, list, child->index);
    key_store_pointer(key, target, list);
    key_store_length(key, target, count);
}

const struct key_type type_addresses = {
    .name = "list of addresses", .must = "must be a list of addresses", .read = read_addresses};
