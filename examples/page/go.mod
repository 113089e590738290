module github.com/raftcore/raftcore/examples/page

go 1.26
