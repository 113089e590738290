package capi

import (
	"errors"
	"sync/atomic"
)

// living counts the objects of the library's that Go owns, for the tests that look for leaks.
var living atomic.Int64

func count(n int64) { living.Add(n) }

// Living returns how many nodes and storages of the library's are not freed.
func Living() int64 { return living.Load() }

func outOfMemory() error { return errors.New("raft: out of memory") }
