module github.com/raftcore/raftcore/tests/linearizability

go 1.26.0

require github.com/anishathalye/porcupine v1.3.1

require golang.org/x/sys v0.45.0
