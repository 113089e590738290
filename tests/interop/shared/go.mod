module github.com/raftcore/raftcore/tests/interop/shared

go 1.24
