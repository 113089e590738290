package upstream

import (
	"testing"

	interop "github.com/raftcore/raftcore/tests/interop/shared"
)

// TestInterop tells every story with clusters of raftcore and of this version of upstream.
func TestInterop(t *testing.T) { interop.Run(t, Upstream{}) }
