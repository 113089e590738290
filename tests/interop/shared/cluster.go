package interop

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"
)

// phasesPerTick is how often packets are delivered between two ticks.
const phasesPerTick = 3

// Cluster drives nodes of both kinds over one simulated network, in virtual time, in one thread
// and by one seed.
type Cluster struct {
	*testing.T
	Net   *Network
	Judge *Judge

	upstream Upstream
	kinds    map[rune]Kind
	host     *Host
	rng      *rand.Rand
	now      uint64
	nodes    []*Node
	defaults Config
	lineup   Lineup
	// Slow is the part of the phases in which a node does not look at its Ready.
	Slow  float64
	trace trace
	// silent says that nobody reports that a snapshot arrived.
	silent bool
	// spySender sees every packet that is sent, and who sends it.
	spySender func(*Node, Packet)
	reads     uint64
	props     uint64
}

// Lineup says of which kind each founding member is: 'o' of ours, 'u' of upstream, 'v' of
// upstream's version before.
type Lineup string

// NewCluster makes a cluster without nodes. Ours are members in this process, or nil: then the
// first host is that of raftcore, and a second one is of upstream's version before.
func NewCluster(
	t *testing.T, up Upstream, ours Kind, hosts []*Host, seed uint64, defaults Config,
) *Cluster {
	seedElectionTimeouts(seed)
	rng := rand.New(rand.NewPCG(seed, 0x7261_6674))
	c := &Cluster{
		T: t, Net: NewNetwork(rng), upstream: up, rng: rng, defaults: defaults,
		kinds: map[rune]Kind{'o': ours, 'u': up},
	}
	if ours == nil {
		c.host = hosts[0]
		c.kinds['o'] = Hosted{Label: oursLabel, Host: hosts[0], Upstream: up}
	}
	if len(hosts) > 1 {
		c.kinds['v'] = Hosted{Label: "etcd 3.6", Host: hosts[1], Upstream: up}
	}
	c.Judge = newJudge(c)
	return c
}

const oursLabel = "ours"

// DefaultConfig is what members are told unless a story wants something else.
func DefaultConfig() Config {
	return Config{
		PreVote: true, CheckQuorum: true, StepDownOnRemoval: true,
		MaxMessageBytes: 1 << 20, MaxInflightMessages: 256,
	}
}

// Found makes the founding members, with ids from 1, each with the entries that add them.
func (c *Cluster) Found(lineup Lineup) {
	peers := make([]uint64, len(lineup))
	for i := range peers {
		peers[i] = uint64(i + 1)
	}
	for i, kind := range lineup {
		c.add(peers[i], c.kinds[kind], &Disk{}, peers)
	}
}

// FoundGiven makes the founding members of a group that exists from the start, without entries.
func (c *Cluster) FoundGiven(lineup Lineup) {
	var conf ConfState
	for i := range lineup {
		conf.Voters = append(conf.Voters, uint64(i+1))
	}
	for i, kind := range lineup {
		c.add(uint64(i+1), c.kinds[kind], &Disk{ConfState: &conf}, nil)
	}
}

// Join makes a node with an empty disk that waits to be added.
func (c *Cluster) Join(id uint64, kind rune) *Node {
	return c.add(id, c.kinds[kind], &Disk{}, nil)
}

// kindOf is the letter of a node's kind.
func (c *Cluster) kindOf(id uint64) rune {
	for letter, kind := range c.kinds {
		if kind.Name() == c.Node(id).Kind.Name() {
			return letter
		}
	}
	panic("a node of no kind")
}

func (c *Cluster) add(id uint64, kind Kind, d *Disk, peers []uint64) *Node {
	config := c.defaults
	config.ID, config.Seed = id, c.rng.Uint64()
	n := &Node{ID: id, Kind: kind, Disk: d, config: config}
	c.nodes = append(c.nodes, n)
	sort.Slice(c.nodes, func(i, j int) bool { return c.nodes[i].ID < c.nodes[j].ID })
	n.start(peers)
	return n
}

// Node is the node with this id.
func (c *Cluster) Node(id uint64) *Node {
	for _, n := range c.nodes {
		if n.ID == id {
			return n
		}
	}
	c.Fatalf("there is no node %d", id)
	return nil
}

