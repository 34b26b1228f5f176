/* net/upload.h: a file as the body of a request, read as curl sends it. Owns the descriptor. */
#ifndef NET_UPLOAD_H
#define NET_UPLOAD_H

#include <curl/curl.h>
#include <sandboxd/error.h>
#include <stdint.h>

struct upload {
    int fd; /* -1: none */
    curl_off_t size, at;
    uint64_t last_byte_ms; /* on clock_ms()'s clock: when curl last took some */
};

/* Opens a regular file. -1 with SBX_ERR_INVALID. */
int upload_open(struct upload *upload, const char *path, struct sbx_error *err);
void upload_close(struct upload *upload);
/* Has the handle, whose method is set, send it. The file must keep its size until the request ends. */
void upload_apply(struct upload *upload, CURL *easy);

#endif
