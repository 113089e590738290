package interop

import (
	"crypto/rand"
	mathrand "math/rand/v2"
)

// seedElectionTimeouts makes upstream's election timeouts a function of the seed. Upstream draws
// them from crypto/rand, whose reader a program may replace. It does so for the whole program,
// which is why stories never run side by side.
func seedElectionTimeouts(seed uint64) {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	rand.Reader = mathrand.NewChaCha8(key)
}
