module github.com/raftcore/raftcore/benches/go/harness

go 1.24
