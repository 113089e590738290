package interop

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
)

// Machine is the replicated state machine: it remembers in which order what was applied. Two are
// equal only if they applied the same payloads at the same indexes.
type Machine struct {
	Index uint64
	Count uint64
	Chain uint64
}

// Apply takes a committed entry.
func (m *Machine) Apply(e Entry) {
	m.Index = e.Index
	if e.Type != EntryNormal || len(e.Data) == 0 {
		return
	}
	m.Count++
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d ", m.Chain, e.Index)
	h.Write(e.Data)
	m.Chain = h.Sum64()
}

// Encode is the content of a snapshot.
func (m Machine) Encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, m.Index)
	b = binary.LittleEndian.AppendUint64(b, m.Count)
	return binary.LittleEndian.AppendUint64(b, m.Chain)
}

// DecodeMachine restores a machine from a snapshot.
func DecodeMachine(b []byte) (m Machine, ok bool) {
	if len(b) != 24 {
		return m, false
	}
	m.Index = binary.LittleEndian.Uint64(b)
	m.Count = binary.LittleEndian.Uint64(b[8:])
	m.Chain = binary.LittleEndian.Uint64(b[16:])
	return m, true
}
