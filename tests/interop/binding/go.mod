module github.com/raftcore/raftcore/tests/interop/binding

go 1.26

require (
	github.com/raftcore/raftcore/bindings/go v0.0.0
	github.com/raftcore/raftcore/tests/interop/go37 v0.0.0
	github.com/raftcore/raftcore/tests/interop/shared v0.0.0
	go.etcd.io/raft/v3 v3.7.0
	google.golang.org/protobuf v1.36.11
)

replace (
	github.com/raftcore/raftcore/bindings/go => ../../../bindings/go
	github.com/raftcore/raftcore/tests/interop/go37 => ../go37
	github.com/raftcore/raftcore/tests/interop/shared => ../shared
)
