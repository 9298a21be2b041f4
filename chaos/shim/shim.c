/*
 * Preloaded into a Redis server, so that its clock and its disk can be bent
 * while it runs, without any right on the machine.
 *
 * CHAOS_SHIM names a file of two native 64-bit numbers, which the harness writes
 * at any time: how far the wall clock is ahead, in microseconds, and how long
 * each flush to disk takes, in microseconds.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t none[2];
static volatile int64_t *bent = none;

__attribute__((constructor)) static void attach(void) {
	const char *path = getenv("CHAOS_SHIM");
	int fd = path ? open(path, O_RDONLY) : -1;
	if (fd < 0)
		return;
	void *at = mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED)
		bent = at;
	close(fd);
}

static void shift(int64_t *s, int64_t *us) {
	int64_t t = *s * 1000000 + *us + bent[0];
	*s = t / 1000000;
	*us = t % 1000000;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz) {
	static int (*real)(struct timeval *, void *);
	if (!real)
		real = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
	int r = real(tv, tz);
	if (r == 0 && tv) {
		int64_t s = tv->tv_sec, us = tv->tv_usec;
		shift(&s, &us);
		tv->tv_sec = s;
		tv->tv_usec = us;
	}
	return r;
}

time_t time(time_t *out) {
	struct timeval tv;
	if (gettimeofday(&tv, NULL) != 0)
		return (time_t)-1;
	if (out)
		*out = tv.tv_sec;
	return tv.tv_sec;
}

int clock_gettime(clockid_t id, struct timespec *ts) {
	static int (*real)(clockid_t, struct timespec *);
	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int r = real(id, ts);
	if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
		int64_t s = ts->tv_sec, us = ts->tv_nsec / 1000, ns = ts->tv_nsec % 1000;
		shift(&s, &us);
		ts->tv_sec = s;
		ts->tv_nsec = us * 1000 + ns;
	}
	return r;
}

static void dawdle(void) {
	if (bent[1] > 0)
		usleep((useconds_t)bent[1]);
}

int fdatasync(int fd) {
	static int (*real)(int);
	if (!real)
		real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
	dawdle();
	return real(fd);
}

int fsync(int fd) {
	static int (*real)(int);
	if (!real)
		real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
	dawdle();
	return real(fd);
}
