// The host program of upstream 3.6, for the clusters in which go37 mixes it with 3.7 and raftcore.
package main

import (
	"log"
	"os"

	upstream "github.com/raftcore/raftcore/tests/interop/go36"
	interop "github.com/raftcore/raftcore/tests/interop/shared"
)

func main() {
	if err := interop.Serve(upstream.Upstream{}, os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
