package interop

import "bytes"

// The bytes themselves: what one side writes, the other reads and writes again.
func wire() []Story {
	return []Story{
		{"bytes_mean_the_same", both, 1, nil, Mild, bytesMeanTheSame},
		{"bytes_mean_the_same_after_chaos", all, 2, nil, Mild, bytesAfterChaos},
	}
}

// peerKinds are all kinds of message that travel between members.
var peerKinds = []int{
	MsgProp, MsgApp, MsgAppResp, MsgVote, MsgVoteResp, MsgSnap, MsgHeartbeat, MsgHeartbeatResp,
	MsgTransfer, MsgTimeoutNow, MsgReadIndex, MsgReadIndexResp, MsgPreVote, MsgPreVoteResp,
}

// recorder keeps what both kinds of member send.
type recorder struct {
	c    *Cluster
	seen map[string]map[int]int
}

func (c *Cluster) record() *recorder {
	r := &recorder{c: c, seen: map[string]map[int]int{}}
	c.spySender = func(n *Node, p Packet) {
		name := n.Kind.Name()
		if r.seen[name] == nil {
			r.seen[name] = map[int]int{}
		}
		r.seen[name][p.Kind]++
		c.checkBytes(FormMessage, p.Bytes, name)
	}
	return r
}

// checkBytes holds what raftcore makes of bytes against what upstream makes of them.
func (c *Cluster) checkBytes(form Form, encoded []byte, writer string) {
	c.Helper()
	want, err := c.upstream.Fields(form, encoded)
	if err != nil {
		c.Fatalf("upstream does not read what %s wrote: %v\n%x", writer, err, encoded)
	}
	ours, err := c.host.Reencode(form, encoded)
	if err != nil {
		c.Fatalf("raftcore does not read what %s wrote: %v\n%s", writer, err, want)
	}
	if got, err := c.upstream.Fields(form, ours); err != nil || got != want {
		c.Fatalf("%s wrote\n%s\nraftcore makes of it\n%s (%v)", writer, want, got, err)
	}
	theirs, err := c.upstream.Reencode(form, encoded)
	if err != nil {
		c.Fatalf("upstream does not encode %s: %v", want, err)
	}
	again, err := c.host.Reencode(form, theirs)
	if err != nil || !bytes.Equal(again, ours) {
		c.Fatalf("upstream encodes\n%s\nand raftcore makes of it\n%x, not\n%x (%v)",
			want, again, ours, err)
	}
	if writer == oursLabel && form != FormConfChange && !bytes.Equal(ours, encoded) {
		c.Fatalf("raftcore wrote\n%x\nand again\n%x", encoded, ours)
	}
}

func bytesMeanTheSame(c *Cluster) {
	r := c.record()
	c.Found(c.lineup)
	for _, n := range c.Nodes() {
		c.MakeLeader(n.ID)
		r.everyKindOnce(n)
		c.campaigns(n)
	}
	c.Judge.Settle()
	for name, seen := range r.seen {
		for _, kind := range peerKinds {
			if seen[kind] == 0 {
				c.Fatalf("%s never sent a %s: %v", name, kindNames[kind], seen)
			}
		}
	}
	c.checkDisks()
}

// campaigns has a leader die twice, and the others ask for pre-votes both ways.
func (c *Cluster) campaigns(leader *Node) {
	for i := range 2 {
		c.MakeLeader(leader.ID)
		c.Replicate(leader.ID, 1)
		c.Crash(leader.ID)
		for _, n := range c.Nodes() {
			n.member.ForgetLeader()
		}
		next := c.Nodes()[0]
		if i > 0 {
			next = c.Nodes()[len(c.Nodes())-1]
		}
		next.member.Campaign()
		c.Within(5, func() bool { return c.Leads(next.ID) })
		c.Restart(leader.ID)
	}
}

// everyKindOnce has a leader send, and be sent, every kind of message.
func (r *recorder) everyKindOnce(leader *Node) {
	c := r.c
	c.Replicate(leader.ID, 2)
	for _, n := range c.Nodes() {
		if n == leader {
			continue
		}
		// Forwarded, or answered.
		c.Replicate(n.ID, 1)
		c.ReadUntilAnswered(n.ID)
		_ = n.member.ProposeConfChange(ConfChange{
			Transition: JointImplicit, Changes: []Change{{Update, n.ID}}, Context: []byte("wire"),
		})
		c.Until("the joint membership is left", 200, func() bool { return !leader.joint() })
		c.Net.Partition([]uint64{n.ID})
		c.Replicate(leader.ID, 3)
		leader.compact(0)
		c.Ticks(2 * ElectionTicks)
		c.Net.Partition()
		c.Replicate(n.ID, 1)
		_ = n.member.Transfer(n.ID)
		c.Within(20, func() bool { return c.Leads(n.ID) })
		c.MakeLeader(leader.ID)
	}
}

func bytesAfterChaos(c *Cluster) {
	c.record()
	chaotic(c)
	c.checkDisks()
}

// checkDisks does the same for what is stored.
func (c *Cluster) checkDisks() {
	for _, n := range c.nodes {
		name := n.Kind.Name()
		for _, e := range n.Disk.Entries {
			c.checkBytes(FormEntry, e.Encoded, name)
			switch e.Type {
			case EntryConfChange:
				c.checkBytes(FormConfChange, e.Data, "a leader")
			case EntryConfChangeV2:
				c.checkBytes(FormConfChangeV2, e.Data, "a leader")
			}
		}
		c.checkBytes(FormHardState, n.Disk.HardState, name)
		if n.Disk.Snapshot != nil {
			c.checkBytes(FormSnapshot, n.Disk.Snapshot.Encoded, "a leader")
		}
	}
}
