/* Replays the simulator's recorded schedules (raft-sim/SCHEDULES.md) through the C API: same
 * inputs, same outputs, byte for byte. Each storage is a table of callbacks; a file that asks for
 * no fault is played once more on the library's own memory storage.
 *
 *   schedules FILE...
 */
#include "schedule_storage.h"

#include <stddef.h>

enum { NODES_MAX = 16, QUEUE_MAX = 4096 };

/* What one Ready asks of the storage threads. */
struct work {
    const raftcore_ready *ready;
    int holders;
};

struct queue {
    struct work *work[QUEUE_MAX];
    size_t first, last;
};

struct replica {
    raftcore_config config;
    struct faulty *faulty;     /* NULL on a memory storage */
    raftcore_storage *storage; /* what the node reads */
    raftcore_storage *log;     /* what is written to */
    raftcore_node *node;
    const raftcore_ready *ready;
    struct queue writes, applies;
    uint64_t responses[QUEUE_MAX];
    size_t first_response, last_response;
};

static struct replica *replicas[NODES_MAX];
static int on_memory, made, finalized;
static uint64_t hash;

static void hash_byte(uint8_t byte)
{
    hash = (hash ^ byte) * 0x100000001b3u;
}

static void hash_number(uint64_t number)
{
    for (int i = 0; i < 8; i++) hash_byte((uint8_t)(number >> (8 * i)));
}

static void hash_bytes(const void *data, size_t len)
{
    hash_number(len);
    for (size_t i = 0; i < len; i++) hash_byte(((const uint8_t *)data)[i]);
}

static void hash_buffer(raftcore_buffer *buffer)
{
    hash_bytes(buffer->data, buffer->len);
    raftcore_buffer_free(buffer);
}

/* The hundreds of a status are the kinds of a schedule's results. */
static void hash_result(raftcore_status status)
{
    CHECK(status <= 0 && status > -600);
    hash_byte((uint8_t)(-status / 100));
}

static void hash_entries(const raftcore_entries *entries)
{
    raftcore_buffer buffer;
    const raftcore_entry *entry = NULL;
    hash_number(entries->count);
    while ((entry = raftcore_entry_next(entries, entry)) != NULL) {
        OK(raftcore_entry_encode(entry, &buffer, &error));
        hash_buffer(&buffer);
    }
}

static void hash_messages(const raftcore_messages *messages)
{
    const raftcore_message *message = NULL;
    hash_number(messages->count);
    while ((message = raftcore_message_next(messages, message)) != NULL)
        hash_bytes(message->encoded.data, message->encoded.len);
}

static int has_append(const raftcore_ready *ready)
{
    return ready->entries.count > 0 || ready->hard_state != NULL || ready->snapshot != NULL ||
           ready->messages_after_sync.count > 0;
}

static void hash_ready(const raftcore_ready *ready, int is_async)
{
    static const raftcore_messages none = RAFTCORE_MESSAGES_INIT;
    hash_byte(ready->soft_state != NULL);
    if (ready->soft_state != NULL) {
        hash_number(ready->soft_state->leader);
        hash_byte((uint8_t)ready->soft_state->role);
    }
    hash_byte(ready->hard_state != NULL);
    if (ready->hard_state != NULL) {
        hash_number(ready->hard_state->term);
        hash_number(ready->hard_state->vote);
        hash_number(ready->hard_state->commit);
    }
    hash_byte((uint8_t)ready->must_sync);
    hash_byte(ready->snapshot != NULL);
    if (ready->snapshot != NULL) {
        raftcore_buffer buffer;
        OK(raftcore_snapshot_encode(ready->snapshot, &buffer, &error));
        hash_buffer(&buffer);
    }
    hash_entries(&ready->entries);
    hash_entries(&ready->committed);
    hash_messages(&ready->messages);
    hash_messages(is_async ? &none : &ready->messages_after_sync);
    hash_number(ready->read_states.count);
    const raftcore_read_state *read = NULL;
    while ((read = raftcore_read_state_next(&ready->read_states, read)) != NULL) {
        hash_number(read->index);
        hash_bytes(read->context.data, read->context.len);
    }
    if (!is_async) return;
    hash_byte((uint8_t)has_append(ready));
    if (has_append(ready)) {
        const raftcore_message *reply = NULL;
        hash_number(ready->messages_after_sync.count);
        while ((reply = raftcore_message_next(&ready->messages_after_sync, reply)) != NULL) {
            hash_byte(reply->response_number != 0);
            if (reply->response_number == 0)
                hash_bytes(reply->encoded.data, reply->encoded.len);
        }
    }
    hash_byte(ready->messages_after_apply.count > 0);
}

