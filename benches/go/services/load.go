package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// client is a connection of its own to one node.
type client interface {
	write(key, value string) error
	read(key string) error
	close()
}

const requestTimeout = 10 * time.Second

type httpClient struct {
	url, key, value string
	seen            bool
	http            *http.Client
}

func newHTTPClient(url string, seen bool) *httpClient {
	transport := &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}
	return &httpClient{url: url, seen: seen,
		http: &http.Client{Transport: transport, Timeout: requestTimeout}}
}

func (c *httpClient) do(method, key string, body io.Reader) (int, []byte, error) {
	r, err := http.NewRequest(method, c.url+"/"+key, body)
	if err != nil {
		return 0, nil, err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

func (c *httpClient) write(key, value string) error {
	if c.seen {
		return c.writeSeen(key, value)
	}
	return c.put(key, value)
}

func (c *httpClient) put(key, value string) error {
	status, text, err := c.do(http.MethodPut, key, strings.NewReader(value))
	if err == nil && status != http.StatusNoContent {
		err = fmt.Errorf("PUT: %d %s", status, bytes.TrimSpace(text))
	}
	c.key, c.value = key, value
	return err
}

// writeSeen writes until the value can be read: what was answered but not committed may be lost.
func (c *httpClient) writeSeen(key, value string) error {
	err := c.put(key, value)
	for end := time.Now().Add(requestTimeout); err == nil; err = c.put(key, value) {
		if err = c.settle(time.Second); err == nil || time.Now().After(end) {
			return err
		}
	}
	return err
}

// settle reads until the last value is there.
func (c *httpClient) settle(patience time.Duration) error {
	pause := 100 * time.Microsecond
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(pause) {
		status, text, err := c.do(http.MethodGet, c.key, nil)
		if err != nil {
			return err
		}
		if status == http.StatusOK && string(text) == c.value {
			return nil
		}
		pause = min(2*pause, 5*time.Millisecond)
	}
	return errors.New("a write that was answered cannot be read")
}

func (c *httpClient) read(key string) error {
	status, text, err := c.do(http.MethodGet, key, nil)
	if err == nil && status != http.StatusOK && status != http.StatusNotFound {
		err = fmt.Errorf("GET: %d %s", status, bytes.TrimSpace(text))
	}
	return err
}

func (c *httpClient) close() { c.http.CloseIdleConnections() }

type etcdClient struct{ c *clientv3.Client }

func newEtcdClient(n *node) client {
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{n.url}, DialTimeout: requestTimeout,
	})
	if err != nil {
		panic(err) // only a malformed configuration fails here
	}
	return &etcdClient{c}
}

func (e *etcdClient) write(key, value string) error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	_, err := e.c.Put(ctx, key, value)
	return err
}

func (e *etcdClient) read(key string) error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	_, err := e.c.Get(ctx, key)
	return err
}

func (e *etcdClient) close() { _ = e.c.Close() }

const (
	valueBytes = 128
	keysEach   = 500
	warmUp     = 300 * time.Millisecond
)

// roaming is one client that asks the nodes in turn: so it does not matter which of them leads.
type roaming struct {
	clients []client
	turn    int
}

func (r *roaming) next() client {
	r.turn++
	return r.clients[r.turn%len(r.clients)]
}

func (r *roaming) write(key, value string) error { return r.next().write(key, value) }
func (r *roaming) read(key string) error         { return r.next().read(key) }

func (r *roaming) close() {
	for _, k := range r.clients {
		k.close()
	}
}

// connect gives client number i node i modulo three, and a single one all of them.
func connect(c *cluster, number, clients int) client {
	if clients >= members {
		return c.system.connect(c.nodes[number%members])
	}
	r := &roaming{}
	for _, n := range c.nodes {
		r.clients = append(r.clients, c.system.connect(n))
	}
	return r
}

// measure runs a load for a time, after a warm-up.
func measure(c *cluster, kind string, clients int, length time.Duration) (*figures, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	f := &figures{}
	var failure error
	begin := time.Now().Add(warmUp)
	end := begin.Add(length)
	for number := range clients {
		wg.Go(func() {
			k := connect(c, number, clients)
			defer k.close()
			latencies, err := loop(k, kind, number, begin, end)
			mu.Lock()
			defer mu.Unlock()
			f.latencies = append(f.latencies, latencies...)
			failure = errors.Join(failure, err)
		})
	}
	time.Sleep(time.Until(begin))
	before, err := c.cpu()
	wg.Wait()
	after, errAfter := c.cpu()
	f.count, f.cpu, f.elapsed = len(f.latencies), after-before, time.Since(begin)
	if f.count == 0 {
		err = errors.Join(err, errors.New("nothing was answered"))
	}
	return f, errors.Join(failure, err, errAfter)
}

// loop asks again and again, and says how long each answer took that began after the warm-up.
func loop(k client, kind string, number int, begin, end time.Time) ([]time.Duration, error) {
	var latencies []time.Duration
	value := []byte(strings.Repeat("v", valueBytes))
	for turn := 0; ; turn++ {
		from := time.Now()
		if from.After(end) {
			break
		}
		key := fmt.Sprintf("key-%d-%d", number, turn%keysEach)
		var err error
		if kind == "write" {
			copy(value, fmt.Sprintf("%d.%d.", number, from.UnixNano()))
			err = k.write(key, string(value))
		} else {
			err = k.read(key)
		}
		if err != nil {
			return nil, err
		}
		if from.After(begin) {
			latencies = append(latencies, time.Since(from))
		}
	}
	return latencies, nil
}
