package harness

import (
	"encoding/binary"
)

// Main runs the workload that the command line names.
func Main[M any](library *Library[M]) {
	switch workload() {
	case "commit":
		runCommit(library)
	case "idle":
		runIdle(library)
	case "large":
		runLarge(library)
	case "reads":
		runReads(library)
	default:
		check(false, "a workload that there is")
	}
}

func setup() Setup {
	return Setup{
		Voters: number("voters", 3), ElectionTicks: 1000, HeartbeatTicks: 100,
		MaxMessageBytes: number("max_message", 1<<20), MaxInflight: int(number("inflight", 512)),
		Lease: number("lease", 0) == 1,
	}
}

// payload is a fresh one, filled by the application.
func payload(number, bytes uint64) []byte {
	data := make([]byte, bytes)
	for i := range data {
		data[i] = byte(number)
	}
	return data
}

func runCommit[M any](library *Library[M]) {
	entries, batch := number("entries", 200_000), number("batch", 1)
	bytes, compact := number("payload", 128), number("compact", 4096)
	each := batch == 1 || text("mode") == "each"
	n := newNetwork(library, setup().Voters, number("encoded", 0) == 1)
	g := newGroup(library, setup())
	g.elect(n)
	messages, wire := n.messages, n.wireBytes
	compacted := uint64(0)

	m := start()
	for proposed := uint64(0); proposed < entries; {
		until := min(proposed+batch, entries)
		if each {
			for ; proposed < until; proposed++ {
				g.members[0].Propose(payload(proposed, bytes))
			}
		} else {
			payloads := make([][]byte, 0, until-proposed)
			for ; proposed < until; proposed++ {
				payloads = append(payloads, payload(proposed, bytes))
			}
			g.members[0].ProposeMany(payloads)
		}
		g.pump(n)
		if compact > 0 && proposed-compacted >= compact {
			compacted = proposed
			for at, member := range g.members {
				member.Compact(g.applied[at].index)
			}
		}
	}
	taken := m.stop()
	taken.report("entry", entries)
	figure("messages_per_entry", float64(n.messages-messages)/float64(entries))
	if n.encodes {
		figure("wire_bytes_per_entry", float64(n.wireBytes-wire)/float64(entries))
	}
	g.check(entries)
}

func runLarge[M any](library *Library[M]) {
	bytes := number("payload", 64<<10)
	entries := number("entries", (256<<20)/bytes)
	n := newNetwork(library, setup().Voters, number("encoded", 1) == 1)
	g := newGroup(library, setup())
	g.elect(n)
	m := start()
	for i := range entries {
		g.members[0].Propose(payload(i+1, bytes))
		g.pump(n)
		if (i+1)%16 == 0 {
			for at, member := range g.members {
				member.Compact(g.applied[at].index)
			}
		}
	}
	taken := m.stop()
	kib := float64(entries*bytes) / 1024
	if counts() {
		// The payload itself is one.
		figure("copied_bytes_per_byte", float64(taken.allocBytes)/float64(entries*bytes)-1)
	} else {
		figure("cpu_ns_per_kib", float64(taken.cpuNs)/kib)
		figure("wall_mib_per_s", kib/1024/(float64(taken.wallNs)/1e9))
	}
	g.check(entries)
}

func runReads[M any](library *Library[M]) {
	reads, batch := number("reads", 100_000), number("batch", 1)
	n := newNetwork(library, setup().Voters, false)
	g := newGroup(library, setup())
	g.elect(n)
	for range setup().HeartbeatTicks { // a round of heartbeats, so that there is a lease
		g.members[0].Tick()
	}
	g.pump(n)
	messages := n.messages
	m := start()
	for asked := uint64(0); asked < reads; {
		for until := min(asked+batch, reads); asked < until; asked++ {
			g.members[0].ReadIndex(binary.BigEndian.AppendUint64(nil, asked))
		}
		g.pump(n)
		check(g.applied[0].reads == asked, "reads answered")
	}
	taken := m.stop()
	taken.report("read", reads)
	figure("messages_per_read", float64(n.messages-messages)/float64(reads))
}

func runIdle[M any](library *Library[M]) {
	s := setup()
	s.ElectionTicks, s.HeartbeatTicks = 1_000_000, 10
	count := number("groups", 10_000)
	nodes := float64(count * s.Voters)
	n := newNetwork(library, s.Voters, false)
	groups := make([]*group[M], 0, count)
	before := residentBytes()
	for range count {
		groups = append(groups, newGroup(library, s))
	}
	created := residentBytes()
	for _, g := range groups {
		g.elect(n)
	}
	elected := residentBytes()
	if !counts() {
		figure("rss_bytes_per_new_node", float64(created-before)/nodes)
		figure("rss_bytes_per_node", float64(elected-before)/nodes)
	}
	tick := func(member Member[M]) {
		member.Tick()
		check(!member.HasReady(), "an idle member wants something")
	}
	m := start()
	for range 20 {
		for _, g := range groups {
			for _, follower := range g.members[1:] {
				tick(follower)
			}
		}
	}
	m.stop().report("cold_tick", 20*count*(s.Voters-1))
	m = start()
	for range 100_000 {
		tick(groups[0].members[1])
	}
	m.stop().report("hot_tick", 100_000)
	var rounds meter
	for range 5 {
		for range 9 {
			for _, g := range groups {
				tick(g.members[0])
			}
		}
		m = start()
		for _, g := range groups {
			g.members[0].Tick()
			g.pump(n)
		}
		rounds.add(m.stop())
	}
	rounds.report("heartbeat_round", 5*count)
}
