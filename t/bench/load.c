
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


/*
 * Posts bodies in turn, again and again, over connections that stay open.
 *
 * usage: load port path file[,file...] requests connections tls [headers]
 *
 * tls is 1 or 0.  The server's certificate is not verified.
 *
 * Prints microseconds: the time of all, the median and the 99th percentile of
 * one, the greatest.  Any answer but 200, or with another body than the first
 * one, ends it.
 */


#define _GNU_SOURCE

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>


#define LOAD_MAX_CONNECTIONS  256
#define LOAD_MAX_ANSWER       16384
#define LOAD_MAX_HEADER       1024
#define LOAD_MAX_REQUESTS     64
#define LOAD_TIMEOUT          60000  /* ms without any event */


typedef struct {
    char      *data;      /* header and body */
    size_t     len;
} load_request_t;


typedef struct {
    int        fd;
    SSL       *ssl;       /* NULL without TLS */
    unsigned   request;
    size_t     sent;
    size_t     received;
    uint64_t   start;
    char       answer[LOAD_MAX_ANSWER + 1];
} load_connection_t;


typedef struct {
    int                 ep;
    in_port_t           port;
    SSL_CTX            *ctx;       /* NULL without TLS */
    load_request_t      request[LOAD_MAX_REQUESTS];
    unsigned            nrequests;
    long                requests;
    long                started;
    long                done;
    unsigned            nconnections;
    load_connection_t  *connections;
    char               *body;      /* of the first answer */
    uint64_t           *times;     /* of each request */
} load_t;


static int load_request(load_t *load, const char *path, char *names,
    const char *headers);
static int load_file(load_request_t *request, const char *path,
    const char *name, const char *headers);
static int load_init(load_t *load);
static int load_connect(load_t *load, load_connection_t *c);
static int load_handshake(load_t *load, load_connection_t *c);
static int load_run(load_t *load);
static void load_next(load_t *load, load_connection_t *c);
static int load_send(load_t *load, load_connection_t *c);
static int load_receive(load_t *load, load_connection_t *c);

/* bytes that were sent or received, 0: closed, -1: an error, or EAGAIN */
static ssize_t load_write(load_connection_t *c, const char *data, size_t len);
static ssize_t load_read(load_connection_t *c, char *buf, size_t size);
static ssize_t load_tls_result(SSL *ssl, int n);

/* 1: the answer is whole, 0: more has to come, -1: an error */
static int load_answer(load_t *load, load_connection_t *c);

static int load_compare(const void *one, const void *two);
static uint64_t load_now(void);


/* Amplitude's documented password, and an API key that is none */

static const char  load_header[] =
    "POST %s HTTP/1.1\r\n"
    "Host: 127.0.0.1\r\n"
    "User-Agent: SendGrid Event API\r\n"
    "Content-Length: %zu\r\n"
    "Authorization: Basic MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY6"
    "Q0pkQUs5ZldFbjRkSDJVektodDM3c0FN\r\n"
    "Content-Type: application/json;charset=utf-8\r\n"
    "Accept-Encoding: gzip\r\n"
    "%s"
    "\r\n";


int
main(int argc, char *argv[])
{
    load_t    load;
    uint64_t  start, end;

    if (argc != 7 && argc != 8) {
        fprintf(stderr, "usage: load port path file requests connections tls"
                        " [headers]\n");
        return 2;
    }

    memset(&load, 0, sizeof(load_t));

    load.port = (in_port_t) atoi(argv[1]);
    load.requests = atol(argv[4]);
    load.nconnections = (unsigned) atoi(argv[5]);

    if (load.requests < 1 || load.nconnections < 1
        || load.nconnections > LOAD_MAX_CONNECTIONS)
    {
        fprintf(stderr, "load: wrong number\n");
        return 2;
    }

    if (atoi(argv[6]) != 0) {
        load.ctx = SSL_CTX_new(TLS_client_method());

        if (load.ctx == NULL) {
            ERR_print_errors_fp(stderr);
            return 1;
        }
    }

    /* SSL_write() has no flag MSG_NOSIGNAL */

    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR
        || load_request(&load, argv[2], argv[3], argv[7]) != 0
        || load_init(&load) != 0)
    {
        perror("load");
        return 1;
    }

    start = load_now();

    if (load_run(&load) != 0) {
        return 1;
    }

    end = load_now();

    qsort(load.times, (size_t) load.requests, sizeof(uint64_t), load_compare);

    printf("%.0f %.0f %.0f %.0f\n", (double) (end - start) / 1e3,
           (double) load.times[load.requests / 2] / 1e3,
           (double) load.times[load.requests * 99 / 100] / 1e3,
           (double) load.times[load.requests - 1] / 1e3);

    return 0;
}


