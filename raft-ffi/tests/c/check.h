/* What the tests say: a condition that does not hold ends the program with its place. */
#ifndef CHECK_H
#define CHECK_H

#include <raftcore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

#define CHECK_EQ(got, expected) \
    check_eq((long long)(got), (long long)(expected), #got, __FILE__, __LINE__)

/* A call that takes `&error` last. */
#define CHECK_STATUS(call, expected) \
    do { \
        raftcore_error error = {.struct_size = sizeof error}; \
        check_status((call), (expected), &error, #call, __FILE__, __LINE__); \
    } while (0)

#define OK(call) CHECK_STATUS(call, RAFTCORE_OK)

static inline void check_eq(long long got, long long expected, const char *what, const char *file,
                            int line)
{
    if (got != expected) {
        fprintf(stderr, "%s:%d: %s is %lld, expected %lld\n", file, line, what, got, expected);
        exit(1);
    }
}

/* A failure must say the same in its status, its error argument and the thread's last error. */
static inline void check_status(raftcore_status got, raftcore_status expected,
                                const raftcore_error *error, const char *what, const char *file,
                                int line)
{
    int ok = got == expected;
    if (ok && got != RAFTCORE_OK)
        ok = error->status == got && error->message[0] != '\0' &&
             strcmp(error->message, raftcore_last_error()) == 0;
    if (!ok) {
        fprintf(stderr, "%s:%d: %s\n  got %d (%s): %s\n  expected %d (%s)\n", file, line, what, got,
                raftcore_status_text(got), error->message, expected,
                raftcore_status_text(expected));
        exit(1);
    }
}

static inline int slice_is(raftcore_slice slice, const char *text)
{
    if (slice.len != strlen(text)) return 0;
    return slice.len == 0 || memcmp(slice.data, text, slice.len) == 0;
}

#endif