/* Bytes in hexadecimal, "-" if there are none, written over the word. */
static size_t unhex(char *word)
{
    size_t len = strlen(word) / 2;
    if (strcmp(word, "-") == 0) return 0;
    for (size_t i = 0; i < len; i++) {
        char digits[3] = {word[2 * i], word[2 * i + 1], '\0'};
        word[i] = (char)strtoul(digits, NULL, 16);
    }
    return len;
}

static uint64_t number(const char *word)
{
    char *end;
    uint64_t value = strtoull(word, &end, 10);
    CHECK(end != word && *end == '\0');
    return value;
}

static void configure(raftcore_config *config, char *word)
{
#define FIELD(name) {#name, offsetof(raftcore_config, name), sizeof config->name}
    static const struct {
        const char *name;
        size_t offset, size;
    } fields[] = {FIELD(id), FIELD(seed), FIELD(applied), FIELD(max_message_bytes),
                  FIELD(max_committed_bytes_per_ready), FIELD(max_uncommitted_bytes),
                  FIELD(max_inflight_messages), FIELD(max_inflight_bytes),
                  FIELD(max_pending_reads), FIELD(election_timeout_ticks),
                  FIELD(heartbeat_interval_ticks), FIELD(read_only), FIELD(check_quorum),
                  FIELD(pre_vote), FIELD(forward_proposals), FIELD(validate_conf_changes),
                  FIELD(step_down_on_removal), FIELD(votes_wait_for_sync),
                  FIELD(async_storage_writes), FIELD(coalesce_appends)};
#undef FIELD
    char *value = strchr(word, '=');
    CHECK(value != NULL);
    *value++ = '\0';
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(fields[i].name, word) != 0) continue;
        uint64_t wide = number(value);
        uint32_t narrow = (uint32_t)wide;
        void *at = (char *)config + fields[i].offset;
        memcpy(at, fields[i].size == 8 ? (void *)&wide : (void *)&narrow, fields[i].size);
        return;
    }
    fprintf(stderr, "no field %s\n", word);
    exit(1);
}

static void forget(uint64_t id)
{
    CHECK(id < NODES_MAX);
    struct replica *at = replicas[id];
    if (at == NULL) return;
    raftcore_node_destroy(at->node);
    raftcore_storage_destroy(at->storage);
    for (; at->writes.first < at->writes.last; at->writes.first++)
        if (--at->writes.work[at->writes.first]->holders == 0)
            free(at->writes.work[at->writes.first]);
    for (; at->applies.first < at->applies.last; at->applies.first++)
        if (--at->applies.work[at->applies.first]->holders == 0)
            free(at->applies.work[at->applies.first]);
    free(at);
    replicas[id] = NULL;
}

static void begin(char **words, int count)
{
    raftcore_config config;
    OK(raftcore_config_init(&config, sizeof config, &error));
    for (int i = 1; i < count; i++) configure(&config, words[i]);
    forget(config.id);
    struct replica *at = replicas[config.id] = calloc(1, sizeof *at);
    CHECK(at != NULL);
    at->config = config;
    if (on_memory) {
        OK(raftcore_storage_create_memory(NULL, &at->storage, &error));
        at->log = at->storage;
    } else {
        at->storage = faulty_create(&at->faulty, &finalized);
        at->log = at->faulty->log;
        made++;
    }
}

static void store(struct replica *at, char **words)
{
    const char *what = words[0];
    if (strcmp(what, "hard") == 0) {
        raftcore_hard_state state = {number(words[1]), number(words[2]), number(words[3])};
        OK(raftcore_storage_set_hard_state(at->log, &state, &error));
        return;
    }
    size_t len = unhex(words[1]);
    raftcore_slice bytes = {(uint8_t *)words[1], len};
    if (strcmp(what, "entry") == 0) {
        raftcore_entries *entries;
        OK(raftcore_entries_decode(&bytes, 1, &entries, &error));
        OK(raftcore_storage_append(at->log, entries, &error));
        raftcore_entries_destroy(entries);
    } else if (strcmp(what, "conf-state") == 0) {
        raftcore_conf_state *state;
        OK(raftcore_conf_state_decode(bytes.data, len, &state, &error));
        OK(raftcore_storage_set_conf_state(at->log, state, &error));
        raftcore_conf_state_destroy(state);
    } else {
        raftcore_snapshot *snapshot;
        OK(raftcore_snapshot_decode(bytes.data, len, &snapshot, &error));
        if (strcmp(what, "restore") == 0) {
            OK(raftcore_storage_apply_snapshot(at->log, snapshot, &error));
        } else {
            CHECK(strcmp(what, "snapshot") == 0);
            OK(raftcore_storage_create_snapshot(at->log, snapshot->index, snapshot->conf_state,
                                                snapshot->data.data, snapshot->data.len, NULL,
                                                &error));
        }
        raftcore_snapshot_destroy(snapshot);
    }
}

