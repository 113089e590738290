package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A fault is a line of a schedule: when it comes, what it is, whom it meets, how, and how long it
// lasts, in milliseconds.
//
//	kill      the process is killed, and started again afterwards
//	freeze    SIGSTOP, SIGCONT
//	cut       what one node sends another, or its answers ("mute"), does not arrive
//	split     some nodes and the others do not reach each other
//	isolate   one node and all others do not reach each other
//	slow      all that two nodes send each other is late
//	tick      the node ticks at half or double speed; it is started again for it
//	full      its disk is full
//	fsync     its disk cannot sync
//	transfer  it is asked to lead
//	swap      it is removed, and a new node takes its place
//
// A node is a slot from 0 up, or the leader of the moment. What is held back by cut, split or
// isolate arrives late afterwards ("hold") or never ("lose").
type fault struct {
	at     int
	kind   string
	target string
	detail string
	lasts  int
}

const lineForm = "%d %s %s %s %d"

func (f fault) String() string {
	return fmt.Sprintf(lineForm, f.at, f.kind, f.target, f.detail, f.lasts)
}

// schedule is a round, as it can be played again.
type schedule struct {
	seed   uint64
	size   int
	length int // in milliseconds
	faults []fault
}

const headForm = "seed %d nodes %d length %d"

