
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


/*
 * A library that nginx is started with by LD_PRELOAD: makes calls of libc fail
 * in the workers, as Faults.pm asks by the file that FAULTS_FILE names.
 */


#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>


#define FAIL_NAME  32

#define FAIL_WEAK  __attribute__((weak))


/* shared with the test, which packs and unpacks these members */

typedef struct {
    char      call[FAIL_NAME];  /* the function that fails */
    int32_t   armed;
    int32_t   nth;              /* the call that fails, counted from 1 */
    int32_t   forever;          /* whether later calls fail, too */
    int32_t   half;             /* half of the bytes in place of an error */
    int32_t   error;            /* errno */
    int32_t   size;             /* bytes that are asked for, 0: any */
    int32_t   seen;             /* calls since armed was set */
    int32_t   hits;             /* failures */
} fail_control_t;


/* of sanitizers, which have to see what is allocated and freed */

FAIL_WEAK void *__interceptor_malloc(size_t size);
FAIL_WEAK void *__interceptor_calloc(size_t n, size_t size);
FAIL_WEAK void *__interceptor_realloc(void *p, size_t size);
FAIL_WEAK int __interceptor_posix_memalign(void **p, size_t alignment,
    size_t size);

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static void fail_start(void) __attribute__((constructor));
static void fail_forked(void);
static void *fail_real(void **real, const char *name);
static int fail_due(const char *call, size_t size);
static int fail_is_log(int fd);


static volatile fail_control_t  *fail_control;

static int                       fail_worker;


/*
 * defines a function of libc by the name that the linker knows: "bad" is
 * returned in place of a call
 */