static int
load_request(load_t *load, const char *path, char *names, const char *headers)
{
    char  *name;

    for (name = strtok(names, ","); name != NULL; name = strtok(NULL, ",")) {

        if (load->nrequests == LOAD_MAX_REQUESTS) {
            errno = E2BIG;
            return -1;
        }

        if (load_file(&load->request[load->nrequests++], path, name, headers)
            != 0)
        {
            return -1;
        }
    }

    return (load->nrequests != 0) ? 0 : -1;
}


static int
load_file(load_request_t *request, const char *path, const char *name,
    const char *headers)
{
    int    n;
    long   size;
    FILE  *fp;

    fp = fopen(name, "rb");
    if (fp == NULL || fseek(fp, 0, SEEK_END) != 0) {
        return -1;
    }

    size = ftell(fp);

    if (size < 0 || fseek(fp, 0, SEEK_SET) != 0) {
        return -1;
    }

    request->data = malloc(LOAD_MAX_HEADER + (size_t) size);
    if (request->data == NULL) {
        return -1;
    }

    n = snprintf(request->data, LOAD_MAX_HEADER, load_header, path,
                 (size_t) size, (headers == NULL) ? "" : headers);

    if (n < 0 || n >= LOAD_MAX_HEADER) {
        errno = ENAMETOOLONG;
        return -1;
    }

    request->len = (size_t) n + (size_t) size;

    if (fread(request->data + n, 1, (size_t) size, fp) != (size_t) size) {
        return -1;
    }

    return fclose(fp);
}


static int
load_init(load_t *load)
{
    unsigned  i;

    load->ep = epoll_create1(0);
    if (load->ep == -1) {
        return -1;
    }

    load->times = calloc((size_t) load->requests, sizeof(uint64_t));
    load->connections = calloc(load->nconnections, sizeof(load_connection_t));

    if (load->times == NULL || load->connections == NULL) {
        return -1;
    }

    for (i = 0; i < load->nconnections; i++) {
        if (load_connect(load, &load->connections[i]) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
load_connect(load_t *load, load_connection_t *c)
{
    int                 on;
    struct sockaddr_in  sin;
    struct epoll_event  ee;

    memset(&sin, 0, sizeof(struct sockaddr_in));

    sin.sin_family = AF_INET;
    sin.sin_port = htons(load->port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd == -1) {
        return -1;
    }

    if (connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        return -1;
    }

    on = 1;

    if (setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(int)) == -1) {
        return -1;
    }

    if (load->ctx != NULL && load_handshake(load, c) != 0) {
        return -1;
    }

    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) == -1) {
        return -1;
    }

    memset(&ee, 0, sizeof(struct epoll_event));

    ee.events = EPOLLIN|EPOLLOUT|EPOLLET;
    ee.data.ptr = c;

    return epoll_ctl(load->ep, EPOLL_CTL_ADD, c->fd, &ee);
}


static int
load_handshake(load_t *load, load_connection_t *c)
{
    c->ssl = SSL_new(load->ctx);

    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1
        || SSL_connect(c->ssl) != 1)
    {
        ERR_print_errors_fp(stderr);
        return -1;
    }

    SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE
                         |SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    return 0;
}


static int
load_run(load_t *load)
{
    int                 i, n;
    unsigned            u;
    load_connection_t  *c;
    struct epoll_event  ee[LOAD_MAX_CONNECTIONS];

    for (u = 0; u < load->nconnections && load->started < load->requests; u++)
    {
        c = &load->connections[u];
        load_next(load, c);

        if (load_send(load, c) != 0) {
            return -1;
        }
    }

    while (load->done < load->requests) {

        n = epoll_wait(load->ep, ee, LOAD_MAX_CONNECTIONS, LOAD_TIMEOUT);

        if (n <= 0) {
            fprintf(stderr, "load: nothing comes\n");
            return -1;
        }

        for (i = 0; i < n; i++) {
            c = ee[i].data.ptr;

            if (c->start == 0) {
                continue;
            }

            if (load_send(load, c) != 0 || load_receive(load, c) != 0) {
                return -1;
            }
        }
    }

    return 0;
}


