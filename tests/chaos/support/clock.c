// A clock that can be stepped: preloaded into a process, it adds to the time of day what the
// file WARIFU_CLOCK says, eight bytes of signed nanoseconds. Spans (CLOCK_MONOTONIC) stay
// as they are, as they do when an administrator or NTP steps a machine's clock.
//
// Nothing here allocates, locks or waits: it is called before the allocator has begun.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const long BILLION = 1000000000L;
static volatile int64_t *offset;

__attribute__((constructor)) static void open_clock(void) {
  const char *path = getenv("WARIFU_CLOCK");
  int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) offset = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  if (failed || offset == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
  int64_t nanoseconds = (int64_t)now->tv_sec * BILLION + now->tv_nsec + *offset;
  now->tv_sec = nanoseconds / BILLION;
  now->tv_nsec = nanoseconds % BILLION;
  return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec precise;
  if (clock_gettime(CLOCK_REALTIME, &precise)) return -1;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now)) return (time_t)-1;
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
