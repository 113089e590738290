// Package binding tells the stories with raftcore's Go module and upstream in one process.
//
// The member of ours is upstream's, with the import changed: the folder ours is written by `run`
// from the files of go37.
package binding

import (
	"testing"

	"github.com/raftcore/raftcore/tests/interop/binding/ours"
	"github.com/raftcore/raftcore/tests/interop/go37"
	interop "github.com/raftcore/raftcore/tests/interop/shared"
)

// Ours makes members of raftcore's Go module.
type Ours struct{ ours.Upstream }

// Name implements [interop.Kind].
func (Ours) Name() string { return "ours" }

// TestInterop tells every story with nodes of both libraries in this process.
func TestInterop(t *testing.T) { interop.RunInProcess(t, upstream.Upstream{}, Ours{}) }
