package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const members = 3

// system is one way to run a node and to speak with it.
type system struct {
	command       func(root string) []string
	flags         func(n *node, all []*node) []string
	connect       func(n *node) client
	readsLinearly bool
}

func commandOf(words ...string) func(string) []string {
	return func(root string) []string {
		out := make([]string, len(words))
		for i, word := range words {
			out[i] = filepath.Join(root, word)
		}
		return out
	}
}

func joined(all []*node, separator string, form func(*node) string) string {
	var parts []string
	for _, n := range all {
		parts = append(parts, form(n))
	}
	return strings.Join(parts, separator)
}

func ours(words ...string) *system {
	return &system{
		command: commandOf(words...),
		flags: func(n *node, all []*node) []string {
			founders := joined(all, ",", func(m *node) string {
				return fmt.Sprintf("%d=%s", m.id, m.peer)
			})
			return []string{"--id", strconv.Itoa(n.id), "--cluster", founders, "--listen", n.url,
				"--data", n.folder}
		},
		connect:       func(n *node) client { return newHTTPClient(n.url, false) },
		readsLinearly: true,
	}
}

// etcd's example answers a write before it is committed, may lose it, and reads what its node has.
// So a write counts when it can be read where it was written.
var raftexample = &system{
	command: commandOf("target/bench/services/raftexample"),
	flags: func(n *node, all []*node) []string {
		_, port, _ := strings.Cut(strings.TrimPrefix(n.url, "http://"), ":")
		return []string{"--id", strconv.Itoa(n.id), "--port", port,
			"--cluster", joined(all, ",", func(m *node) string { return m.peer })}
	},
	connect: func(n *node) client { return newHTTPClient(n.url, true) },
}

var etcd = &system{
	command: commandOf("target/bench/services/etcd"),
	flags: func(n *node, all []*node) []string {
		founders := joined(all, ",", func(m *node) string {
			return fmt.Sprintf("n%d=%s", m.id, m.peer)
		})
		return []string{"--name", fmt.Sprintf("n%d", n.id), "--data-dir", n.folder,
			"--listen-peer-urls", n.peer, "--initial-advertise-peer-urls", n.peer,
			"--listen-client-urls", n.url, "--advertise-client-urls", n.url,
			"--initial-cluster", founders, "--log-level", "error"}
	},
	connect:       newEtcdClient,
	readsLinearly: true,
}

const (
	kvC      = "target/kv-c/kv-c"
	kvGo     = "target/kv-go/kv-go"
	python   = "target/python-env/bin/python"
	kvPython = "examples/kv-python/main.py"
)

// systemOf says how the node with this number runs: of the mixed cluster each is another.
func systemOf(name string, number int) (*system, error) {
	three := []*system{ours(kvC), ours(kvGo), ours(python, kvPython)}
	switch name {
	case "kv-c":
		return three[0], nil
	case "kv-go":
		return three[1], nil
	case "kv-python":
		return three[2], nil
	case "mixed":
		return three[number%members], nil
	case "raftexample":
		return raftexample, nil
	case "etcd":
		return etcd, nil
	}
	return nil, fmt.Errorf("no system %q", name)
}

type node struct {
	id        int
	url, peer string
	folder    string
	process   *exec.Cmd
}

type cluster struct {
	system *system
	nodes  []*node
	folder string
}

func startCluster(name, root, folder string) (*cluster, error) {
	c := &cluster{folder: folder}
	for number := range members {
		ports, err := freePorts(2)
		if err != nil {
			return nil, err
		}
		n := &node{id: number + 1, url: ports[0], peer: ports[1]}
		n.folder = filepath.Join(folder, fmt.Sprintf("node%d", n.id))
		c.nodes = append(c.nodes, n)
	}
	for number, n := range c.nodes {
		s, err := systemOf(name, number)
		if err != nil {
			return nil, err
		}
		c.system = s
		words := append(s.command(root), s.flags(n, c.nodes)...)
		log, err := os.Create(n.folder + ".log")
		if err != nil {
			return nil, err
		}
		defer log.Close()
		n.process = exec.Command(words[0], words[1:]...)
		n.process.Dir, n.process.Stdout, n.process.Stderr = folder, log, log
		// Nothing outlives this process, however it ends.
		n.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := n.process.Start(); err != nil {
			c.stop()
			return nil, err
		}
	}
	return c, nil
}

func freePorts(count int) ([]string, error) {
	var urls []string
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		urls = append(urls, "http://"+listener.Addr().String())
	}
	return urls, nil
}

// waitUntilReady waits until each node takes a write.
func (c *cluster) waitUntilReady(patience time.Duration) error {
	end := time.Now().Add(patience)
	for _, n := range c.nodes {
		for {
			k := c.system.connect(n)
			err := k.write(fmt.Sprintf("ready-%d", n.id), "yes")
			k.close()
			if err == nil {
				break
			}
			if time.Now().After(end) {
				return errors.Join(errors.New("the cluster does not take writes"), err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return nil
}

// cpu is what the nodes' processes took so far, all threads, user and system.
func (c *cluster) cpu() (time.Duration, error) {
	const perTick = 10 * time.Millisecond // USER_HZ is 100 on Linux
	var sum time.Duration
	for _, n := range c.nodes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.process.Process.Pid))
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, field := range fields[11:13] {
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(ticks) * perTick
		}
	}
	return sum, nil
}

func (c *cluster) logs() string {
	var out strings.Builder
	for _, n := range c.nodes {
		text, _ := os.ReadFile(n.folder + ".log")
		fmt.Fprintf(&out, "--- node %d\n%s\n", n.id, text[max(0, len(text)-1500):])
	}
	return out.String()
}

func (c *cluster) stop() {
	for _, n := range c.nodes {
		if n.process != nil && n.process.Process != nil {
			_ = n.process.Process.Kill()
			_ = n.process.Wait()
		}
	}
}