static void let_go(struct replica *at, struct work *work)
{
    if (--work->holders > 0) return;
    OK(raftcore_node_release(at->node, work->ready, &error));
    free(work);
}

static void push(struct queue *queue, struct work *work)
{
    CHECK(queue->last < QUEUE_MAX);
    queue->work[queue->last++] = work;
    work->holders++;
}

static struct work *pop(struct queue *queue)
{
    CHECK(queue->first < queue->last);
    return queue->work[queue->first++];
}

static void take(struct replica *at)
{
    int is_async = at->config.async_storage_writes != 0;
    const raftcore_ready *ready = NULL;
    raftcore_status status = raftcore_node_ready(at->node, &ready, NULL);
    hash_result(status);
    if (status != RAFTCORE_OK || ready == NULL) return;
    hash_ready(ready, is_async);
    if (!is_async) {
        at->ready = ready;
        return;
    }
    struct work *work = calloc(1, sizeof *work);
    CHECK(work != NULL);
    work->ready = ready;
    work->holders = 1;
    if (has_append(ready)) push(&at->writes, work);
    const raftcore_message *reply = NULL;
    while ((reply = raftcore_message_next(&ready->messages_after_sync, reply)) != NULL) {
        CHECK(at->last_response < QUEUE_MAX);
        if (reply->response_number != 0)
            at->responses[at->last_response++] = reply->response_number;
    }
    if (ready->messages_after_apply.count > 0) push(&at->applies, work);
    let_go(at, work);
}

/* A snapshot that is not newer than the stored one is passed over. */
static void persist(struct replica *at)
{
    struct work *work = at->config.async_storage_writes ? pop(&at->writes) : NULL;
    const raftcore_ready *ready = work != NULL ? work->ready : at->ready;
    if (ready->snapshot != NULL) {
        raftcore_status status =
            on_memory ? raftcore_node_persist_parts(at->node, ready, RAFTCORE_PERSIST_SNAPSHOT,
                                                    NULL)
                      : raftcore_storage_apply_snapshot(at->log, ready->snapshot, NULL);
        CHECK(status == RAFTCORE_OK || status == RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE);
    }
    if (on_memory) {
        OK(raftcore_node_persist_parts(at->node, ready,
                                       RAFTCORE_PERSIST_ENTRIES | RAFTCORE_PERSIST_HARD_STATE,
                                       &error));
    } else {
        OK(raftcore_storage_append(at->log, &ready->entries, &error));
        if (ready->hard_state != NULL)
            OK(raftcore_storage_set_hard_state(at->log, ready->hard_state, &error));
    }
    if (work != NULL) let_go(at, work);
}

static void compact(struct replica *at, char **words)
{
    raftcore_conf_state *state;
    size_t state_len = unhex(words[2]), len = unhex(words[3]);
    OK(raftcore_conf_state_decode(words[2], state_len, &state, &error));
    OK(raftcore_storage_create_snapshot(at->log, number(words[0]), state, words[3], len, NULL,
                                        &error));
    raftcore_conf_state_destroy(state);
    raftcore_status status = raftcore_storage_compact(at->log, number(words[1]), NULL);
    CHECK(status == RAFTCORE_OK || status == RAFTCORE_ERR_COMPACTED);
}

static raftcore_status bootstrap(struct replica *at, char *list)
{
    raftcore_peer peers[NODES_MAX];
    size_t count = 0;
    memset(peers, 0, sizeof peers);
    for (char *id = strtok(list, ","); id != NULL; id = strtok(NULL, ","))
        peers[count++].id = number(id);
    return raftcore_node_bootstrap(at->node, peers, count, NULL);
}

static raftcore_status apply_conf_change(struct replica *at, uint64_t index)
{
    const raftcore_ready *ready =
        at->config.async_storage_writes ? at->applies.work[at->applies.first]->ready : at->ready;
    const raftcore_entry *entry = NULL;
    while ((entry = raftcore_entry_next(&ready->committed, entry)) != NULL)
        if (entry->index == index)
            return raftcore_node_apply_conf_change_entry(at->node, entry, NULL, NULL);
    CHECK(!"an entry with this index");
    return RAFTCORE_OK;
}

static raftcore_status apply_response(struct replica *at)
{
    struct work *work = pop(&at->applies);
    uint64_t response = raftcore_message_at(&work->ready->messages_after_apply, 0)->response_number;
    let_go(at, work);
    return raftcore_node_storage_response(at->node, response, NULL);
}

