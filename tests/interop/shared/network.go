package interop

import (
	"fmt"
	"math/rand/v2"
	"sort"
)

// Faults is what a network does to packets.
type Faults struct {
	// Loss and Dup are the parts that are lost and that arrive twice.
	Loss, Dup float64
	// A packet takes from one phase to MaxDelay phases, so that they overtake each other.
	MaxDelay int
}

// The networks of the stories.
var (
	Clean = Faults{MaxDelay: 1}
	Mild  = Faults{Loss: 0.05, Dup: 0.05, MaxDelay: 4}
	Harsh = Faults{Loss: 0.15, Dup: 0.15, MaxDelay: 12}
)

// Network carries packets between members, in virtual time and by a seed.
type Network struct {
	Faults
	rng   *rand.Rand
	queue []flight
	sent  uint64
	// Which side of a partition a member is on; all are on side 0 when there is none.
	side map[uint64]int
	// Links that are cut in one direction.
	cut map[[2]uint64]bool
	// Spy sees every packet that is sent.
	Spy func(Packet)
	// Hold keeps back what it says yes to, until Release.
	Hold func(Packet) bool
	held []flight
}

// A flight is a packet under way. Who sent it is not always who it is from: what is forwarded
// keeps the name of the member that asked first.
type flight struct {
	at, number uint64
	sender     uint64
	packet     Packet
}

// NewNetwork makes a clean network.
func NewNetwork(rng *rand.Rand) *Network {
	return &Network{
		Faults: Clean, rng: rng, side: map[uint64]int{}, cut: map[[2]uint64]bool{},
	}
}

// Partition puts members on sides of their own; who is not named is on side 0.
func (n *Network) Partition(sides ...[]uint64) {
	n.side = map[uint64]int{}
	for i, side := range sides {
		for _, id := range side {
			n.side[id] = i + 1
		}
	}
}

// Cut cuts one direction of a link.
func (n *Network) Cut(from, to uint64) { n.cut[[2]uint64{from, to}] = true }

// Heal ends partitions and faults, and lets through what was held.
func (n *Network) Heal(now uint64) {
	n.Faults, n.Hold = Clean, nil
	n.side, n.cut = map[uint64]int{}, map[[2]uint64]bool{}
	n.Release(now)
}

// Release lets through what was held.
func (n *Network) Release(now uint64) {
	held := n.held
	n.held, n.Hold = nil, nil
	for _, f := range held {
		n.launch(now, f.sender, f.packet)
	}
}

// Send takes a packet at a time and says whether the sender could notice that it is lost.
func (n *Network) Send(now, sender uint64, p Packet) (lost bool) {
	if n.Spy != nil {
		n.Spy(p)
	}
	if n.Hold != nil && n.Hold(p) {
		n.held = append(n.held, flight{sender: sender, packet: p})
		return false
	}
	if !n.connected(sender, p.To) || n.rng.Float64() < n.Loss {
		return true
	}
	n.launch(now, sender, p)
	if n.rng.Float64() < n.Dup {
		n.launch(now, sender, p)
	}
	return false
}

func (n *Network) launch(now, sender uint64, p Packet) {
	n.sent++
	at := now + 1 + uint64(n.rng.IntN(n.MaxDelay))
	n.queue = append(n.queue, flight{at: at, number: n.sent, sender: sender, packet: p})
}

func (n *Network) connected(from, to uint64) bool {
	return n.side[from] == n.side[to] && !n.cut[[2]uint64{from, to}]
}

// Arrivals takes out what has arrived by now, in the order in which it arrives. A partition also
// stops what was on its way: that is lost.
func (n *Network) Arrivals(now uint64) (arrived, lost []Packet) {
	sort.SliceStable(n.queue, func(i, j int) bool {
		a, b := n.queue[i], n.queue[j]
		return a.at < b.at || a.at == b.at && a.number < b.number
	})
	count := sort.Search(len(n.queue), func(i int) bool { return n.queue[i].at > now })
	for _, f := range n.queue[:count] {
		if n.connected(f.sender, f.packet.To) {
			arrived = append(arrived, f.packet)
		} else {
			lost = append(lost, f.packet)
		}
	}
	n.queue = append([]flight(nil), n.queue[count:]...)
	return arrived, lost
}

func (p Packet) describe() string {
	name := kindNames[p.Kind]
	if name == "" {
		name = fmt.Sprintf("kind %d", p.Kind)
	}
	return fmt.Sprintf("%d->%d %s term %d", p.From, p.To, name, p.Term)
}
