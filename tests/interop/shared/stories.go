package interop

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Story is one thing that clusters of both kinds must get right. It is told once for each of its
// lineups and seeds.
type Story struct {
	Name    string
	Lineups []Lineup
	Seeds   uint64
	// Config changes what members are told; nil leaves the defaults.
	Config func(*Config)
	// Faults is the network's temper from the start.
	Faults Faults
	Tell   func(*Cluster)
}

// Lineups in which every kind is the first, which leads first, and every kind the last.
var (
	three = []Lineup{"ouu", "uoo"}
	both  = []Lineup{"ouu", "uoo", "oou", "uuo"}
	five  = []Lineup{"oouuu", "uuooo"}
	// With upstream's version before among them, where that has a host.
	mixed = []Lineup{"ouv", "vou", "uvo", "vovuo"}
	all   = slices.Concat(both, five, mixed)
)

// Stories are all stories, in the order in which they are told.
func Stories() (stories []Story) {
	for _, chapter := range [][]Story{
		elections(), replication(), snapshots(), membership(), transfers(), reads(),
		restarts(), upgrades(), wire(), chaos(),
	} {
		stories = append(stories, chapter...)
	}
	return stories
}

// Run tells all stories with this version of upstream.
func Run(t *testing.T, up Upstream) {
	if os.Getenv(hostVariable) == "" {
		t.Fatalf("%s does not name the host program: use tests/interop/run", hostVariable)
	}
	defer closeHosts()
	runAll(t, up, nil, Stories())
}

// RunInProcess tells the stories with members of raftcore that live in this process. The stories
// of the wire are not among them: they ask the host program to encode.
func RunInProcess(t *testing.T, up Upstream, ours Kind) {
	runAll(t, up, ours, slices.DeleteFunc(Stories(), func(s Story) bool {
		return slices.ContainsFunc(wire(), func(w Story) bool { return w.Name == s.Name })
	}))
}

func runAll(t *testing.T, up Upstream, ours Kind, stories []Story) {
	more := seedFactor(t)
	told := 0
	for _, story := range stories {
		t.Run(story.Name, func(t *testing.T) {
			for _, lineup := range story.Lineups {
				if strings.Contains(string(lineup), "v") && os.Getenv(hostBeforeVariable) == "" {
					continue
				}
				seeds := story.Seeds * more
				if slices.Contains(mixed, lineup) {
					seeds = (seeds + 1) / 2
				}
				t.Run(string(lineup), func(t *testing.T) {
					for seed := uint64(1); seed <= seeds; seed++ {
						told++
						t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
							tell(t, up, ours, story, lineup, seed)
						})
					}
				})
			}
		})
	}
	t.Logf("%d stories, told %d times with %s", len(stories), told, up.Name())
}

// seedFactor is how many times more seeds than usual INTEROP_SEEDS asks for.
func seedFactor(t *testing.T) uint64 {
	text := os.Getenv("INTEROP_SEEDS")
	if text == "" {
		return 1
	}
	factor, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatalf("INTEROP_SEEDS=%s: %v", text, err)
	}
	return factor
}

// tell tells a story once, and returns what happened last.
func tell(t *testing.T, up Upstream, ours Kind, story Story, lineup Lineup, seed uint64) string {
	var hosts []*Host
	if ours == nil {
		hosts = append(hosts, host(t, hostVariable, seed))
	}
	if strings.Contains(string(lineup), "v") {
		hosts = append(hosts, host(t, hostBeforeVariable, seed))
	}
	config := DefaultConfig()
	if story.Config != nil {
		story.Config(&config)
	}
	c := NewCluster(t, up, ours, hosts, seed, config)
	c.lineup = lineup
	defer func() {
		if reason := recover(); reason != nil {
			t.Errorf("panic: %v\n%s", reason, debug.Stack())
		}
		if t.Failed() {
			t.Logf("the last that happened:\n%s", c.trace.String())
			t.Logf("you can reproduce this failure with: tests/interop/run '^%s$'", t.Name())
			// Perhaps a host died.
			closeHosts()
		}
	}()
	if story.Faults != (Faults{}) {
		c.Net.Faults = story.Faults
	}
	story.Tell(c)
	return c.trace.String()
}

// The host programs that run, by the variable that names them.
var running = map[string]*Host{}

// host is a host program without members, which is started if it does not run.
func host(t *testing.T, variable string, seed uint64) *Host {
	h := running[variable]
	if h == nil {
		var err error
		if h, err = StartHost(os.Getenv(variable)); err != nil {
			t.Fatal(err)
		}
		running[variable] = h
	}
	// Not the seed of this program: its members would draw the same timeouts.
	h.Reset(seed ^ 0x686f_7374)
	return h
}

func closeHosts() {
	for _, h := range running {
		h.Close()
	}
	clear(running)
}
