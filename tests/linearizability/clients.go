package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	clientCount = 8
	keyLife     = 120 // after how many operations a key makes room for a new one
	attempts    = 4   // of a write that has a request id
)

// clients are what use the cluster, and the history of what they heard.
type clients struct {
	cluster *cluster
	seed    uint64
	started time.Time
	used    []atomic.Int64 // how often each of the keys that are open at a time

	mu      sync.Mutex
	history []porcupine.Operation
	// When each value was sent, by key and value: a stale read may only find what was sent.
	sent    map[[2]string]int64
	tally   tally
	problem error
}

// tally counts what came of the operations.
type tally struct {
	reads, writes, retried, refused, unknown, stale int
}

func (t *tally) add(o tally) {
	t.reads += o.reads
	t.writes += o.writes
	t.retried += o.retried
	t.refused += o.refused
	t.unknown += o.unknown
	t.stale += o.stale
}

func (t *tally) operations() int { return t.reads + t.writes + t.unknown + t.stale }

func newClients(c *cluster, seed uint64, keys int) *clients {
	return &clients{cluster: c, seed: seed, started: time.Now(),
		used: make([]atomic.Int64, keys), sent: map[[2]string]int64{}}
}

func (c *clients) now() int64 { return int64(time.Since(c.started)) }

// run lets all clients work until they are told to stop.
func (c *clients) run(stop <-chan struct{}) {
	var working sync.WaitGroup
	for number := range clientCount {
		working.Go(func() {
			chance := rand.New(rand.NewPCG(c.seed, uint64(number)))
			for operation := 0; ; operation++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(chance.IntN(8)) * time.Millisecond):
					c.operate(number, operation, chance)
				}
			}
		})
	}
	working.Wait()
}

func (c *clients) operate(number, operation int, chance *rand.Rand) {
	place := chance.IntN(len(c.used))
	key := fmt.Sprintf("k%d-%d", place, c.used[place].Add(1)/keyLife)
	slot := chance.IntN(len(c.cluster.nodes()))
	value := fmt.Sprintf("%d.%d", number, operation)
	switch p := chance.IntN(100); {
	case p < 45:
		c.read(number, slot, key)
	case p < 50:
		c.readStale(slot, key)
	case p < 90:
		c.write(number, slot, key, value, kinds[chance.IntN(len(kinds))])
	default:
		c.write(number, slot, key, "", kinds[chance.IntN(len(kinds))])
	}
}

// How a write is sent: once; with a request id, and again until its fate is known; or even again
// when it is known, as a client does that missed the answer.
type sending int

const (
	once sending = iota
	untilKnown
	onceMore
)

var kinds = []sending{once, once, once, untilKnown, untilKnown, onceMore}

func (c *clients) keyURL(slot int, key string) string {
	return c.cluster.at(slot).url + "/_/kv/" + key
}

// get is a read's answer: whether there was one, and the value, empty where there is none.
func get(url string) (string, bool) {
	response, text, err := request(http.MethodGet, url, "", nil)
	switch {
	case err != nil:
		return "", false
	case response.StatusCode == http.StatusNotFound:
		return "", true
	}
	return text, response.StatusCode == http.StatusOK
}

func (c *clients) read(number, slot int, key string) {
	call := c.now()
	if value, ok := get(c.keyURL(slot, key)); ok {
		c.note(number, call, input{key: key}, output{value: value})
	}
}

// readStale reads what a node has. Nobody promises that it is new, but it cannot be of the future.
func (c *clients) readStale(slot int, key string) {
	value, ok := get(c.keyURL(slot, key) + "?stale=1")
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ok {
		return
	}
	c.tally.stale++
	if _, isSent := c.sent[[2]string{key, value}]; !isSent && value != "" {
		c.problem = fmt.Errorf("%w: a stale read of %s found %q, which nobody has written",
			errViolation, key, value)
	}
}