// Nodes lists the nodes that are up, by id.
func (c *Cluster) Nodes() []*Node {
	var up []*Node
	for _, n := range c.nodes {
		if n.Up() {
			up = append(up, n)
		}
	}
	return up
}

// Phase passes a part of a tick: clocks, packets, and what every node wants done.
func (c *Cluster) Phase() {
	c.now++
	if c.now%phasesPerTick == 0 {
		for _, n := range c.Nodes() {
			// Clocks do not agree where the network is not clean.
			if c.Net.Faults == Clean || c.rng.Float64() < 0.95 {
				n.member.Tick()
			}
		}
	}
	arrived, lost := c.Net.Arrivals(c.now)
	for _, p := range arrived {
		c.deliver(p)
	}
	for _, p := range lost {
		if p.Kind == MsgSnap {
			c.reportSnapshot(p, false)
		}
	}
	for _, n := range c.Nodes() {
		// A Ready can bring about the next one, but not for ever within one moment.
		for i := 0; i < 20 && n.Up() && !c.slow() && c.work(n); i++ {
		}
	}
	for _, n := range c.Nodes() {
		c.Judge.objections(n, n.member.Objections())
	}
}

func (c *Cluster) slow() bool { return c.Slow > 0 && c.rng.Float64() < c.Slow }

// Ticks passes so many ticks.
func (c *Cluster) Ticks(n int) {
	for range n * phasesPerTick {
		c.Phase()
	}
}

// Until passes time until something holds, and fails when that takes too long.
func (c *Cluster) Until(what string, ticks int, holds func() bool) {
	c.Helper()
	if !c.Within(ticks, holds) {
		c.Fatalf("after %d ticks it still does not hold that %s\n%s", ticks, what, c.describe())
	}
}

// Within passes time until something holds, and says whether it does.
func (c *Cluster) Within(ticks int, holds func() bool) bool {
	for range ticks * phasesPerTick {
		if holds() {
			return true
		}
		c.Phase()
	}
	return holds()
}

func (c *Cluster) deliver(p Packet) {
	for _, n := range c.nodes {
		if n.ID != p.To || !n.Up() {
			continue
		}
		c.trace.add(c.now, n, p, c.fields)
		n.member.Step(p)
		if p.Kind == MsgSnap {
			c.reportSnapshot(p, true)
		}
		return
	}
	if p.Kind == MsgSnap {
		c.reportSnapshot(p, false)
	}
}

// A snapshot's sender has to hear what became of it. It must not depend on hearing that it
// arrived.
func (c *Cluster) reportSnapshot(p Packet, arrived bool) {
	if arrived && c.silent {
		return
	}
	if sender := c.Node(p.From); sender.Up() {
		sender.member.ReportSnapshot(p.To, arrived)
	}
}

func (c *Cluster) send(n *Node, packets []Packet) {
	for _, p := range packets {
		if c.spySender != nil {
			c.spySender(n, p)
		}
		if !c.Net.Send(c.now, n.ID, p) {
			continue
		}
		if p.Kind == MsgSnap {
			n.member.ReportSnapshot(p.To, false)
		} else if p.Kind == MsgApp && c.rng.IntN(4) == 0 {
			n.member.ReportUnreachable(p.To)
		}
	}
}

// work does what a node wants done, and says whether there was something.
func (c *Cluster) work(n *Node) bool {
	worked := false
	if n.member.HasReady() {
		if r := n.member.Ready(); r != nil {
			worked = true
			c.ready(n, r)
		}
	}
	if n.Up() && len(n.appends) > 0 && c.rng.IntN(3) > 0 {
		worked = true
		c.appendThread(n)
	}
	if n.Up() && len(n.applies) > 0 && c.rng.IntN(3) > 0 {
		worked = true
		c.applyThread(n)
	}
	return worked
}

