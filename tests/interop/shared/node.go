package interop

// A Node is one place in a cluster: a disk, a state machine and, while it is up, a member of
// either kind that runs on them.
type Node struct {
	ID     uint64
	Kind   Kind
	Disk   *Disk
	config Config
	member Member
	// What the application has in memory.
	machine Machine
	state   State
	// Work of the storage threads, where storage writes are asynchronous.
	appends, applies []*Ready
	// Where in the next Ready that crashIf says yes to it crashes; zero is nowhere.
	crashAt int
	crashIf func(*Ready) bool
	lives   uint64
}

// The places in a Ready where a node can crash.
const (
	crashBeforeWrite = iota + 1
	crashAfterWrite
	crashBeforeAdvance
)

// Up says whether the node runs.
func (n *Node) Up() bool { return n.member != nil }

// Applied is the index of the last entry that the application applied.
func (n *Node) Applied() uint64 { return n.machine.Index }

// start runs the node on its disk.
func (n *Node) start(peers []uint64) {
	n.lives++
	n.config.Seed = n.config.Seed*31 + n.lives
	n.machine = Machine{}
	if s := n.Disk.Snapshot; s != nil {
		n.machine, _ = DecodeMachine(s.Data)
	}
	if n.Disk.Applied > n.machine.Index {
		n.machine = n.Disk.Machine
	}
	n.appends, n.applies = nil, nil
	n.crashAt, n.crashIf = 0, nil
	n.member = n.Kind.New(n.config, n.Disk, peers)
	n.state = n.member.State()
}

// crash stops the node. What is not on its disk is gone.
func (n *Node) crash() {
	n.member.Close()
	n.member = nil
	n.state = State{}
}

// crashesAt says whether the node is to crash at this place of a Ready.
func (n *Node) crashesAt(place int, r *Ready) bool {
	return n.crashAt == place && (n.crashIf == nil || n.crashIf(r))
}

// termAt is the term of an entry that is on the disk, or on its way there with this Ready.
func (n *Node) termAt(r *Ready, index uint64) uint64 {
	lists := [][]Entry{r.Entries, n.Disk.Entries}
	for _, waiting := range n.appends {
		lists = append(lists, waiting.Entries)
	}
	for _, entries := range lists {
		for _, e := range entries {
			if e.Index == index {
				return e.Term
			}
		}
	}
	return 0
}

// compact has the application take a snapshot of what it applied, and drops the log below it.
func (n *Node) compact(kept uint64) bool {
	index := n.machine.Index
	if s := n.Disk.Snapshot; s != nil && index <= s.Index || index == 0 {
		return false
	}
	// With asynchronous storage writes the apply thread can be ahead of nothing that is durable.
	snapshot := n.member.Snapshot(index, n.machine.Encode(), kept)
	if snapshot == nil {
		return false
	}
	n.Disk.Compact(snapshot, kept)
	return true
}

// mark has the application keep its state beside the log.
func (n *Node) mark() {
	if !n.config.Async && n.machine.Index > 0 {
		n.Disk.Mark(n.machine.Index, n.member.ConfState(), n.machine)
	}
}
