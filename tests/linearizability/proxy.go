package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// A door stands before a node's port for peers: the node's URL in the cluster is that of its door.
// Each connection is one node's, which says who it is in the head of its first request, so a
// connection belongs to one directed link and shares that link's fate. On a stream it is the node
// behind the door that sends: that connection belongs to the link the other way.

type direction int

const (
	there direction = iota // what the sender of messages says
	back                   // what it is answered, or asked
)

// link is what happens to the connections from one node to another. Faults that overlap count.
type link struct {
	mu      sync.Mutex
	blocked [2]int
	delay   time.Duration
	changed chan struct{} // closed whenever something changes
	open    map[*pair]bool
}

// pair is a connection through a door: the end of the sender of messages, and the other.
type pair struct {
	ends [2]net.Conn
	done chan struct{}
	once sync.Once
}

func (p *pair) close() {
	p.once.Do(func() {
		close(p.done)
		_ = p.ends[0].Close()
		_ = p.ends[1].Close()
	})
}

// network has all the links.
type network struct {
	mu    sync.Mutex
	links map[[2]uint64]*link
}

func (n *network) link(from, to uint64) *link {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.links[[2]uint64{from, to}]
	if l == nil {
		l = &link{changed: make(chan struct{}), open: map[*pair]bool{}}
		n.links[[2]uint64{from, to}] = l
	}
	return l
}

func (l *link) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

// block holds back what goes in a direction. The function that it returns ends that: then what was
// held back arrives late, or, if it is to be lost, its connections are broken off.
func (l *link) block(d direction, lose bool) func() {
	l.change(func() { l.blocked[d]++ })
	return func() {
		l.change(func() {
			l.blocked[d]--
			for p := range l.open {
				if lose {
					p.close()
				}
			}
		})
	}
}

// slow delays everything in both directions.
func (l *link) slow(by time.Duration) func() {
	l.change(func() { l.delay += by })
	return func() { l.change(func() { l.delay -= by }) }
}

// pass waits until something may go on its way; false when the connection is closed before.
func (l *link) pass(p *pair, d direction) bool {
	for {
		l.mu.Lock()
		isFree, changed := l.blocked[d] == 0, l.changed
		l.mu.Unlock()
		if isFree {
			return true
		}
		select {
		case <-changed:
		case <-p.done:
			return false
		}
	}
}

type chunk struct {
	data []byte
	due  time.Time
}

// carry carries bytes from one end to the other, each at its time.
func (l *link) carry(p *pair, d direction, first []byte) {
	defer p.close()
	chunks := make(chan chunk, 64)
	go func() {
		defer close(chunks)
		data := first
		var err error
		for err == nil {
			l.mu.Lock()
			due := time.Now().Add(l.delay)
			l.mu.Unlock()
			select {
			case chunks <- chunk{data, due}:
			case <-p.done:
				return
			}
			buffer := make([]byte, 32<<10)
			var n int
			n, err = p.ends[d].Read(buffer)
			data = buffer[:n]
		}
	}()
	for c := range chunks {
		time.Sleep(time.Until(c.due))
		if !l.pass(p, d) {
			return
		}
		if _, err := p.ends[1-d].Write(c.data); err != nil {
			return
		}
	}
}

// serve carries the connections of a door to the node's own port, until the door is closed.
func (n *network) serve(door net.Listener, to uint64, address string) {
	for {
		sender, err := door.Accept()
		if err != nil {
			return
		}
		go n.connect(sender, to, address)
	}
}

func (n *network) connect(caller net.Conn, to uint64, address string) {
	from, head, err := readSender(caller)
	if err != nil {
		_ = caller.Close()
		return
	}
	node, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		_ = caller.Close()
		return
	}
	l, asks, answers := n.link(from, to), there, back
	if bytes.HasPrefix(head, []byte("GET /stream ")) {
		l, asks, answers = n.link(to, from), back, there
	}
	p := &pair{done: make(chan struct{})}
	p.ends[asks], p.ends[answers] = caller, node
	l.change(func() { l.open[p] = true })
	go l.carry(p, answers, nil)
	l.carry(p, asks, head)
	l.change(func() { delete(l.open, p) })
}

// readSender reads the head of the first request, and who sends it.
func readSender(c net.Conn) (uint64, []byte, error) {
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	var head []byte
	buffer := make([]byte, 4096)
	for !bytes.Contains(head, []byte("\r\n\r\n")) {
		n, err := c.Read(buffer)
		head = append(head, buffer[:n]...)
		if err != nil || len(head) > 1<<16 {
			return 0, nil, errors.Join(err, io.ErrUnexpectedEOF)
		}
	}
	_, rest, _ := bytes.Cut(bytes.ToLower(head), []byte("raft-from:"))
	number, _, _ := bytes.Cut(rest, []byte("\r\n"))
	from, err := strconv.ParseUint(string(bytes.TrimSpace(number)), 10, 63)
	return from, head, err
}
