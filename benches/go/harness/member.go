// Package harness has the workloads of the benchmarks, once for every contender in Go: a contender
// implements Member and calls Main. benches/README.md defines the workloads.
package harness

// Setup says how a group is set up. The ticks are such that no timeout fires unless a workload
// ticks.
type Setup struct {
	Voters          uint64
	ElectionTicks   int
	HeartbeatTicks  int
	MaxMessageBytes uint64
	MaxInflight     int
	Lease           bool
}

// Member is one member of a group, as a contender has it. M is a message between members, as the
// library has it.
type Member[M any] interface {
	Campaign()
	Propose(payload []byte)
	ProposeMany(payloads [][]byte)
	Step(message M)
	StepEncoded(message []byte)
	HasReady() bool
	// HandleReady does what the library wants done: stores, sends, applies, advances.
	HandleReady(out *Out[M])
	Compact(index uint64)
	Tick()
	ReadIndex(context []byte)
	IsLeader() bool
}

// Library is a contender: how it makes a member, and how it writes a message.
type Library[M any] struct {
	New    func(id uint64, setup Setup) Member[M]
	Encode func(message M) []byte
}

// Out is where a member's work goes.
type Out[M any] struct {
	network *network[M]
	applied *applied
}

// Send sends a message.
func (o *Out[M]) Send(to uint64, message M) { o.network.send(to, message) }

// Apply applies an entry.
func (o *Out[M]) Apply(index uint64, data []byte) {
	o.applied.index = index
	if len(data) > 0 { // a new leader's first entry has no data
		o.applied.count++
		o.applied.sum += index ^ uint64(data[0])
	}
}

// AnswerRead counts an answered read.
func (o *Out[M]) AnswerRead(index uint64) {
	check(index <= o.applied.index, "a read of what is not applied")
	o.applied.reads++
}

type applied struct{ count, sum, index, reads uint64 }

// queue is a ring, so that the harness does not allocate in the steady state.
type queue[T any] struct {
	items       []T
	head, count int
}

func (q *queue[T]) push(item T) {
	if q.count == len(q.items) {
		items := make([]T, max(16, 2*len(q.items)))
		for i := range q.count {
			items[i] = q.items[(q.head+i)%len(q.items)]
		}
		q.items, q.head = items, 0
	}
	q.items[(q.head+q.count)&(len(q.items)-1)] = item
	q.count++
}

func (q *queue[T]) pop() T {
	var none T
	item := q.items[q.head]
	q.items[q.head] = none
	q.head = (q.head + 1) & (len(q.items) - 1)
	q.count--
	return item
}

// network has an inbox for each member.
type network[M any] struct {
	library             *Library[M]
	plain               []queue[M]
	encoded             []queue[[]byte]
	encodes             bool
	messages, wireBytes uint64
}

func newNetwork[M any](library *Library[M], members uint64, encodes bool) *network[M] {
	return &network[M]{
		library: library, encodes: encodes,
		plain: make([]queue[M], members), encoded: make([]queue[[]byte], members),
	}
}

func (n *network[M]) send(to uint64, message M) {
	n.messages++
	if n.encodes {
		bytes := n.library.Encode(message)
		n.wireBytes += uint64(len(bytes))
		n.encoded[to-1].push(bytes)
	} else {
		n.plain[to-1].push(message)
	}
}

func (n *network[M]) deliver(at int, member Member[M]) bool {
	delivered := false
	for q := &n.plain[at]; q.count > 0; delivered = true {
		member.Step(q.pop())
	}
	for q := &n.encoded[at]; q.count > 0; delivered = true {
		member.StepEncoded(q.pop())
	}
	return delivered
}

type group[M any] struct {
	members []Member[M]
	applied []applied
}

func newGroup[M any](library *Library[M], setup Setup) *group[M] {
	g := &group[M]{applied: make([]applied, setup.Voters)}
	for id := uint64(1); id <= setup.Voters; id++ {
		g.members = append(g.members, library.New(id, setup))
	}
	return g
}

func (g *group[M]) elect(n *network[M]) {
	g.members[0].Campaign()
	g.pump(n)
	check(g.members[0].IsLeader(), "node 1 was not elected")
}

// pump moves messages and handles what the members want until nobody wants anything.
func (g *group[M]) pump(n *network[M]) {
	out := Out[M]{network: n}
	for progress := true; progress; {
		progress = false
		for at, member := range g.members {
			if n.deliver(at, member) {
				progress = true
			}
			for member.HasReady() {
				out.applied = &g.applied[at]
				member.HandleReady(&out)
				progress = true
			}
		}
	}
}

func (g *group[M]) check(entries uint64) {
	for _, a := range g.applied {
		check(a.count == entries, "entries applied")
		check(a.sum == g.applied[0].sum, "the same entries")
	}
	figure("check_sum", float64(g.applied[0].sum))
}