static void
load_next(load_t *load, load_connection_t *c)
{
    c->request = (unsigned) (load->started % load->nrequests);
    c->start = load_now();

    load->started++;
}


static int
load_send(load_t *load, load_connection_t *c)
{
    ssize_t          n;
    load_request_t  *request;

    request = &load->request[c->request];

    while (c->sent < request->len) {

        n = load_write(c, request->data + c->sent, request->len - c->sent);

        if (n == -1 && errno == EAGAIN) {
            return 0;
        }

        if (n <= 0) {
            perror("load: sending");
            return -1;
        }

        c->sent += (size_t) n;
    }

    return 0;
}


static int
load_receive(load_t *load, load_connection_t *c)
{
    int      rc;
    ssize_t  n;

    for ( ;; ) {

        n = load_read(c, c->answer + c->received,
                      LOAD_MAX_ANSWER - c->received);

        if (n == -1 && errno == EAGAIN) {
            return 0;
        }

        if (n <= 0) {
            fprintf(stderr, "load: connection closed\n");
            return -1;
        }

        c->received += (size_t) n;
        c->answer[c->received] = '\0';

        rc = load_answer(load, c);

        if (rc < 0) {
            return -1;
        }

        if (rc == 0) {
            continue;
        }

        load->times[load->done++] = load_now() - c->start;

        c->sent = 0;
        c->received = 0;
        c->start = 0;

        if (load->started == load->requests) {
            return 0;
        }

        load_next(load, c);

        if (load_send(load, c) != 0) {
            return -1;
        }
    }
}


static ssize_t
load_write(load_connection_t *c, const char *data, size_t len)
{
    if (c->ssl == NULL) {
        return send(c->fd, data, len, 0);
    }

    ERR_clear_error();

    return load_tls_result(c->ssl, SSL_write(c->ssl, data, (int) len));
}


static ssize_t
load_read(load_connection_t *c, char *buf, size_t size)
{
    if (c->ssl == NULL) {
        return recv(c->fd, buf, size, 0);
    }

    ERR_clear_error();

    return load_tls_result(c->ssl, SSL_read(c->ssl, buf, (int) size));
}


static ssize_t
load_tls_result(SSL *ssl, int n)
{
    if (n > 0) {
        return n;
    }

    switch (SSL_get_error(ssl, n)) {

    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;

    case SSL_ERROR_ZERO_RETURN:
        return 0;

    default:
        ERR_print_errors_fp(stderr);
        errno = EPROTO;
        return -1;
    }
}


static int
load_answer(load_t *load, load_connection_t *c)
{
    char    *p, *body;
    size_t   len;

    body = strstr(c->answer, "\r\n\r\n");
    if (body == NULL) {
        return 0;
    }

    body += 4;

    p = strcasestr(c->answer, "\r\ncontent-length:");

    if (strncmp(c->answer, "HTTP/1.1 200 ", 13) != 0 || p == NULL || p > body) {
        fprintf(stderr, "load: unexpected answer:\n%s\n", c->answer);
        return -1;
    }

    len = (size_t) (body - c->answer)
          + (size_t) atol(p + sizeof("\r\ncontent-length:") - 1);

    if (len > LOAD_MAX_ANSWER || c->received > len) {
        fprintf(stderr, "load: the answer is too long\n");
        return -1;
    }

    if (c->received < len) {
        return 0;
    }

    if (load->body == NULL) {
        load->body = strdup(body);

        if (load->body == NULL) {
            perror("load");
            return -1;
        }
    }

    if (strcmp(load->body, body) != 0) {
        fprintf(stderr, "load: another answer: %s", body);
        return -1;
    }

    return 1;
}


static int
load_compare(const void *one, const void *two)
{
    const uint64_t  *first, *second;

    first = one;
    second = two;

    return (*first > *second) - (*first < *second);
}


static uint64_t
load_now(void)
{
    struct timespec  ts;

    if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0) {
        return 0;
    }

    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}
