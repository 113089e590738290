package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	tick      = 30 * time.Millisecond // of a node that ticks as it should
	answering = time.Second           // how long a node lets a request wait
)

// node is a process with its addresses. Its id is never used again once it was removed.
type node struct {
	id       uint64
	slot     int
	command  []string
	url      string // for clients
	peers    string // where it listens for peers, behind its door
	door     net.Listener
	data     string
	tick     time.Duration
	joins    bool
	process  *exec.Cmd
	gone     chan struct{} // closed when the process has ended
	mayEnd   atomic.Bool   // the nemesis wants it to end, or knows that it will
	diskFile string        // what the shim reads its orders from
}

// cluster is some slots, each with the node that is in it at the moment.
type cluster struct {
	directory string
	commands  [][]string
	shim      string
	network   *network

	mu     sync.Mutex
	slots  []*node
	first  string // --cluster of the first members
	nextID uint64
	failed error // a node that ended by itself
}

// starter starts all processes from one thread that never ends: the kernel kills them when the
// thread which started them is gone, and so when this program is killed.
var starter = func() chan func() {
	calls := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range calls {
			f()
		}
	}()
	return calls
}()

func newCluster(directory string, commands [][]string, shim string, size int) (*cluster, error) {
	c := &cluster{directory: directory, commands: commands, shim: shim,
		network: &network{links: map[[2]uint64]*link{}}}
	secret := fmt.Sprintf("%x\n", rand.Uint64())
	if err := os.WriteFile(filepath.Join(directory, "secret"), []byte(secret), 0o600); err != nil {
		return nil, err
	}
	var members []string
	for slot := range size {
		n, err := c.newNode(slot)
		if err != nil {
			return nil, err
		}
		c.slots = append(c.slots, n)
		members = append(members, fmt.Sprintf("%d=%s", n.id, n.peerURL()))
	}
	c.first = strings.Join(members, ",")
	for _, n := range c.slots {
		if err := c.start(n); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// newNode makes the next node for a slot, which keeps its language.
func (c *cluster) newNode(slot int) (*node, error) {
	c.mu.Lock()
	c.nextID++
	id := c.nextID
	c.mu.Unlock()
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &node{
		id: id, slot: slot, command: c.commands[slot%len(c.commands)], door: door,
		url: "http://" + freeAddress(), peers: freeAddress(), tick: tick,
		data:     filepath.Join(c.directory, fmt.Sprintf("node%d", id)),
		diskFile: filepath.Join(c.directory, fmt.Sprintf("node%d.disk", id)),
	}
	go c.network.serve(door, id, n.peers)
	return n, nil
}

func (n *node) peerURL() string { return "http://" + n.door.Addr().String() }

func (n *node) log() string { return n.data + ".log" }

var given sync.Map

// freeAddress finds a port that nobody has, below those that the kernel gives out by itself: it
// stays free while its node is down.
func freeAddress() string {
	for {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if _, isGiven := given.LoadOrStore(address, true); isGiven {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
}

// start starts a node that is not running.
func (c *cluster) start(n *node) error {
	log, err := os.OpenFile(n.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	arguments := append(slices.Clone(n.command[1:]),
		"--id", strconv.FormatUint(n.id, 10), "--listen", n.url, "--data", n.data,
		"--listen-peers", "http://"+n.peers,
		"--tick-ms", strconv.FormatInt(n.tick.Milliseconds(), 10),
		"--timeout-ms", strconv.FormatInt(answering.Milliseconds(), 10),
		"--secret-file", filepath.Join(c.directory, "secret"),
		"--snapshot-entries", "150", "--catch-up-entries", "30")
	if n.joins {
		arguments = append(arguments, "--join", "--cluster",
			fmt.Sprintf("%d=%s", n.id, n.peerURL()))
	} else {
		arguments = append(arguments, "--cluster", c.first)
	}
	process := exec.Command(n.command[0], arguments...)
	process.Stdout, process.Stderr = log, log
	process.Env = append(os.Environ(), "LD_PRELOAD="+c.shim, "DISK_ORDERS="+n.diskFile,
		"DISK_BELOW="+n.data)
	if isGo(n) {
		process.Env = append(process.Env, "DISK_SYSCALLS=1") // it does not sync through libc
	}
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	starter <- func() { started <- process.Start() }
	if err := <-started; err != nil {
		return err
	}
	gone := make(chan struct{})
	c.mu.Lock()
	n.process, n.gone = process, gone
	c.mu.Unlock()
	n.mayEnd.Store(false)
	go func() {
		_ = process.Wait()
		if !n.mayEnd.Load() {
			c.fail(fmt.Errorf("node %d ended by itself (%v): %s\n%s", n.id, process.ProcessState,
				n.log(), n.lastWords()))
		}
		close(gone)
	}()
	return nil
}

func (n *node) lastWords() string {
	text, _ := os.ReadFile(n.log())
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-12):], []byte("\n")))
}

func (c *cluster) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = errors.Join(c.failed, err)
}

