//go:build !cgo

package capi

// The library is C: set CGO_ENABLED=1 and have a C compiler. What follows says so to who has not.
const _ = raftcore_needs_cgo