#define fail_wrap(type, name, call, size, bad, params, args)                  \
                                                                              \
    type fail_##name params __asm__(#name);                                   \
                                                                              \
    type                                                                      \
    fail_##name params                                                        \
    {                                                                         \
        static void  *real;                                                   \
                                                                              \
        if (fail_due(call, size)) {                                           \
            return bad;                                                       \
        }                                                                     \
                                                                              \
        return ((type (*) params) fail_real(&real, #name)) args;              \
    }


/* the same for a function that may do with less than "len" bytes */

#define fail_wrap_bytes(name, call, params, args)                             \
                                                                              \
    ssize_t fail_##name params __asm__(#name);                                \
                                                                              \
    ssize_t                                                                   \
    fail_##name params                                                        \
    {                                                                         \
        static void  *real;                                                   \
                                                                              \
        if (fail_due(call, len)) {                                            \
                                                                              \
            if (!fail_control->half) {                                        \
                return -1;                                                    \
            }                                                                 \
                                                                              \
            len = (len > 1) ? len / 2 : len;                                  \
        }                                                                     \
                                                                              \
        return ((ssize_t (*) params) fail_real(&real, #name)) args;           \
    }


static void
fail_start(void)
{
    int          fd;
    void        *p;
    const char  *file;

    file = getenv("FAULTS_FILE");

    if (file == NULL) {
        return;
    }

    fd = open(file, O_RDWR|O_CLOEXEC);
    if (fd == -1) {
        return;
    }

    p = mmap(NULL, sizeof(fail_control_t), PROT_READ|PROT_WRITE, MAP_SHARED,
             fd, 0);

    close(fd);

    if (p != MAP_FAILED && pthread_atfork(NULL, NULL, fail_forked) == 0) {
        fail_control = p;
    }
}


static void
fail_forked(void)
{
    fail_worker = 1;
}


static void *
fail_real(void **real, const char *name)
{
    if (*real == NULL) {
        *real = dlsym(RTLD_NEXT, name);
    }

    return *real;
}


static int
fail_due(const char *call, size_t size)
{
    volatile fail_control_t  *fc;

    fc = fail_control;

    if (fc == NULL || !fail_worker || !fc->armed
        || strcmp((const char *) fc->call, call) != 0
        || (fc->size != 0 && (size_t) fc->size != size))
    {
        return 0;
    }

    fc->seen++;

    if (fc->seen < fc->nth || (fc->seen > fc->nth && !fc->forever)) {
        return 0;
    }

    fc->hits++;
    errno = fc->error;

    return 1;
}


static int
fail_is_log(int fd)
{
    struct stat  log, file;

    /* nginx writes to its log in between, and stops when the disk is full */

    return fail_control != NULL && fail_worker && fail_control->armed
           && strcmp((const char *) fail_control->call, "write") == 0
           && fstatat(STDERR_FILENO, "", &log, AT_EMPTY_PATH) == 0
           && fstatat(fd, "", &file, AT_EMPTY_PATH) == 0
           && log.st_dev == file.st_dev && log.st_ino == file.st_ino;
}


void *
malloc(size_t size)
{
    if (fail_due("malloc", size)) {
        return NULL;
    }

    return (__interceptor_malloc != NULL) ? __interceptor_malloc(size)
                                          : __libc_malloc(size);
}


void *
calloc(size_t n, size_t size)
{
    if (fail_due("calloc", n * size)) {
        return NULL;
    }

    return (__interceptor_calloc != NULL) ? __interceptor_calloc(n, size)
                                          : __libc_calloc(n, size);
}


void *
realloc(void *p, size_t size)
{
    if (fail_due("realloc", size)) {
        return NULL;
    }

    return (__interceptor_realloc != NULL) ? __interceptor_realloc(p, size)
                                           : __libc_realloc(p, size);
}


int
posix_memalign(void **p, size_t alignment, size_t size)
{
    if (fail_due("posix_memalign", size)) {
        return errno;
    }

    if (__interceptor_posix_memalign != NULL) {
        return __interceptor_posix_memalign(p, alignment, size);
    }

    *p = __libc_memalign(alignment, size);

    return (*p == NULL) ? ENOMEM : 0;
}


ssize_t
write(int fd, const void *buf, size_t len)
{
    static void  *real;

    if (!fail_is_log(fd) && fail_due("write", len)) {

        if (!fail_control->half) {
            return -1;
        }

        len = (len > 1) ? len / 2 : len;
    }

    return ((ssize_t (*)(int, const void *, size_t)) fail_real(&real, "write"))(
        fd, buf, len);
}


fail_wrap_bytes(send, "send",
                (int fd, const void *buf, size_t len, int flags),
                (fd, buf, len, flags))

fail_wrap_bytes(recv, "recv",
                (int fd, void *buf, size_t len, int flags),
                (fd, buf, len, flags))

fail_wrap_bytes(read, "read",
                (int fd, void *buf, size_t len),
                (fd, buf, len))

fail_wrap_bytes(pread, "pread",
                (int fd, void *buf, size_t len, off_t offset),
                (fd, buf, len, offset))

fail_wrap_bytes(pread64, "pread",
                (int fd, void *buf, size_t len, off64_t offset),
                (fd, buf, len, offset))

fail_wrap_bytes(pwrite, "pwrite",
                (int fd, const void *buf, size_t len, off_t offset),
                (fd, buf, len, offset))

fail_wrap_bytes(pwrite64, "pwrite",
                (int fd, const void *buf, size_t len, off64_t offset),
                (fd, buf, len, offset))

fail_wrap(ssize_t, readv, "readv", 0, -1,
          (int fd, const struct iovec *iov, int n),
          (fd, iov, n))

fail_wrap(ssize_t, writev, "writev", 0, -1,
          (int fd, const struct iovec *iov, int n),
          (fd, iov, n))

fail_wrap(ssize_t, sendfile, "sendfile", 0, -1,
          (int out, int in, off_t *offset, size_t len),
          (out, in, offset, len))

fail_wrap(ssize_t, sendfile64, "sendfile", 0, -1,
          (int out, int in, off64_t *offset, size_t len),
          (out, in, offset, len))

fail_wrap(int, socket, "socket", 0, -1,
          (int domain, int type, int protocol),
          (domain, type, protocol))

fail_wrap(int, connect, "connect", 0, -1,
          (int fd, const struct sockaddr *sa, socklen_t len),
          (fd, sa, len))

fail_wrap(int, accept4, "accept4", 0, -1,
          (int fd, struct sockaddr *sa, socklen_t *len, int flags),
          (fd, sa, len, flags))

fail_wrap(int, epoll_ctl, "epoll_ctl", 0, -1,
          (int ep, int op, int fd, struct epoll_event *event),
          (ep, op, fd, event))

fail_wrap(int, ioctl, "ioctl", 0, -1,
          (int fd, unsigned long request, void *arg),
          (fd, request, arg))

fail_wrap(int, setsockopt, "setsockopt", 0, -1,
          (int fd, int level, int name, const void *value, socklen_t len),
          (fd, level, name, value, len))

fail_wrap(int, open, "open", 0, -1,
          (const char *name, int flags, mode_t mode),
          (name, flags, mode))

fail_wrap(int, open64, "open", 0, -1,
          (const char *name, int flags, mode_t mode),
          (name, flags, mode))

fail_wrap(int, fstat, "fstat", 0, -1,
          (int fd, struct stat *st),
          (fd, st))

fail_wrap(int, fstat64, "fstat", 0, -1,
          (int fd, struct stat64 *st),
          (fd, st))

fail_wrap(int, fchmod, "fchmod", 0, -1,
          (int fd, mode_t mode),
          (fd, mode))

fail_wrap(int, ftruncate, "ftruncate", 0, -1,
          (int fd, off_t size),
          (fd, size))

fail_wrap(int, ftruncate64, "ftruncate", 0, -1,
          (int fd, off64_t size),
          (fd, size))

fail_wrap(int, fcntl, "fcntl", 0, -1,
          (int fd, int command, void *arg),
          (fd, command, arg))

fail_wrap(int, fcntl64, "fcntl", 0, -1,
          (int fd, int command, void *arg),
          (fd, command, arg))

fail_wrap(void *, mmap, "mmap", size, MAP_FAILED,
          (void *p, size_t size, int prot, int flags, int fd, off_t offset),
          (p, size, prot, flags, fd, offset))

fail_wrap(void *, mmap64, "mmap", size, MAP_FAILED,
          (void *p, size_t size, int prot, int flags, int fd, off64_t offset),
          (p, size, prot, flags, fd, offset))
