package interop

import "fmt"

// A trace keeps the last things that happened, for a test that fails.
type trace struct {
	lines [traceLength]func() string
	count int
}

const traceLength = 150

func (t *trace) keep(line func() string) {
	t.lines[t.count%traceLength] = line
	t.count++
}

// add keeps a packet that a node receives. It is put into words only if somebody asks.
func (t *trace) add(now uint64, n *Node, p Packet, fields func([]byte) string) {
	t.keep(func() string {
		return fmt.Sprintf("%6d %d (%s) receives %s", now, n.ID, n.Kind.Name(), fields(p.Bytes))
	})
}

// note keeps an event.
func (t *trace) note(now uint64, format string, args ...any) {
	t.keep(func() string { return fmt.Sprintf("%6d "+format, append([]any{now}, args...)...) })
}

func (t *trace) String() string {
	text := ""
	for i := max(0, t.count-traceLength); i < t.count; i++ {
		text += t.lines[i%traceLength]() + "\n"
	}
	return text
}
