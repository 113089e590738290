// Command kv-go is a node of a replicated key-value service: etcd's raftexample, finished, on
// raftcore's Go module and etcd's own wal and snap packages. PROTOCOL.md, one folder up, says what
// it shares with kv-c and kv-python; README.md there names the rooms.
package main

// Start, signals, stop.

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Exit codes, as every kv service has them.
const (
	exitBroken  = 1 // it cannot go on
	exitUsage   = 2
	exitRefused = 3 // it may not use this data directory
)

// How long the last answers have to leave.
const lastAnswers = 200 * time.Millisecond

func serve(address string, handler http.HandlerFunc, failed chan<- error) (*http.Server, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return server, nil
}

// stop lets the last answers leave.
func stop(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), lastAnswers)
	defer cancel()
	_ = server.Shutdown(ctx)
	_ = server.Close()
}

// run serves until it is asked to stop, or removed from the cluster.
func run(ctx context.Context, o *options) error {
	n, err := startNode(o)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	peers, err := serve(cmp.Or(o.listenPeers, n.ownURL), n.onPeerRequest, failed)
	if err != nil {
		return err
	}
	defer peers.Close()
	clients, err := serve(o.listen, n.onClientRequest, failed)
	if err != nil {
		return err
	}
	defer stop(clients)
	log.Printf("clients at %s, peers at %s", o.listen, n.ownURL)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.run(ctx) }()
	select {
	case err := <-failed:
		cancel()
		<-done
		return err
	case err := <-done:
		return err
	}
}

func main() {
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "kv-go: %v; kv-go --help says more\n", err)
		os.Exit(exitUsage)
	}
	log.SetFlags(log.Ltime | log.Lmicroseconds | log.LUTC | log.Lmsgprefix)
	log.SetPrefix(fmt.Sprintf("node %d: ", o.id))
	// A file that may not grow is an error where it happens, and no reason to die.
	signal.Ignore(syscall.SIGXFSZ)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	err = run(ctx, o)
	switch refused := refusedData(""); {
	case errors.As(err, &refused):
		log.Printf("%v", err)
		os.Exit(exitRefused)
	case err != nil:
		log.Printf("%v: stopping", err)
		os.Exit(exitBroken)
	}
}