// write writes a value, or deletes. With a request id it is tried again with other nodes until its
// fate is known, and still it is one write.
func (c *clients) write(number, slot int, key, value string, how sending) {
	call := c.now()
	headers, tries := map[string]string{}, 1
	if how != once {
		headers["Request-Id"], tries = fmt.Sprintf("%d-%d-%d", c.seed, number, call), attempts
	}
	c.mu.Lock()
	c.sent[[2]string{key, value}] = call
	c.mu.Unlock()
	in, mayBeApplied := input{key: key, write: true, value: value}, false
	for try := range tries {
		index, unknown := put(c.keyURL((slot+try)%len(c.cluster.nodes()), key), value, headers)
		if index != 0 {
			c.note(number, call, in, output{index: index})
			if how == onceMore {
				c.repeat(slot, in, index, headers)
			}
			return
		}
		mayBeApplied = mayBeApplied || unknown
		if try+1 < tries {
			c.mu.Lock()
			c.tally.retried++
			c.mu.Unlock()
			time.Sleep(50 * time.Millisecond)
		}
	}
	if mayBeApplied {
		c.note(number, call, in, output{unknown: true})
		return
	}
	c.mu.Lock()
	c.tally.refused++ // it must never be seen: it is not in the history
	c.mu.Unlock()
}

// repeat sends a write that was answered: nothing may come of it, except the same answer.
func (c *clients) repeat(slot int, in input, index uint64, headers map[string]string) {
	time.Sleep(20 * time.Millisecond)
	again, _ := put(c.keyURL(slot, in.key), in.value, headers)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.retried++
	if again != 0 && again != index {
		c.problem = fmt.Errorf("%w: %v was applied at index %d, and its repetition at %d",
			errViolation, in, index, again)
	}
}

// put tries a write once. It returns the index at which it was applied, or else whether it may have
// been.
func put(url, value string, headers map[string]string) (uint64, bool) {
	method := http.MethodPut
	if value == "" {
		method = http.MethodDelete
	}
	response, _, err := request(method, url, value, headers)
	var netErr *net.OpError
	switch {
	case errors.As(err, &netErr) && netErr.Op == "dial":
		return 0, false
	case err != nil:
		return 0, true
	case response.StatusCode == http.StatusNoContent:
		index, _ := strconv.ParseUint(response.Header.Get("Raft-Index"), 10, 64)
		return index, true
	}
	return 0, response.Header.Get("Raft-Outcome") != "refused"
}

func (c *clients) note(number int, call int64, in input, out output) {
	end := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case out.unknown:
		c.tally.unknown++
	case in.write:
		c.tally.writes++
	default:
		c.tally.reads++
	}
	c.history = append(c.history, porcupine.Operation{
		ClientId: number, Input: in, Call: call, Output: out, Return: end,
	})
}

// readAll reads every key that was ever used from every node, when all is well again.
func (c *clients) readAll(patience time.Duration) error {
	end := time.Now().Add(patience)
	for place := range c.used {
		for age := range c.used[place].Load()/keyLife + 1 {
			key := fmt.Sprintf("k%d-%d", place, age)
			for slot := range c.cluster.nodes() {
				if !c.readUntil(end, slot, key) {
					return fmt.Errorf("node %d does not read %s, or its stale reads stay old",
						c.cluster.at(slot).id, key)
				}
			}
		}
	}
	return nil
}

// readUntil reads until there is an answer and a stale read agrees: by now all nodes have all.
func (c *clients) readUntil(end time.Time, slot int, key string) bool {
	for time.Now().Before(end) {
		call := c.now()
		if value, ok := get(c.keyURL(slot, key)); ok {
			c.note(clientCount, call, input{key: key}, output{value: value})
			if stale, ok := get(c.keyURL(slot, key) + "?stale=1"); ok && stale == value {
				return true
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

// ended is the whole history. What nobody heard the end of has not ended.
func (c *clients) ended() []porcupine.Operation {
	end := c.now()
	for i := range c.history {
		if c.history[i].Output.(output).unknown {
			c.history[i].Return = end
		}
	}
	return c.history
}
