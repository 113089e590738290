/* ------------------------------------------------------------------------------------------------
 * Initialisers.
 *
 * Values to begin with: everything zero or empty, sizes and strides set.
 *
 *     raftcore_error error = RAFTCORE_ERROR_INIT;
 *     raftcore_conf_change change = RAFTCORE_CONF_CHANGE_INIT;
 * --------------------------------------------------------------------------------------------- */

#define RAFTCORE_SLICE_INIT {NULL, 0}
#define RAFTCORE_IDS_INIT {NULL, 0}
#define RAFTCORE_BUFFER_INIT {NULL, 0, NULL}
#define RAFTCORE_ERROR_INIT {sizeof(raftcore_error), 0, 0, {0}}
#define RAFTCORE_ENTRIES_INIT {NULL, 0, sizeof(raftcore_entry)}
#define RAFTCORE_MESSAGE_INIT \
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, RAFTCORE_SLICE_INIT, RAFTCORE_SLICE_INIT, \
     RAFTCORE_ENTRIES_INIT, NULL, 0}
#define RAFTCORE_MESSAGES_INIT {NULL, 0, sizeof(raftcore_message)}
#define RAFTCORE_CONF_STATE_INIT \
    {sizeof(raftcore_conf_state), RAFTCORE_IDS_INIT, RAFTCORE_IDS_INIT, RAFTCORE_IDS_INIT, \
     RAFTCORE_IDS_INIT, 0, 0}
#define RAFTCORE_CONF_CHANGE_INIT \
    {sizeof(raftcore_conf_change), 0, 0, NULL, 0, RAFTCORE_SLICE_INIT, 0}
#define RAFTCORE_SNAPSHOT_INIT {sizeof(raftcore_snapshot), 0, 0, NULL, RAFTCORE_SLICE_INIT}
#define RAFTCORE_STORAGE_CALLBACKS_INIT \
    {sizeof(raftcore_storage_callbacks), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}
#define RAFTCORE_PROPOSED_INIT {sizeof(raftcore_proposed), 0, 0, 0, 0, 0, 0}
#define RAFTCORE_NODE_STATE_INIT \
    {sizeof(raftcore_node_state), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
#define RAFTCORE_METRICS_INIT \
    {sizeof(raftcore_metrics), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {0}, {0}, {0}}

/* ------------------------------------------------------------------------------------------------
 * Walking through arrays.
 *
 * _at finds an element: i counts from 0 and is below count. _next finds the one after an element,
 * the first one after NULL, and NULL after the last:
 *
 *     for (const raftcore_message *m = NULL; (m = raftcore_message_next(messages, m));)
 *
 * These functions are part of the program, not of the library.
 * --------------------------------------------------------------------------------------------- */

static inline const void *raftcore_array_at(const void *items, size_t stride, size_t i)
{
    return (const char *)items + i * stride;
}

static inline const void *raftcore_array_next(const void *items, size_t count, size_t stride,
                                              const void *item)
{
    if (count == 0) return NULL;
    if (item == NULL) return items;
    if (item == raftcore_array_at(items, stride, count - 1)) return NULL;
    return raftcore_array_at(item, stride, 1);
}

static inline const raftcore_entry *raftcore_entry_at(const raftcore_entries *array, size_t i)
{
    return (const raftcore_entry *)raftcore_array_at(array->items, array->stride, i);
}

static inline const raftcore_entry *
raftcore_entry_next(const raftcore_entries *array, const raftcore_entry *item)
{
    return (const raftcore_entry *)raftcore_array_next(array->items, array->count,
                                                       array->stride, item);
}

static inline const raftcore_message *raftcore_message_at(const raftcore_messages *array, size_t i)
{
    return (const raftcore_message *)raftcore_array_at(array->items, array->stride, i);
}

static inline const raftcore_message *
raftcore_message_next(const raftcore_messages *array, const raftcore_message *item)
{
    return (const raftcore_message *)raftcore_array_next(array->items, array->count,
                                                         array->stride, item);
}

static inline const raftcore_read_state *
raftcore_read_state_at(const raftcore_read_states *array, size_t i)
{
    return (const raftcore_read_state *)raftcore_array_at(array->items, array->stride, i);
}

static inline const raftcore_read_state *
raftcore_read_state_next(const raftcore_read_states *array, const raftcore_read_state *item)
{
    return (const raftcore_read_state *)raftcore_array_next(array->items, array->count,
                                                            array->stride, item);
}

static inline const raftcore_progress *
raftcore_progress_at(const raftcore_progresses *array, size_t i)
{
    return (const raftcore_progress *)raftcore_array_at(array->items, array->stride, i);
}

static inline const raftcore_progress *
raftcore_progress_next(const raftcore_progresses *array, const raftcore_progress *item)
{
    return (const raftcore_progress *)raftcore_array_next(array->items, array->count,
                                                          array->stride, item);
}

#ifdef __cplusplus
}
#endif

#endif /* RAFTCORE_H */
