/* What the contenders in C share. With -DCOUNT every allocation of the process is counted, those
 * of the library included: glibc lets a program have its own malloc on top of __libc_malloc. */
#define _GNU_SOURCE
#include "bench.h"

#include <malloc.h>
#include <time.h>
#include <unistd.h>

static int argument_count;
static char **arguments;
static uint64_t alloc_count, alloc_bytes;

#ifdef COUNT
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static size_t counted(size_t size) {
    alloc_count++;
    alloc_bytes += size;
    return size;
}

void *malloc(size_t size) {
    return __libc_malloc(counted(size));
}

void *calloc(size_t count, size_t size) {
    counted(count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    return __libc_realloc(block, counted(size));
}

void *aligned_alloc(size_t alignment, size_t size) {
    return __libc_memalign(alignment, counted(size));
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    *block = __libc_memalign(alignment, counted(size));
    return *block == NULL ? 12 : 0;
}
#endif

int bench_counts(void) {
#ifdef COUNT
    return 1;
#else
    return 0;
#endif
}

void bench_args(int argc, char **argv) {
    CHECK(argc > 1);
    argument_count = argc;
    arguments = argv;
}

static const char *argument(const char *name) {
    size_t len = strlen(name);
    for (int i = 2; i < argument_count; i++)
        if (strncmp(arguments[i], name, len) == 0 && arguments[i][len] == '=')
            return arguments[i] + len + 1;
    return NULL;
}

uint64_t bench_number(const char *name, uint64_t otherwise) {
    const char *text = argument(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

int bench_is(const char *name, const char *value) {
    const char *text = argument(name);
    return text != NULL && strcmp(text, value) == 0;
}

void bench_check(const struct applied *members, size_t stride, unsigned count, uint64_t entries) {
    for (unsigned i = 0; i < count; i++) {
        const struct applied *one = (const void *)((const char *)members + i * stride);
        CHECK(one->count == entries);
        CHECK(one->sum == members->sum);
    }
    bench_figure("check_sum", (double)members->sum);
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec time;
    CHECK(clock_gettime(clock, &time) == 0);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct meter bench_start(void) {
    struct meter now = {clock_ns(CLOCK_PROCESS_CPUTIME_ID), clock_ns(CLOCK_MONOTONIC), alloc_count,
                        alloc_bytes};
    return now;
}

struct meter bench_stop(const struct meter *started) {
    struct meter now = bench_start();
    now.cpu_ns -= started->cpu_ns;
    now.wall_ns -= started->wall_ns;
    now.allocs -= started->allocs;
    now.alloc_bytes -= started->alloc_bytes;
    return now;
}

void bench_add(struct meter *sum, const struct meter *more) {
    sum->cpu_ns += more->cpu_ns;
    sum->wall_ns += more->wall_ns;
    sum->allocs += more->allocs;
    sum->alloc_bytes += more->alloc_bytes;
}

void bench_report(const char *unit, const struct meter *taken, uint64_t units) {
    double n = (double)units;
    if (bench_counts()) {
        printf("allocs_per_%s %.4f\n", unit, (double)taken->allocs / n);
        printf("alloc_bytes_per_%s %.4f\n", unit, (double)taken->alloc_bytes / n);
    } else {
        printf("cpu_ns_per_%s %.4f\n", unit, (double)taken->cpu_ns / n);
        printf("wall_ns_per_%s %.4f\n", unit, (double)taken->wall_ns / n);
    }
}

void bench_figure(const char *name, double value) {
    printf("%s %.4f\n", name, value);
}

void bench_keep_freed_memory(void) {
    CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 30) == 1 && mallopt(M_TRIM_THRESHOLD, 1 << 30) == 1);
}

uint64_t bench_resident_bytes(void) {
    unsigned long size = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm != NULL);
    CHECK(fscanf(statm, "%lu %lu", &size, &resident) == 2);
    fclose(statm);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}
