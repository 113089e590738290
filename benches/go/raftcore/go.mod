module github.com/raftcore/raftcore/benches/go/raftcore

go 1.26

require (
	github.com/raftcore/raftcore/benches/go/harness v0.0.0
	github.com/raftcore/raftcore/bindings/go v0.0.0
	go.etcd.io/raft/v3 v3.7.0
	google.golang.org/protobuf v1.36.11
)

replace (
	github.com/raftcore/raftcore/benches/go/harness => ../harness
	github.com/raftcore/raftcore/bindings/go => ../../../bindings/go
)
