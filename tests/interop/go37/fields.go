package upstream

import (
	"fmt"
	"strings"

	interop "github.com/raftcore/raftcore/tests/interop/shared"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
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
type codec = proto.Message

func unmarshal(encoded []byte, into codec) error { return proto.Unmarshal(encoded, into) }

func describeHardState(s *pb.HardState) string {
	return fmt.Sprint(s.GetTerm(), s.GetVote(), s.GetCommit())
}

func describeMessage(m *pb.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d->%d term %d at %d/%d commit %d vote %d reject %v hint %d context %q",
		m.GetType(), m.GetFrom(), m.GetTo(), m.GetTerm(), m.GetLogTerm(), m.GetIndex(),
		m.GetCommit(), m.GetVote(), m.GetReject(), m.GetRejectHint(), m.GetContext())
	for _, e := range m.GetEntries() {
		fmt.Fprintf(&b, " entry %s", describeEntry(e))
	}
	if s := m.GetSnapshot(); s.GetMetadata().GetIndex() != 0 {
		fmt.Fprintf(&b, " snapshot %s", describeSnapshot(s))
	}
	return b.String()
}

func describeEntry(e *pb.Entry) string {
	return fmt.Sprintf("%d/%d %s %q", e.GetTerm(), e.GetIndex(), e.GetType(), e.GetData())
}

func describeSnapshot(s *pb.Snapshot) string {
	meta := s.GetMetadata()
	return fmt.Sprintf("%d/%d %s %q", meta.GetTerm(), meta.GetIndex(),
		fromConfState(meta.GetConfState()), s.GetData())
}

func describeConfChange(c *pb.ConfChange) string {
	return fmt.Sprintf("%d %s %d %q", c.GetId(), c.GetType(), c.GetNodeId(), c.GetContext())
}

func describeConfChangeV2(c *pb.ConfChangeV2) string {
	text := c.GetTransition().String()
	for _, change := range c.GetChanges() {
		text += fmt.Sprintf(" %s %d", change.GetType(), change.GetNodeId())
	}
	return fmt.Sprintf("%s %q", text, c.GetContext())
}