func (n *node) signal(s syscall.Signal) { _ = syscall.Kill(-n.process.Process.Pid, s) }

// kill ends a node's process at once.
func (n *node) kill() {
	n.mayEnd.Store(true)
	n.signal(syscall.SIGKILL)
	<-n.gone
}

func (n *node) isRunning() bool {
	select {
	case <-n.gone:
		return false
	default:
		return true
	}
}

// at is the node that is in a slot now.
func (c *cluster) at(slot int) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slots[slot]
}

func (c *cluster) nodes() []*node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.slots)
}

// put puts a node into a slot.
func (c *cluster) put(n *node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slots[n.slot] = n
}

// stop asks all nodes to stop, and says who did not.
func (c *cluster) stop() error {
	for _, n := range c.nodes() {
		n.mayEnd.Store(true)
		n.signal(syscall.SIGTERM)
	}
	var problem error
	for _, n := range c.nodes() {
		select {
		case <-n.gone:
			if code := n.process.ProcessState.ExitCode(); code != 0 {
				problem = errors.Join(problem, fmt.Errorf("node %d stopped with exit code %d", n.id,
					code))
			}
		case <-time.After(15 * time.Second):
			problem = errors.Join(problem, fmt.Errorf("node %d does not stop", n.id))
		}
	}
	c.destroy()
	return problem
}

// destroy leaves nothing running.
func (c *cluster) destroy() {
	for _, n := range c.nodes() {
		_ = n.door.Close()
		if n.process != nil {
			n.kill()
		}
	}
}

// What a node says of itself at /_/status.
type status struct {
	ID      uint64 `json:"id"`
	Role    string `json:"role"`
	Term    uint64 `json:"term"`
	Leader  uint64 `json:"leader"`
	Commit  uint64 `json:"commit"`
	Applied uint64 `json:"applied"`
	Members []struct {
		ID uint64 `json:"id"`
	} `json:"members"`
	Storage struct {
		OK bool `json:"ok"`
	} `json:"storage"`
}

// request sends a request once. A zero status means that no answer came.
func request(method, url, body string, headers map[string]string) (*http.Response, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answering+500*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response, string(text), err
}

func (n *node) status() *status {
	response, text, err := request("GET", n.url+"/_/status", "", nil)
	s := new(status)
	if err != nil || response.StatusCode != 200 || json.Unmarshal([]byte(text), s) != nil {
		return nil
	}
	return s
}

// statuses asks all nodes at once; whoever does not answer is left out.
func (c *cluster) statuses() map[*node]*status {
	var mu sync.Mutex
	var asking sync.WaitGroup
	found := map[*node]*status{}
	for _, n := range c.nodes() {
		asking.Go(func() {
			if s := n.status(); s != nil {
				mu.Lock()
				found[n] = s
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	return found
}

// leader is the node that leads in the highest term, or nil.
func (c *cluster) leader() *node {
	var leader *node
	var term uint64
	for n, s := range c.statuses() {
		if s.Role == "leader" && s.Term > term {
			leader, term = n, s.Term
		}
	}
	return leader
}

// settle waits until all nodes follow one leader and have applied what is committed.
func (c *cluster) settle(patience time.Duration) error {
	end := time.Now().Add(patience)
	for {
		seen := c.statuses()
		if len(seen) == len(c.nodes()) && agree(seen) {
			return nil
		}
		c.mu.Lock()
		failed := c.failed
		c.mu.Unlock()
		if failed != nil {
			return failed
		}
		if time.Now().After(end) {
			var all []string
			for _, n := range c.nodes() {
				all = append(all, fmt.Sprintf("node %d: %+v\n%s", n.id, seen[n], n.lastWords()))
			}
			return fmt.Errorf("the nodes do not come together within %v:\n%s", patience,
				strings.Join(all, "\n"))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func agree(seen map[*node]*status) bool {
	var first *status
	for _, s := range seen {
		if first == nil {
			first = s
		}
		if s.Leader == 0 || s.Leader != first.Leader || s.Term != first.Term ||
			s.Applied != first.Commit || s.Commit != first.Commit || len(s.Members) != len(seen) {
			return false
		}
	}
	return true
}
