// Command kv-go is a node of a replicated key-value service: etcd's raftexample, finished, on
// raftcore's Go module and etcd's own wal and snap packages. PROTOCOL.md, one folder up, says what
// it shares with kv-c and kv-python.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	id                           uint64
	cluster                      map[uint64]string
	listen, listenPeers          string
	data, clusterID              string
	secret                       string
	join, verbose                bool
	forceNewCluster              bool
	tick, timeout                time.Duration
	snapshotEntries, catchUp     uint64
	maxKey, maxValue, maxPending int
	maxGap                       uint64
	maxPeerBody, peerQueue       int64
}

// Exit codes, as every kv service has them.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3
)

var errUsage = errors.New("wrong usage")

func parseOptions(arguments []string) (*options, error) {
	o := new(options)
	f := flag.NewFlagSet("kv-go", flag.ContinueOnError)
	f.Uint64Var(&o.id, "id", 0, "this node's id, from 1 up; never used before in this cluster")
	cluster := f.String("cluster", "", "the first members, ID=URL,...: the same list for each")
	f.StringVar(&o.listen, "listen", "", "where clients are served, http://host:port")
	f.StringVar(&o.listenPeers, "listen-peers", "",
		"where peers are served, when they reach this node's own URL through something")
	f.StringVar(&o.data, "data", "", "this node's directory; made if it is not there")
	f.BoolVar(&o.join, "join", false, "wait for a running cluster, to which POST /ID added it")
	f.StringVar(&o.clusterID, "cluster-id", "kv", "the cluster's name")
	secretFile := f.String("secret-file", "",
		"a secret that all nodes must bear; without one, everybody is heard")
	f.BoolVar(&o.forceNewCluster, "force-new-cluster", false,
		"the quorum is lost for ever: go on alone, with what is here")
	tick := f.Int("tick-ms", 100, "a tick: a heartbeat each, an election after 10 to 19 without")
	timeout := f.Int("timeout-ms", 5000, "how long a request may wait for its answer")
	f.Uint64Var(&o.snapshotEntries, "snapshot-entries", 10_000, "a snapshot every so many entries")
	f.Uint64Var(&o.catchUp, "catch-up-entries", 5000, "entries kept before a snapshot")
	f.IntVar(&o.maxKey, "max-key", 1024, "the longest key in bytes")
	f.IntVar(&o.maxValue, "max-value", 1<<20, "the longest value in bytes")
	f.IntVar(&o.maxPending, "max-pending", 4096, "how many requests may wait at once")
	f.Uint64Var(&o.maxGap, "max-gap", 5000, "entries committed and not applied before it says 503")
	f.Int64Var(&o.maxPeerBody, "max-peer-body", 256<<20, "the longest body from a peer")
	f.Int64Var(&o.peerQueue, "peer-queue", 16<<20, "how many bytes may wait for one peer")
	f.BoolVar(&o.verbose, "verbose", false, "log what the library does")
	if err := f.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage
	}
	o.tick = time.Duration(*tick) * time.Millisecond
	o.timeout = time.Duration(*timeout) * time.Millisecond
	var err error
	o.cluster, err = parseCluster(*cluster)
	switch {
	case err != nil:
		return nil, err
	case o.join && o.forceNewCluster:
		return nil, errors.New("--join and --force-new-cluster exclude each other")
	case f.NArg() > 0:
		return nil, fmt.Errorf("%q is not understood", f.Arg(0))
	case o.id == 0 || o.id > maxID:
		return nil, errors.New("--id must be a number from 1 up")
	case !isURL(o.listen):
		return nil, errors.New("--listen is not http://host:port")
	case o.listenPeers != "" && !isURL(o.listenPeers):
		return nil, errors.New("--listen-peers is not http://host:port")
	case o.data == "":
		return nil, errors.New("--data is missing")
	case !isVisible(o.clusterID, 64):
		return nil, errors.New("--cluster-id is not 1 to 64 visible ASCII characters")
	case *tick < 1 || *timeout < 1 || o.snapshotEntries < 1 || o.maxKey < 1 || o.maxValue < 0:
		return nil, errors.New("a number is too small")
	case o.maxPeerBody < int64(o.maxValue+o.maxKey)+4096:
		return nil, errors.New("--max-peer-body must leave room for a value")
	}
	if *secretFile != "" {
		if o.secret, err = readSecret(*secretFile); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// readSecret reads the cluster's secret. White space at its end is not a part of it, so that an
// editor may leave a line's end there.
func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	secret := strings.TrimRight(string(text), " \t\r\n")
	if err != nil || !isVisible(secret, 256) {
		return "", fmt.Errorf("--secret-file: %q does not hold 1 to 256 visible ASCII characters",
			path)
	}
	return secret, nil
}

const maxID = 1<<63 - 1

// parseCluster reads 1=http://host:port,2=...
func parseCluster(text string) (map[uint64]string, error) {
	members := map[uint64]string{}
	for item := range strings.SplitSeq(text, ",") {
		if item == "" {
			continue
		}
		number, address, _ := strings.Cut(item, "=")
		id, err := strconv.ParseUint(number, 10, 63)
		isTaken := slices.Contains(slices.Collect(maps.Values(members)), address)
		if err != nil || id == 0 || !isURL(address) || members[id] != "" || isTaken {
			return nil, fmt.Errorf("--cluster: %q is not ID=http://host:port", item)
		}
		members[id] = address
	}
	return members, nil
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0 && u.Scheme == "http" && u.Hostname() != "" &&
		(u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.User == nil
}

// isVisible says whether a text is 1 to some visible ASCII characters.
func isVisible(text string, most int) bool {
	for i := range len(text) {
		if text[i] < 0x21 || text[i] > 0x7e {
			return false
		}
	}
	return len(text) >= 1 && len(text) <= most
}

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "kv-go: %v; kv-go --help says more\n", err)
		os.Exit(exitUsage)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o); err != nil {
		log.Printf("kv-go: %v", err)
		if errors.Is(err, errRefusedData) {
			os.Exit(exitRefused)
		}
		if errors.Is(err, errUsage) {
			os.Exit(exitUsage)
		}
		os.Exit(exitFailed)
	}
}

// run serves until it is asked to stop, or removed from the cluster.
func run(ctx context.Context, o *options) error {
	n, err := openNode(o)
	if err != nil {
		return err
	}
	own, err := n.ownURL()
	if err != nil {
		return err
	}
	n.peers = newPeers(n, own)
	failed := make(chan error, 3)
	doors := map[string]http.Handler{
		o.listen: n.clients(), cmp.Or(o.listenPeers, own): n.peers,
	}
	for address, handler := range doors {
		server, err := serve(address, handler, failed)
		if err != nil {
			return err
		}
		defer server.Close()
	}
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

func serve(address string, handler http.Handler, failed chan<- error) (*http.Server, error) {
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
