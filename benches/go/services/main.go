// services is W7: whole services as three processes on the loopback, under clients that each wait
// for an answer before they ask again. Called as the other programs of the benchmarks:
//
//	services W7 system=kv-c root=DIR store=disk|memory seconds=1.5
//
// README.md of benches/ says what is measured.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(arguments(os.Args[2:])); err != nil {
		fmt.Fprintln(os.Stderr, "services:", err)
		os.Exit(1)
	}
}

// arguments are name=value; of those with the same name the first counts.
func arguments(words []string) map[string]string {
	found := map[string]string{}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		if _, known := found[name]; !known {
			found[name] = value
		}
	}
	return found
}

func run(a map[string]string) error {
	// A file system in memory syncs at once: that is "no fsync" for every service alike.
	folder := filepath.Join(a["root"], "target", "bench", "data")
	if a["store"] == "memory" {
		folder = "/dev/shm"
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	folder, err := os.MkdirTemp(folder, "raftcore-services-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	seconds, err := strconv.ParseFloat(a["seconds"], 64)
	if err != nil {
		return fmt.Errorf("seconds=%q: %w", a["seconds"], err)
	}
	c, err := startCluster(a["system"], a["root"], folder)
	if err != nil {
		return err
	}
	defer c.stop()
	if err := c.waitUntilReady(20 * time.Second); err != nil {
		return fmt.Errorf("%w\n%s", err, c.logs())
	}
	if a["hold"] != "" {
		return hold(c, a["hold"])
	}
	for _, clients := range []int{1, 16, 256} {
		for _, kind := range []string{"write", "read"} {
			if kind == "read" && !c.system.readsLinearly {
				continue
			}
			f, err := measure(c, kind, clients, time.Duration(seconds*float64(time.Second)))
			if err != nil {
				return fmt.Errorf("%s, %d clients: %w\n%s", kind, clients, err, c.logs())
			}
			f.print(fmt.Sprintf("%s_c%d", kind, clients), kind)
		}
	}
	return nil
}

// hold keeps writers going for a profiler, after it said which processes there are.
func hold(c *cluster, seconds string) error {
	for _, n := range c.nodes {
		fmt.Println(n.process.Process.Pid)
	}
	length, err := time.ParseDuration(seconds + "s")
	if err != nil {
		return err
	}
	_, err = measure(c, "write", 64, length)
	return err
}

// figures are of one load: how many answers, when each came, and what the nodes' processes took.
type figures struct {
	count     int
	elapsed   time.Duration
	latencies []time.Duration
	cpu       time.Duration
}

func (f *figures) print(name, kind string) {
	slices.Sort(f.latencies)
	at := func(part float64) float64 {
		place := min(int(part*float64(len(f.latencies))), len(f.latencies)-1)
		return float64(f.latencies[place].Microseconds())
	}
	count := float64(f.count)
	fmt.Printf("%ss_per_s_%s %.1f\n", kind, name[len(kind)+1:], count/f.elapsed.Seconds())
	fmt.Printf("%s_p50_us_%s %.0f\n", kind, name[len(kind)+1:], at(0.50))
	fmt.Printf("%s_p99_us_%s %.0f\n", kind, name[len(kind)+1:], at(0.99))
	fmt.Printf("cpu_us_per_%s_%s %.1f\n", kind, name[len(kind)+1:],
		float64(f.cpu.Microseconds())/count)
}
