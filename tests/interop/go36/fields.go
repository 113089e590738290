package upstream

import (
	"fmt"
	"strings"

	interop "github.com/raftcore/raftcore/tests/interop/shared"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Fields implements [interop.Upstream]. An absent field reads as zero, and so does an empty one.
func (Upstream) Fields(form interop.Form, encoded []byte) (string, error) {
	decoded, err := decode(form, encoded)
	if err != nil {
		return "", err
	}
	switch d := decoded.(type) {
	case *pb.Message:
		return describeMessage(d), nil
	case *pb.Entry:
		return describeEntry(d), nil
	case *pb.ConfChange:
		return describeConfChange(d), nil
	case *pb.ConfChangeV2:
		return describeConfChangeV2(d), nil
	case *pb.Snapshot:
		return describeSnapshot(d), nil
	case *pb.HardState:
		return describeHardState(d), nil
	case *pb.ConfState:
		return fromConfState(d).String(), nil
	}
	return "", fmt.Errorf("no such form: %d", form)
}

// Reencode implements [interop.Upstream].
func (Upstream) Reencode(form interop.Form, encoded []byte) ([]byte, error) {
	decoded, err := decode(form, encoded)
	if err != nil {
		return nil, err
	}
	return encode(decoded), nil
}

func decode(form interop.Form, encoded []byte) (decoded codec, err error) {
	switch form {
	case interop.FormMessage:
		decoded = &pb.Message{}
	case interop.FormEntry:
		decoded = &pb.Entry{}
	case interop.FormConfChange:
		decoded = &pb.ConfChange{}
	case interop.FormConfChangeV2:
		decoded = &pb.ConfChangeV2{}
	case interop.FormSnapshot:
		decoded = &pb.Snapshot{}
	case interop.FormHardState:
		decoded = &pb.HardState{}
	default:
		decoded = &pb.ConfState{}
	}
	return decoded, unmarshal(encoded, decoded)
}

// codec is what every type of raftpb can do.
type codec interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

func unmarshal(encoded []byte, into codec) error { return into.Unmarshal(encoded) }

func describeHardState(s *pb.HardState) string { return fmt.Sprint(s.Term, s.Vote, s.Commit) }

func describeMessage(m *pb.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d->%d term %d at %d/%d commit %d vote %d reject %v hint %d context %q",
		m.Type, m.From, m.To, m.Term, m.LogTerm, m.Index, m.Commit, m.Vote, m.Reject,
		m.RejectHint, m.Context)
	for i := range m.Entries {
		fmt.Fprintf(&b, " entry %s", describeEntry(&m.Entries[i]))
	}
	if s := m.Snapshot; s != nil && s.Metadata.Index != 0 {
		fmt.Fprintf(&b, " snapshot %s", describeSnapshot(s))
	}
	return b.String()
}

func describeEntry(e *pb.Entry) string {
	return fmt.Sprintf("%d/%d %s %q", e.Term, e.Index, e.Type, e.Data)
}

func describeSnapshot(s *pb.Snapshot) string {
	return fmt.Sprintf("%d/%d %s %q", s.Metadata.Term, s.Metadata.Index,
		fromConfState(&s.Metadata.ConfState), s.Data)
}

func describeConfChange(c *pb.ConfChange) string {
	return fmt.Sprintf("%d %s %d %q", c.ID, c.Type, c.NodeID, c.Context)
}

func describeConfChangeV2(c *pb.ConfChangeV2) string {
	text := c.Transition.String()
	for _, change := range c.Changes {
		text += fmt.Sprintf(" %s %d", change.Type, change.NodeID)
	}
	return fmt.Sprintf("%s %q", text, c.Context)
}
