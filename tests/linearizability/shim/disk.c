/* disk.c: a disk that fails when it is told to, between a program and its libc (LD_PRELOAD).
 *
 * DISK_ORDERS names a file. While it is there and says "full", no file below DISK_BELOW can be
 * written; while it says "fsync", none can be synced. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "orders.h"

int is_ordered(const char *order, int pid, int fd)
{
	const char *orders = getenv("DISK_ORDERS"), *below = getenv("DISK_BELOW");
	char said[16] = "", link[64], path[4096];
	if (!orders || !below || access(orders, F_OK) != 0)
		return 0;
	int kept = errno, file = open(orders, O_RDONLY | O_CLOEXEC);
	ssize_t len = file >= 0 ? read(file, said, sizeof said - 1) : 0;
	if (file >= 0)
		close(file);
	snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, fd);
	ssize_t path_len = readlink(link, path, sizeof path - 1);
	errno = kept;
	size_t below_len = strlen(below);
	return len > 0 && strcmp(said, order) == 0 && path_len > (ssize_t)below_len &&
		memcmp(path, below, below_len) == 0 && path[below_len] == '/';
}

#define NEXT(name) ((__typeof__(&name))(size_t)dlsym(RTLD_NEXT, #name))

#define FAILS(order, error)              \
	if (is_ordered(order, getpid(), fd)) { \
		errno = error;                   \
		return -1;                       \
	}

ssize_t write(int fd, const void *data, size_t len)
{
	FAILS("full", ENOSPC)
	return NEXT(write)(fd, data, len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	FAILS("full", ENOSPC)
	return NEXT(pwrite)(fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	FAILS("full", ENOSPC)
	return NEXT(pwrite64)(fd, data, len, at);
}

int fsync(int fd)
{
	FAILS("fsync", EIO)
	return NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
	FAILS("fsync", EIO)
	return NEXT(fdatasync)(fd);
}
