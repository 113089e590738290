// Package raft is the API of go.etcd.io/raft/v3, version 3.7, on libraftcore: a program changes
// one import and stays as it is.
//
//	import "github.com/raftcore/raftcore/bindings/go" // was "go.etcd.io/raft/v3"
//
// Messages and entries are upstream's raftpb; plain types and errors are upstream's own, so that
// packages made for upstream's library work with values of this one. What is different is listed in
// the guide, in "Moving a Go program".
//
// Start a [Node] with [StartNode] or [RestartNode] and serve its channels, or drive a [RawNode].
// The library is found by pkg-config; the build tag raftcore_static links it statically.
//
// Nothing in this package panics for bad input. A [Node] made from it is a stopped one, and its
// [Diagnostics] say why; a RawNode remembers for Err what a method could not return.
package raft