/* A line that calls the node. */
static raftcore_status call(struct replica *at, const char *command, char **words)
{
    raftcore_node *node = at->node;
#define IS(name) (strcmp(command, name) == 0)
    if (IS("bootstrap")) return bootstrap(at, words[0]);
    if (IS("tick")) return raftcore_node_tick(node, NULL);
    if (IS("campaign")) return raftcore_node_campaign(node, NULL);
    if (IS("forget-leader")) return raftcore_node_forget_leader(node, NULL);
    if (IS("transfer-leader")) return raftcore_node_transfer_leader(node, number(words[0]), NULL);
    if (IS("report-unreachable"))
        return raftcore_node_report_unreachable(node, number(words[0]), NULL);
    if (IS("report-snapshot"))
        return raftcore_node_report_snapshot(node, number(words[0]), !number(words[1]), NULL);
    if (IS("apply-conf-change")) return apply_conf_change(at, number(words[0]));
    if (IS("append-response")) {
        CHECK(at->first_response < at->last_response);
        return raftcore_node_storage_response(node, at->responses[at->first_response++], NULL);
    }
    if (IS("apply-response")) return apply_response(at);
    if (IS("advance")) return raftcore_node_advance(node, at->ready, NULL);
    if (IS("propose-conf-change"))
        return raftcore_node_propose_conf_change_entry(node, (int32_t)number(words[0]), words[1],
                                                       unhex(words[1]), NULL, NULL);
    size_t len = unhex(words[0]);
    if (IS("step")) return raftcore_node_step(node, words[0], len, NULL);
    if (IS("propose")) return raftcore_node_propose(node, words[0], len, NULL, NULL);
    if (IS("read-index")) return raftcore_node_read_index(node, words[0], len, NULL);
    fprintf(stderr, "no command %s\n", command);
    exit(1);
}

static void play_line(char **words, int count)
{
    const char *command = words[0];
    if (IS("node")) {
        begin(words, count);
        return;
    }
    CHECK(count >= 2 && number(words[1]) < NODES_MAX);
    struct replica *at = replicas[number(words[1])];
    CHECK(at != NULL);
    if (IS("store"))
        store(at, words + 2);
    else if (IS("create"))
        OK(raftcore_node_create(&at->config, at->storage, &at->node, &error));
    else if (IS("ready"))
        take(at);
    else if (IS("persist"))
        persist(at);
    else if (IS("compact"))
        compact(at, words + 2);
    else if (IS("reads-fail"))
        at->faulty->reads_fail = words[2][0] == '1';
    else if (IS("snapshot-busy"))
        at->faulty->snapshot_busy = words[2][0] == '1';
    else
        hash_result(call(at, command, words + 2));
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    long len = ftell(file);
    rewind(file);
    char *text = malloc((size_t)len + 1);
    CHECK(text != NULL && fread(text, 1, (size_t)len, file) == (size_t)len);
    text[len] = '\0';
    fclose(file);
    return text;
}

/* Plays a file; 0 if it asks for a fault that this storage does not have. */
static int play(const char *path)
{
    char *text = read_file(path), *next, *words[64];
    int lines = 0, played = 1;
    uint64_t expected = 0;
    hash = 0xcbf29ce484222325u;
    for (char *line = text; *line != '\0'; line = next, lines++) {
        next = strchr(line, '\n');
        CHECK(next != NULL);
        *next++ = '\0';
        if (lines == 0) CHECK(strcmp(line, "raft-schedule 2") == 0);
        if (lines == 1) {
            int has_faults = strstr(line, "reads-fail") != NULL || strstr(line, "busy") != NULL;
            played = !(on_memory && has_faults);
        }
        if (!played) break;
        if (lines < 2 || line[0] == '#') continue;
        int count = 0;
        for (char *word = line; word != NULL && count < 64; count++) {
            words[count] = word;
            word = strchr(word, ' ');
            if (word != NULL) *word++ = '\0';
        }
        if (strcmp(words[0], "hash") == 0)
            expected = strtoull(words[1], NULL, 16);
        else
            play_line(words, count);
    }
    for (uint64_t id = 0; id < NODES_MAX; id++) forget(id);
    if (played && hash != expected) {
        fprintf(stderr, "%s: the hash is %016llx, expected %016llx\n", path,
                (unsigned long long)hash, (unsigned long long)expected);
        exit(1);
    }
    free(text);
    return played;
}

int main(int argc, char **argv)
{
    int played[2] = {0, 0};
    CHECK(argc > 1);
    for (on_memory = 0; on_memory < 2; on_memory++)
        for (int i = 1; i < argc; i++) played[on_memory] += play(argv[i]);
    CHECK(played[0] == argc - 1 && played[1] > 0);
    CHECK(made > 0 && finalized == made); /* each finalizer exactly once */
    return 0;
}
