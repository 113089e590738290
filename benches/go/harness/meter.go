package harness

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func check(holds bool, what string) {
	if !holds {
		fmt.Fprintln(os.Stderr, "not so:", what)
		os.Exit(1)
	}
}

func workload() string {
	check(len(os.Args) > 1, "the first argument is the workload")
	return os.Args[1]
}

func text(name string) string {
	for _, arg := range os.Args[2:] {
		if value, ok := strings.CutPrefix(arg, name+"="); ok {
			return value
		}
	}
	return ""
}

func number(name string, otherwise uint64) uint64 {
	if text(name) == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text(name), 10, 64)
	check(err == nil, name+" is a number")
	return n
}

func figure(name string, value float64) { fmt.Printf("%s %.4f\n", name, value) }

// counts says whether this run counts allocations, and so times nothing.
func counts() bool { return number("count", 0) == 1 }

// meter is a stretch of work.
type meter struct{ cpuNs, wallNs, allocs, allocBytes int64 }

var origin = time.Now()

func start() meter {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil, "the time that was used")
	now := meter{cpuNs: usage.Utime.Nano() + usage.Stime.Nano(), wallNs: int64(time.Since(origin))}
	if counts() {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		now.allocs, now.allocBytes = int64(stats.Mallocs), int64(stats.TotalAlloc)
	}
	return now
}

func (m meter) stop() meter {
	now := start()
	return meter{
		now.cpuNs - m.cpuNs, now.wallNs - m.wallNs, now.allocs - m.allocs,
		now.allocBytes - m.allocBytes,
	}
}

func (m *meter) add(more meter) {
	m.cpuNs += more.cpuNs
	m.wallNs += more.wallNs
	m.allocs += more.allocs
	m.allocBytes += more.allocBytes
}

func (m meter) report(unit string, units uint64) {
	per := func(total int64) float64 { return float64(total) / float64(units) }
	if counts() {
		figure("allocs_per_"+unit, per(m.allocs))
		figure("alloc_bytes_per_"+unit, per(m.allocBytes))
	} else {
		figure("cpu_ns_per_"+unit, per(m.cpuNs))
		figure("wall_ns_per_"+unit, per(m.wallNs))
	}
}

// residentBytes is the resident memory once what is garbage is gone.
func residentBytes() int64 {
	debug.FreeOSMemory()
	statm, err := os.ReadFile("/proc/self/statm")
	check(err == nil, "Linux tells it here")
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	check(err == nil, "a number")
	return pages * int64(os.Getpagesize())
}