func (s *schedule) write(path string) error {
	lines := []string{fmt.Sprintf(headForm, s.seed, s.size, s.length)}
	for _, f := range s.faults {
		lines = append(lines, f.String())
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

func readSchedule(path string) (*schedule, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	s := new(schedule)
	for number := 1; lines.Scan(); number++ {
		if number == 1 {
			_, err = fmt.Sscanf(lines.Text(), headForm, &s.seed, &s.size, &s.length)
		} else {
			var f fault
			_, err = fmt.Sscanf(lines.Text(), lineForm, &f.at, &f.kind, &f.target, &f.detail,
				&f.lasts)
			s.faults = append(s.faults, f)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
	}
	return s, lines.Err()
}

// How often each kind is drawn.
var weights = []struct {
	kind   string
	weight int
}{
	{"kill", 16}, {"freeze", 12}, {"cut", 12}, {"split", 8}, {"isolate", 14}, {"slow", 8},
	{"tick", 6}, {"full", 6}, {"fsync", 5}, {"transfer", 8}, {"swap", 6},
}

// draw makes the schedule of a seed. Faults overlap.
func draw(seed uint64, size, length int) *schedule {
	chance := rand.New(rand.NewPCG(seed, 1))
	s := &schedule{seed: seed, size: size, length: length}
	total := 0
	for _, w := range weights {
		total += w.weight
	}
	for at := 400; at < length; at += 100 + chance.IntN(900) {
		drawn, kind := chance.IntN(total), ""
		for _, w := range weights {
			if kind = w.kind; drawn < w.weight {
				break
			}
			drawn -= w.weight
		}
		s.faults = append(s.faults, drawFault(chance, at, kind, size))
	}
	return s
}

func drawFault(chance *rand.Rand, at int, kind string, size int) fault {
	one := chance.IntN(size)
	other := (one + 1 + chance.IntN(size-1)) % size
	pick := func(of ...string) string { return of[chance.IntN(len(of))] }
	f := fault{at: at, kind: kind, target: pick(strconv.Itoa(one), "leader"), detail: "-",
		lasts: 300 + chance.IntN(2200)}
	switch kind {
	case "cut":
		f.target = fmt.Sprintf("%d>%d", one, other)
		f.detail = pick("hold", "lose", "mute")
	case "slow":
		f.target = fmt.Sprintf("%d>%d", one, other)
		f.detail = strconv.Itoa(20 + chance.IntN(300))
	case "split":
		slots := chance.Perm(size)[:1+chance.IntN(size-1)]
		f.target = strings.Trim(strings.Join(strings.Fields(fmt.Sprint(slots)), ","), "[]")
		f.detail = pick("hold", "lose")
	case "isolate":
		f.detail = pick("hold", "lose")
	case "tick":
		f.detail = pick("half", "double")
	case "transfer", "swap":
		f.target = strconv.Itoa(one)
	}
	return f
}

// nemesis plays a schedule.
type nemesis struct {
	cluster *cluster
	// What happens to a node's process or disk excludes what else does.
	busy []sync.Mutex
	swap sync.Mutex
	end  time.Time // a swap tries until then

	mu     sync.Mutex
	played map[string]int
}

// play returns when all faults are over.
func (n *nemesis) play(s *schedule) {
	started := time.Now()
	n.end = started.Add(time.Duration(s.length)*time.Millisecond + settlePatience)
	n.busy = make([]sync.Mutex, s.size)
	var playing sync.WaitGroup
	for _, f := range s.faults {
		time.Sleep(time.Until(started.Add(time.Duration(f.at) * time.Millisecond)))
		playing.Go(func() {
			if n.strike(f, time.Duration(f.lasts)*time.Millisecond) {
				n.mu.Lock()
				n.played[f.kind]++
				n.mu.Unlock()
			}
		})
	}
	playing.Wait()
}

// strike plays a fault; false when it meets nobody, because there is no leader or the node has
// another trouble.
func (n *nemesis) strike(f fault, lasts time.Duration) bool {
	switch f.kind {
	case "cut", "split", "isolate", "slow":
		return n.strikeLinks(f, lasts)
	}
	target := n.find(f.target)
	if target == nil {
		return false
	}
	if f.kind == "transfer" {
		leader := n.cluster.leader()
		if leader == nil {
			return false
		}
		_, _, err := request(http.MethodPut, leader.url+"/_/leader", fmt.Sprint(target.id), nil)
		return err == nil
	}
	if !n.busy[target.slot].TryLock() {
		return false
	}
	defer n.busy[target.slot].Unlock()
	target = n.cluster.at(target.slot)
	switch f.kind {
	case "kill":
		target.kill()
		time.Sleep(lasts)
		n.start(target)
	case "freeze":
		target.signal(syscall.SIGSTOP)
		time.Sleep(lasts)
		target.signal(syscall.SIGCONT)
	case "tick":
		target.kill()
		target.tick = map[string]time.Duration{"half": 2 * tick, "double": tick / 2}[f.detail]
		n.start(target)
		time.Sleep(lasts)
		target.kill()
		target.tick = tick
		n.start(target)
	case "full", "fsync":
		n.strikeDisk(target, f.kind, lasts)
	case "swap":
		return n.replace(target)
	}
	return true
}

func (n *nemesis) find(target string) *node {
	if target == "leader" {
		return n.cluster.leader()
	}
	slot, err := strconv.Atoi(target)
	if err != nil || slot < 0 || slot >= len(n.busy) {
		return nil
	}
	return n.cluster.at(slot)
}

func (n *nemesis) start(target *node) {
	if err := n.cluster.start(target); err != nil {
		n.cluster.fail(err)
	}
}

// strikeLinks keeps what some nodes send to others from arriving, or slows it down.
func (n *nemesis) strikeLinks(f fault, lasts time.Duration) bool {
	lose := f.detail == "lose"
	var undo []func()
	block := func(from, to *node) {
		undo = append(undo, n.cluster.network.link(from.id, to.id).block(there, lose))
	}
	var side []*node
	switch from, to, isLink := strings.Cut(f.target, ">"); {
	case isLink:
		one, other := n.find(from), n.find(to)
		if one == nil || other == nil {
			return false
		}
		l := n.cluster.network.link(one.id, other.id)
		switch by, err := strconv.Atoi(f.detail); {
		case err == nil:
			delay := time.Duration(by) * time.Millisecond
			back := n.cluster.network.link(other.id, one.id)
			undo = append(undo, l.slow(delay), back.slow(delay))
		case f.detail == "mute":
			undo = append(undo, l.block(back, true))
		default:
			block(one, other)
		}
	default:
		for _, name := range strings.Split(f.target, ",") {
			if found := n.find(name); found != nil {
				side = append(side, found)
			}
		}
	}
	for _, one := range side {
		for _, other := range n.cluster.nodes() {
			if !slices.Contains(side, other) {
				block(one, other)
				block(other, one)
			}
		}
	}
	time.Sleep(lasts)
	for _, f := range undo {
		f()
	}
	return len(undo) > 0
}

// strikeDisk lets a node's disk fail. A node that cannot live with it ends, and is started again.
// A program that does not write through libc has no file that may grow: that is as good as full.
func (n *nemesis) strikeDisk(target *node, kind string, lasts time.Duration) {
	target.mayEnd.Store(true)
	pid := target.process.Process.Pid
	unlimited := &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := os.WriteFile(target.diskFile, []byte(kind), 0o644); err != nil {
		n.cluster.fail(err)
	}
	if kind == "full" && isGo(target) {
		small := &unix.Rlimit{Cur: 1, Max: unix.RLIM_INFINITY}
		_ = unix.Prlimit(pid, unix.RLIMIT_FSIZE, small, nil)
	}
	time.Sleep(lasts)
	if err := os.Remove(target.diskFile); err != nil {
		n.cluster.fail(err)
	}
	if kind == "full" && isGo(target) && target.isRunning() {
		_ = unix.Prlimit(pid, unix.RLIMIT_FSIZE, unlimited, nil)
	}
	if target.isWell(10 * time.Second) {
		target.mayEnd.Store(false)
		return
	}
	target.kill()
	n.start(target)
}

// isWell waits until a node serves and writes again; false if it does not, or has ended.
func (n *node) isWell(patience time.Duration) bool {
	end := time.Now().Add(patience)
	for seen := 0; n.isRunning() && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if s := n.status(); s != nil && s.Storage.OK {
			seen++
		}
		if seen == 5 { // one that is about to end may still answer
			return true
		}
	}
	return false
}

func isGo(n *node) bool { return strings.HasSuffix(n.command[0], "kv-go") }

// replace removes a node and adds another one in its slot. Both are asked for until they are done,
// in the middle of whatever else happens.
func (n *nemesis) replace(old *node) bool {
	if !n.swap.TryLock() {
		return false
	}
	defer n.swap.Unlock()
	old.mayEnd.Store(true) // it stops when it hears of it
	fresh, err := n.cluster.newNode(old.slot)
	if err != nil {
		n.cluster.fail(err)
		return false
	}
	fresh.joins = true
	since, known := n.memberSince(old.id)
	removed := known && n.insist(old, http.MethodDelete, old.id, "", func(s *status) bool {
		return s.Applied > since && !isMember(s, old.id)
	})
	added := removed && n.insist(old, http.MethodPost, fresh.id, fresh.peerURL(),
		func(s *status) bool { return isMember(s, fresh.id) })
	if !added {
		n.cluster.fail(fmt.Errorf("node %d could not be replaced by node %d", old.id, fresh.id))
		return false
	}
	old.kill()
	n.cluster.put(fresh)
	n.start(fresh)
	return true
}

// memberSince is an index at which a node was a member. One that has just joined, or is behind, may
// not have heard of it yet; only who is past that index and does not know it says that it is gone.
func (n *nemesis) memberSince(id uint64) (index uint64, known bool) {
	for time.Now().Before(n.end) {
		for _, s := range n.cluster.statuses() {
			if isMember(s, id) {
				return s.Applied, true
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return 0, false
}

// insist asks for a change of members until a node's status shows it.
func (n *nemesis) insist(but *node, method string, id uint64, body string,
	isDone func(*status) bool,
) bool {
	for time.Now().Before(n.end) {
		for _, asked := range n.cluster.nodes() {
			if asked == but {
				continue
			}
			response, _, err := request(method, fmt.Sprintf("%s/%d", asked.url, id), body, nil)
			if err == nil && response.StatusCode == http.StatusNoContent {
				return true
			}
			if s := asked.status(); s != nil && isDone(s) {
				return true // it was applied there, so it was committed
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

func isMember(s *status, id uint64) bool {
	for _, m := range s.Members {
		if m.ID == id {
			return true
		}
	}
	return false
}
