
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


/*
 * A bare parse: what yajl itself costs, with callbacks that do nothing.
 *
 * usage: yajl_bare file passes slice
 *
 * Prints nanoseconds of CPU time a pass.
 */


#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <yajl/yajl_parse.h>


typedef struct {
    unsigned char  *data;
    size_t          len;
} yajl_bare_file_t;


static int yajl_bare_read(yajl_bare_file_t *file, const char *name);
static int yajl_bare_parse(yajl_bare_file_t *file, size_t slice);
static double yajl_bare_cpu(void);
static int yajl_bare_null(void *ctx);
static int yajl_bare_boolean(void *ctx, int value);
static int yajl_bare_number(void *ctx, const char *p, size_t len);
static int yajl_bare_string(void *ctx, const unsigned char *p, size_t len);


static yajl_callbacks  yajl_bare_callbacks = {
    yajl_bare_null,
    yajl_bare_boolean,
    NULL,
    NULL,
    yajl_bare_number,
    yajl_bare_string,
    yajl_bare_null,
    yajl_bare_string,
    yajl_bare_null,
    yajl_bare_null,
    yajl_bare_null
};


int
main(int argc, char *argv[])
{
    long              i, passes, slice;
    double            start;
    yajl_bare_file_t  file;

    if (argc != 4) {
        fprintf(stderr, "usage: yajl_bare file passes slice\n");
        return 2;
    }

    passes = atol(argv[2]);
    slice = atol(argv[3]);

    if (passes < 1 || slice < 1 || yajl_bare_read(&file, argv[1]) != 0) {
        fprintf(stderr, "yajl_bare: wrong number or no file\n");
        return 2;
    }

    /* the first pass only warms the caches */

    start = 0;

    for (i = 0; i <= passes; i++) {

        if (i == 1) {
            start = yajl_bare_cpu();
        }

        if (yajl_bare_parse(&file, (size_t) slice) != 0) {
            fprintf(stderr, "yajl_bare: %s is no JSON\n", argv[1]);
            return 1;
        }
    }

    printf("%.0f\n", (yajl_bare_cpu() - start) / (double) passes);

    free(file.data);

    return 0;
}


static int
yajl_bare_read(yajl_bare_file_t *file, const char *name)
{
    int    rc;
    long   size;
    FILE  *fp;

    fp = fopen(name, "rb");
    if (fp == NULL) {
        return -1;
    }

    rc = -1;

    if (fseek(fp, 0, SEEK_END) != 0) {
        goto done;
    }

    size = ftell(fp);

    if (size < 1 || fseek(fp, 0, SEEK_SET) != 0) {
        goto done;
    }

    file->len = (size_t) size;

    file->data = malloc(file->len);
    if (file->data == NULL) {
        goto done;
    }

    if (fread(file->data, 1, file->len, fp) == file->len) {
        rc = 0;
    }

done:

    fclose(fp);

    return rc;
}


static int
yajl_bare_parse(yajl_bare_file_t *file, size_t slice)
{
    size_t       n, at;
    yajl_handle  handle;
    yajl_status  status;

    handle = yajl_alloc(&yajl_bare_callbacks, NULL, NULL);
    if (handle == NULL) {
        return -1;
    }

    yajl_config(handle, yajl_dont_validate_strings, 1);

    status = yajl_status_ok;

    for (at = 0; at < file->len && status == yajl_status_ok; at += n) {
        n = file->len - at < slice ? file->len - at : slice;
        status = yajl_parse(handle, file->data + at, n);
    }

    if (status == yajl_status_ok) {
        status = yajl_complete_parse(handle);
    }

    yajl_free(handle);

    return status == yajl_status_ok ? 0 : -1;
}


static double
yajl_bare_cpu(void)
{
    struct timespec  ts;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) != 0) {
        return 0;
    }

    return (double) ts.tv_sec * 1e9 + (double) ts.tv_nsec;
}


static int
yajl_bare_null(void *ctx)
{
    (void) ctx;

    return 1;
}


static int
yajl_bare_boolean(void *ctx, int value)
{
    (void) ctx;
    (void) value;

    return 1;
}


static int
yajl_bare_number(void *ctx, const char *p, size_t len)
{
    (void) ctx;
    (void) p;
    (void) len;

    return 1;
}


static int
yajl_bare_string(void *ctx, const unsigned char *p, size_t len)
{
    (void) ctx;
    (void) p;
    (void) len;

    return 1;
}
