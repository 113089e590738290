/* What the contenders in C share: arguments, clocks, memory, and how figures are printed. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fails the run. */
#define CHECK(condition)                                                                     \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);          \
            exit(1);                                                                         \
        }                                                                                    \
    } while (0)

/* The arguments: a workload, then name=value. */
void bench_args(int argc, char **argv);
uint64_t bench_number(const char *name, uint64_t otherwise);
int bench_is(const char *name, const char *value);

/* What a member applied. */
struct applied {
    uint64_t count;
    uint64_t sum;
    uint64_t index;
};
static inline void bench_apply(struct applied *applied, uint64_t index, const void *data,
                               size_t len) {
    applied->index = index;
    if (len == 0) return; /* a new leader's first entry */
    applied->count++;
    applied->sum += index ^ *(const unsigned char *)data;
}
void bench_check(const struct applied *members, size_t stride, unsigned count, uint64_t entries);

/* A stretch of work. */
struct meter {
    uint64_t cpu_ns;
    uint64_t wall_ns;
    uint64_t allocs;
    uint64_t alloc_bytes;
};
struct meter bench_start(void);
struct meter bench_stop(const struct meter *started);
void bench_add(struct meter *sum, const struct meter *more);
/* Prints times per unit, or in the counting build allocations. */
void bench_report(const char *unit, const struct meter *taken, uint64_t units);
void bench_figure(const char *name, double value);
uint64_t bench_resident_bytes(void);
/* What is freed goes back to the allocator, not to the system, as in the contenders in Rust. */
void bench_keep_freed_memory(void);
/* Whether this is the counting build, which is never the one that is timed. */
int bench_counts(void);

#endif
