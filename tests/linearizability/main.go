// Command linearizability torments clusters of the key-value services and checks that nobody who
// used them meanwhile could notice: README.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	foundPatience  = 60 * time.Second // for the first leader
	settlePatience = 60 * time.Second // for all to be well after the last fault
)

// plan is the command line.
type plan struct {
	commands  [][]string
	shim      string
	directory string
	schedule  *schedule // instead of drawing
	seed      uint64
	nodes     int
	keys      int
	length    time.Duration
	seconds   time.Duration
	isPlanted bool
}

func parse() (*plan, error) {
	p := new(plan)
	var nodes string
	flag.StringVar(&nodes, "nodes", "", "how the nodes are started, in turn: COMMAND,COMMAND,...")
	flag.StringVar(&p.shim, "shim", "", "the library that lets disks fail")
	flag.StringVar(&p.directory, "dir", "", "where everything is written")
	file := flag.String("schedule", "", "play this file, once")
	flag.Uint64Var(&p.seed, "seed", 0, "of the first round; 0 draws one")
	flag.IntVar(&p.nodes, "size", 0, "how many nodes; 0: 3 and 5 in turn")
	flag.IntVar(&p.keys, "keys", 4, "how many keys are in use at a time")
	flag.DurationVar(&p.length, "round", 12*time.Second, "how long faults come in a round")
	flag.DurationVar(&p.seconds, "for", time.Minute, "no round begins after this")
	flag.BoolVar(&p.isPlanted, "planted", false, "the service has a planted mistake: find it")
	flag.Parse()
	for command := range strings.SplitSeq(nodes, ",") {
		p.commands = append(p.commands, strings.Fields(command))
	}
	if nodes == "" || p.shim == "" || p.directory == "" || flag.NArg() > 0 {
		return nil, errors.New("-nodes, -shim and -dir are needed")
	}
	if p.seed == 0 {
		p.seed = uint64(time.Now().Unix())
	}
	if *file != "" {
		var err error
		if p.schedule, err = readSchedule(*file); err != nil {
			return nil, err
		}
		p.seed, p.seconds = p.schedule.seed, 0
	}
	return p, nil
}

// result is what is known after a round.
type result struct {
	tally  tally
	played map[string]int
	err    error
}

func round(p *plan, s *schedule) (r result) {
	directory := filepath.Join(p.directory, fmt.Sprintf("seed-%d", s.seed))
	r.played = map[string]int{}
	if r.err = errors.Join(os.RemoveAll(directory), os.MkdirAll(directory, 0o755)); r.err != nil {
		return r
	}
	if r.err = s.write(filepath.Join(directory, "schedule.txt")); r.err != nil {
		return r
	}
	c, err := newCluster(directory, p.commands, p.shim, s.size)
	if r.err = err; err != nil {
		return r
	}
	defer c.destroy()
	if r.err = c.settle(foundPatience); r.err != nil {
		return r
	}
	users, stop, rested := newClients(c, s.seed, p.keys), make(chan struct{}), make(chan struct{})
	go func() { users.run(stop); close(rested) }()
	(&nemesis{cluster: c, played: r.played}).play(s)
	time.Sleep(500 * time.Millisecond)
	close(stop)
	<-rested
	err = c.settle(settlePatience)
	if err == nil {
		err = users.readAll(settlePatience)
	}
	err = errors.Join(err, c.stop(), c.failed, users.problem)
	if r.tally = users.tally; r.tally.writes == 0 || r.tally.stale == 0 {
		err = errors.Join(err, errors.New("nobody could use the cluster"))
	}
	r.err = errors.Join(check(users.ended(), filepath.Join(directory, "history.html")), err)
	if r.err == nil {
		r.err = os.RemoveAll(directory)
	}
	return r
}

func main() {
	p, err := parse()
	if err != nil {
		fmt.Fprintln(os.Stderr, "linearizability:", err)
		os.Exit(2)
	}
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 2 * clientCount
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-ending
		os.Exit(1) // and with its threads go all nodes
	}()
	if !play(p) {
		os.Exit(1)
	}
}

// play plays rounds until the time is over or one fails, and reports.
func play(p *plan) bool {
	started, rounds := time.Now(), 0
	var all tally
	faults := map[string]int{}
	seed := p.seed
	var failure error
	for ; failure == nil && (rounds == 0 || time.Since(started) < p.seconds); rounds++ {
		size := p.nodes
		if size == 0 {
			size = 3 + 2*(rounds%2)
		}
		s := draw(seed, size, int(p.length.Milliseconds()))
		if p.schedule != nil {
			s = p.schedule
		}
		r := round(p, s)
		fmt.Printf("seed %d, %d nodes: %d operations, %s\n", s.seed, s.size, r.tally.operations(),
			describe(r.played))
		all.add(r.tally)
		for kind, count := range r.played {
			faults[kind] += count
		}
		if r.err != nil {
			failure = fmt.Errorf("seed %d: %w", s.seed, r.err)
			fmt.Printf("%v\nagain: tests/linearizability/run --schedule %s\n", failure,
				filepath.Join(p.directory, fmt.Sprintf("seed-%d", s.seed), "schedule.txt"))
		}
		seed++
	}
	fmt.Printf("in %d s: %d reads, %d writes, %d of unknown outcome, %d refused, %d retried, "+
		"%d stale reads\n", int(time.Since(started).Seconds()), all.reads, all.writes, all.unknown,
		all.refused, all.retried, all.stale)
	fmt.Printf("faults: %s\n", describe(faults))
	verdict := "no violation"
	if failure != nil {
		verdict = "FAILED"
	}
	fmt.Printf("seeds %d to %d, %d operations: %s\n", p.seed, seed-1, all.operations(), verdict)
	if p.isPlanted {
		return errors.Is(failure, errViolation)
	}
	return failure == nil
}

func describe(faults map[string]int) string {
	var all []string
	for kind, count := range faults {
		all = append(all, fmt.Sprintf("%d %s", count, kind))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
