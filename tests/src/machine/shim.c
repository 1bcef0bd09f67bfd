/*
 * A machine with faults of its own, for one process: loaded before libc (LD_PRELOAD), told what to do by a file of control
 * values that it has mapped into memory, and written by machine.rs.
 *
 *   clock  an offset is added to the wall clock; the monotonic clock stays
 *   disk   a flush is slow, never returns, fails, or does nothing; a write finds no room
 *   power  each write to the files of the disk is preceded by a note of what was there before, in <file>.undo, which a flush
 *          empties. What the notes hold is what a power cut may take back.
 *
 * Only the files whose path begins with RINGPAD_DISK belong to the disk, without those that end in "-shm" (shared memory, of
 * no use after a power cut) and in ".undo".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* As in machine.rs. */
struct control {
    volatile int64_t wall_ahead_ns;
    volatile int64_t flush_takes_ms;
    volatile int64_t disk;
};
enum { SOUND = 0, HANGS = 1, ERRS = 2, FULL = 3, LIES = 4 };

/* Before each note's old bytes. */
struct note {
    int64_t offset;
    int64_t old_length; /* of the whole file */
    int64_t bytes;      /* that follow: what was at the offset */
};

enum { FILES = 16, PATH = 4096 };

struct file {
    dev_t device;
    ino_t inode;
    int undo;
    char path[PATH];
};

static struct control sound_for_ever;
static struct control *control = &sound_for_ever;
static const char *disk;
static struct file files[FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite64)(int, const void *, size_t, off64_t);
static int (*real_ftruncate64)(int, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

__attribute__((constructor)) static void begin(void)
{
    real_write = real("write");
    real_pwrite64 = real("pwrite64");
    real_ftruncate64 = real("ftruncate64");
    real_fsync = real("fsync");
    real_fdatasync = real("fdatasync");
    disk = getenv("RINGPAD_DISK");
    const char *path = getenv("RINGPAD_CONTROL");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED)
        control = mapped;
}

/* ---- clock ---- */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + control->wall_ahead_ns;
        now->tv_sec = ns / 1000000000;
        now->tv_nsec = ns % 1000000000;
    }
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise))
        return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *also)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (also)
        *also = now.tv_sec;
    return now.tv_sec;
}

/* ---- disk ---- */

static int ends_in(const char *path, const char *end)
{
    size_t length = strlen(path), wanted = strlen(end);
    return length >= wanted && !strcmp(path + length - wanted, end);
}

/* The path of a file of the disk, or 0. */
static int path_on_disk(int fd, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH - 8);
    if (length < 0)
        return 0;
    path[length] = 0;
    return !strncmp(path, disk, strlen(disk)) && !ends_in(path, "-shm") && !ends_in(path, ".undo") &&
           !ends_in(path, ".lock") && !ends_in(path, " (deleted)");
}

/* The disk's file behind a descriptor, or NULL. The lock is held. Files are known by their paths: a number (inode) is given
 * again immediately when its file is removed, as SQLite removes its journal before it makes the write-ahead log. */
static struct file *file_of(int fd, struct stat *found)
{
    char path[PATH];
    if (!disk || fstat(fd, found) || !S_ISREG(found->st_mode) || !path_on_disk(fd, path))
        return NULL;
    struct file *file = NULL;
    for (int i = 0; i < FILES; i++) {
        if (files[i].undo && !strcmp(files[i].path, path)) {
            file = &files[i];
            break;
        }
        if (!files[i].undo && !file)
            file = &files[i];
    }
    if (!file)
        abort();
    if (!file->undo) {
        strcpy(file->path, path);
        strcat(path, ".undo");
        file->undo = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (file->undo <= 0)
            abort();
    } else if ((file->device != found->st_dev || file->inode != found->st_ino) && real_ftruncate64(file->undo, 0)) {
        /* Another file of that name: the notes were the former one's. */
        abort();
    }
    file->device = found->st_dev;
    file->inode = found->st_ino;
    return file;
}

/* Reads what is there, also by a descriptor that is for writing only. */
static void read_back(int fd, char *bytes, int64_t count, int64_t offset)
{
    if (pread64(fd, bytes, count, offset) == count)
        return;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int reading = open(link, O_RDONLY | O_CLOEXEC);
    if (reading < 0 || pread64(reading, bytes, count, offset) != count)
        abort();
    close(reading);
}

/* Notes what is at an offset, for a power cut to take back. */
static void note(struct file *file, int fd, const struct stat *found, int64_t offset, int64_t bytes)
{
    int64_t there = found->st_size > offset ? found->st_size - offset : 0;
    if (bytes > there)
        bytes = there;
    char *noted = malloc(sizeof(struct note) + bytes);
    if (!noted)
        abort();
    if (bytes)
        read_back(fd, noted + sizeof(struct note), bytes, offset);
    struct note header = { offset, found->st_size, bytes };
    memcpy(noted, &header, sizeof header);
    size_t length = sizeof header + bytes;
    if (real_write(file->undo, noted, length) != (ssize_t)length)
        abort();
    free(noted);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    struct stat found;
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd, &found);
    if (!file) {
        pthread_mutex_unlock(&lock);
        return real_pwrite64(fd, bytes, count, offset);
    }
    ssize_t written = -1;
    if (control->disk == FULL) {
        errno = ENOSPC;
    } else {
        note(file, fd, &found, offset, count);
        written = real_pwrite64(fd, bytes, count, offset);
    }
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    return pwrite64(fd, bytes, count, offset);
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    struct stat found;
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd, &found);
    if (!file) {
        pthread_mutex_unlock(&lock);
        return real_write(fd, bytes, count);
    }
    ssize_t written = -1;
    if (control->disk == FULL) {
        errno = ENOSPC;
    } else {
        off64_t at = fcntl(fd, F_GETFL) & O_APPEND ? found.st_size : lseek64(fd, 0, SEEK_CUR);
        note(file, fd, &found, at, count);
        written = real_write(fd, bytes, count);
    }
    pthread_mutex_unlock(&lock);
    return written;
}

int ftruncate64(int fd, off64_t length)
{
    struct stat found;
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd, &found);
    if (file)
        note(file, fd, &found, length, found.st_size);
    int failed = real_ftruncate64(fd, length);
    pthread_mutex_unlock(&lock);
    return failed;
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

static void wait_ms(int64_t ms)
{
    struct timespec length = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&length, NULL);
}

static int flush(int fd, int (*really)(int))
{
    struct stat found;
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd, &found);
    pthread_mutex_unlock(&lock);
    if (!file)
        return really(fd);
    if (control->flush_takes_ms)
        wait_ms(control->flush_takes_ms);
    while (control->disk == HANGS)
        wait_ms(5);
    if (control->disk == ERRS) {
        errno = EIO;
        return -1;
    }
    if (control->disk == LIES)
        return 0;
    /* What is written while it is flushed need not be. */
    pthread_mutex_lock(&lock);
    int failed = really(fd);
    if (!failed && real_ftruncate64(file->undo, 0))
        abort();
    pthread_mutex_unlock(&lock);
    return failed;
}

int fsync(int fd)
{
    return flush(fd, real_fsync);
}

int fdatasync(int fd)
{
    return flush(fd, real_fdatasync);
}