func (c *Cluster) ready(n *Node, r *Ready) {
	c.Judge.observe(n, r)
	n.state = r.State
	c.send(n, r.Before)
	if n.config.Async {
		if n.crashesAt(n.crashAt, r) && n.crashAt != 0 {
			c.Crash(n.ID)
			return
		}
		if r.HasWrite {
			n.appends = append(n.appends, r)
		}
		if len(r.Committed) > 0 {
			n.applies = append(n.applies, r)
		}
		return
	}
	if n.crashesAt(crashBeforeWrite, r) {
		c.Crash(n.ID)
		return
	}
	n.Disk.Save(&r.Write)
	if n.crashesAt(crashAfterWrite, r) {
		c.Crash(n.ID)
		return
	}
	c.send(n, r.After)
	c.restore(n, r.Snapshot)
	c.apply(n, r.Committed)
	if n.crashesAt(crashBeforeAdvance, r) {
		c.Crash(n.ID)
		return
	}
	n.member.Advance(r)
}

func (c *Cluster) appendThread(n *Node) {
	r := n.appends[0]
	n.appends = n.appends[1:]
	n.Disk.Save(&r.Write)
	c.restore(n, r.Snapshot)
	n.member.AppendDone(r)
	c.send(n, r.After)
}

func (c *Cluster) applyThread(n *Node) {
	r := n.applies[0]
	n.applies = n.applies[1:]
	c.apply(n, r.Committed)
	n.member.ApplyDone(r)
}

func (c *Cluster) restore(n *Node, s *Snapshot) {
	if s == nil {
		return
	}
	machine, ok := DecodeMachine(s.Data)
	if !ok || machine.Index != s.Index {
		c.Fatalf("node %d was sent a snapshot at %d with %d bytes of a machine at %d",
			n.ID, s.Index, len(s.Data), machine.Index)
	}
	n.machine = machine
}

func (c *Cluster) apply(n *Node, committed []Entry) {
	for _, e := range committed {
		c.Judge.apply(n, e)
		n.machine.Apply(e)
	}
}

// Crash stops a node.
func (c *Cluster) Crash(id uint64) {
	n := c.Node(id)
	c.trace.note(c.now, "node %d crashes", id)
	c.Judge.objections(n, n.member.Objections())
	// A term that was not written is forgotten.
	delete(c.Judge.terms, id)
	n.crash()
}

// CrashSoon stops a node in its next Ready, at a place that the seed chooses.
func (c *Cluster) CrashSoon(id uint64) {
	c.Node(id).crashAt = 1 + c.rng.IntN(crashBeforeAdvance)
}

// Restart runs a node on its disk again.
func (c *Cluster) Restart(id uint64) {
	n := c.Node(id)
	if n.Up() {
		c.Crash(id)
	}
	n.start(nil)
	c.trace.note(c.now, "node %d starts as %s", id, n.Kind.Name())
}

// Replace runs a node of another kind on the same disk.
func (c *Cluster) Replace(id uint64, kind rune) {
	n := c.Node(id)
	if n.Up() {
		c.Crash(id)
	}
	n.Kind = c.kinds[kind]
	c.Restart(id)
}

// Forget takes a node that is no member out of the cluster.
func (c *Cluster) Forget(id uint64) {
	c.Crash(id)
	for i, n := range c.nodes {
		if n.ID == id {
			c.nodes = append(c.nodes[:i], c.nodes[i+1:]...)
			return
		}
	}
}

func (c *Cluster) describe() string {
	text := fmt.Sprintf("at phase %d:\n", c.now)
	for _, n := range c.nodes {
		if !n.Up() {
			text += fmt.Sprintf("  node %d (%s) is down\n", n.ID, n.Kind.Name())
			continue
		}
		s := n.member.State()
		text += fmt.Sprintf("  node %d (%s): term %d, role %d, leader %d, ",
			n.ID, n.Kind.Name(), s.Term, s.Role, s.Leader)
		text += fmt.Sprintf("commit %d, applied %d, %s\n",
			s.Commit, n.Applied(), n.member.ConfState())
	}
	return text
}

func contains(ids []uint64, id uint64) bool {
	for _, other := range ids {
		if other == id {
			return true
		}
	}
	return false
}

// fields puts a message into words, as upstream reads it.
func (c *Cluster) fields(encoded []byte) string {
	text, err := c.upstream.Fields(FormMessage, encoded)
	if err != nil {
		return err.Error()
	}
	return text
}
