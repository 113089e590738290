// The command line.

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the command line.
type options struct {
	id                       uint64
	cluster                  map[uint64]string // as --cluster gives it
	listen                   string
	listenPeers              string // or empty: at this node's own URL
	data                     string
	clusterID                string
	secretFile               string
	secret                   string // what stands in it; empty without
	join                     bool
	forceNewCluster          bool
	verbose                  bool
	tickMS, timeoutMS        uint64
	snapshotEntries, catchUp uint64
	maxKey, maxValue         uint64
	maxPending, maxGap       uint64
	maxPeerBody, peerQueue   uint64
}

func (o *options) tick() time.Duration    { return time.Duration(o.tickMS) * time.Millisecond }
func (o *options) timeout() time.Duration { return time.Duration(o.timeoutMS) * time.Millisecond }

const usage = `kv-go: a node of a replicated key-value service

  kv-go --id N --cluster ID=URL,... --listen URL --data DIR [--join]

  --id N                 this node's id, from 1 up; never used before in this cluster
  --cluster ID=URL,...   the first members and where they find each other, this node among
                         them; the same list for each. A restart does not need it any more
  --listen URL           where clients are served, for example http://127.0.0.1:12380
  --listen-peers URL     where peers are served, when they reach this node's own URL through
                         something: a proxy, a container's port
  --data DIR             this node's directory; made if it is not there
  --join                 wait for a running cluster, to which this node was added by POST /N
  --cluster-id NAME      the cluster's name; nodes of others are refused (kv)
  --secret-file FILE     a secret that all nodes must bear; without one, everybody is heard
  --force-new-cluster    the quorum is lost for ever: go on alone, with what is here
  --tick-ms N            a tick: a heartbeat each, an election after 10 to 19 without (100)
  --timeout-ms N         how long a request may wait for its answer (5000)
  --snapshot-entries N   make a snapshot and cut the log every N applied entries (10000)
  --catch-up-entries N   how many entries before a snapshot stay for slow members (5000)
  --max-key N            the longest key in bytes (1024)
  --max-value N          the longest value in bytes (1048576)
  --max-pending N        how many requests may wait at once (4096)
  --max-gap N            take no write with more entries committed and not applied (5000)
  --max-peer-body N      the longest body from a peer; a snapshot must fit (268435456)
  --peer-queue N         how many bytes may wait for one peer (16777216)
  --verbose              log what the library does
  --help

Exit codes: 0 stopped as asked or removed from the cluster, 1 cannot go on, 2 wrong usage,
3 this data directory is refused.
`

// setNumber has an option be a number within limits.
func setNumber(f *flag.FlagSet, name string, to *uint64, value, least, most uint64) {
	*to = value
	f.Func(name, "", func(text string) error {
		number, err := strconv.ParseUint(text, 10, 64)
		if err != nil || number < least || number > most {
			return fmt.Errorf("it must be a number from %d to %d", least, most)
		}
		*to = number
		return nil
	})
}

// setCluster reads 1=http://127.0.0.1:12379,2=...
func (o *options) setCluster(text string) error {
	o.cluster = map[uint64]string{}
	for item := range strings.SplitSeq(strings.TrimSuffix(text, ","), ",") {
		number, address, _ := strings.Cut(item, "=")
		id, err := strconv.ParseUint(number, 10, 63)
		isTaken := slices.Contains(slices.Collect(maps.Values(o.cluster)), address)
		if err != nil || id == 0 || !isURL(address) || o.cluster[id] != "" || isTaken {
			return fmt.Errorf("'%s' is not ID=http://host:port with an id and a URL of its own",
				item)
		}
		o.cluster[id] = address
	}
	return nil
}

func (o *options) complete() error {
	switch {
	case o.id == 0:
		return errors.New("--id is missing")
	case o.listen == "":
		return errors.New("--listen is missing")
	case !isURL(o.listen):
		return fmt.Errorf("--listen: '%s' is not http://host:port", o.listen)
	case o.listenPeers != "" && !isURL(o.listenPeers):
		return fmt.Errorf("--listen-peers: '%s' is not http://host:port", o.listenPeers)
	case o.data == "":
		return errors.New("--data is missing")
	case !isVisible(o.clusterID, 64):
		return fmt.Errorf("--cluster-id: '%s' is not 1 to 64 visible ASCII characters", o.clusterID)
	case o.join && o.forceNewCluster:
		return errors.New("--join and --force-new-cluster exclude each other")
	case o.maxPeerBody < o.maxValue+o.maxKey+4096:
		return errors.New("--max-peer-body must leave room for a value")
	}
	return nil
}

// readSecret reads the cluster's secret. White space at the end is not a part of it, so that an
// editor may leave a line's end there.
func (o *options) readSecret() error {
	text, err := os.ReadFile(o.secretFile)
	o.secret = strings.TrimRight(string(text), " \t\r\n")
	if err != nil || !isVisible(o.secret, 256) {
		return fmt.Errorf("--secret-file: '%s' does not hold 1 to 256 visible ASCII characters",
			o.secretFile)
	}
	return nil
}

func parseOptions(arguments []string) (*options, error) {
	o := new(options)
	f := flag.NewFlagSet("kv-go", flag.ContinueOnError)
	f.SetOutput(io.Discard) // what is wrong is said once, by main
	setNumber(f, "id", &o.id, 0, 1, maxID)
	setNumber(f, "tick-ms", &o.tickMS, 100, 1, 60_000)
	setNumber(f, "timeout-ms", &o.timeoutMS, 5000, 1, 3_600_000)
	setNumber(f, "snapshot-entries", &o.snapshotEntries, 10_000, 1, math.MaxUint32)
	setNumber(f, "catch-up-entries", &o.catchUp, 5000, 0, math.MaxUint32)
	setNumber(f, "max-key", &o.maxKey, 1024, 1, math.MaxUint16)
	setNumber(f, "max-value", &o.maxValue, 1<<20, 0, 1<<30)
	setNumber(f, "max-pending", &o.maxPending, 4096, 1, math.MaxUint32)
	setNumber(f, "max-gap", &o.maxGap, 5000, 0, math.MaxUint32)
	setNumber(f, "max-peer-body", &o.maxPeerBody, 256<<20, 1<<16, math.MaxInt32)
	setNumber(f, "peer-queue", &o.peerQueue, 16<<20, 1, math.MaxInt32)
	f.Func("cluster", "", o.setCluster)
	f.StringVar(&o.listen, "listen", "", "")
	f.StringVar(&o.listenPeers, "listen-peers", "", "")
	f.StringVar(&o.data, "data", "", "")
	f.StringVar(&o.clusterID, "cluster-id", "kv", "")
	f.StringVar(&o.secretFile, "secret-file", "", "")
	f.BoolVar(&o.forceNewCluster, "force-new-cluster", false, "")
	f.BoolVar(&o.join, "join", false, "")
	f.BoolVar(&o.verbose, "verbose", false, "")
	if err := f.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Print(usage)
		}
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("'%s' is not understood", f.Arg(0))
	}
	if err := o.complete(); err != nil || o.secretFile == "" {
		return o, err
	}
	return o, o.readSecret()
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
