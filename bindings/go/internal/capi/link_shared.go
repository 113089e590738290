//go:build !raftcore_static

package capi

// A file of its own, since the build cache of Go does not look at what pkg-config is asked for.

// #cgo pkg-config: raftcore
import "C"
