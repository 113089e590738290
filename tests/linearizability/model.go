package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// input is what a client asked of one key: it reads, or it writes a value. A deletion writes none.
type input struct {
	key   string
	write bool
	value string
}

// output is what it heard. Nothing is known of a write without an answer: it may take effect at any
// time after it was sent, or never.
type output struct {
	value   string
	index   uint64 // Raft-Index, of a write
	unknown bool
}

// A key is a register that is empty at first.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(input).key
			parts[key] = append(parts[key], o)
		}
		var all [][]porcupine.Operation
		for _, part := range parts {
			all = append(all, part)
		}
		return all
	},
	Init: func() any { return "" },
	Step: func(state, in, out any) (bool, any) {
		if i := in.(input); i.write {
			return true, i.value
		}
		return out.(output).value == state.(string), state
	},
	DescribeOperation: func(in, out any) string {
		i, o := in.(input), out.(output)
		switch {
		case !i.write:
			return fmt.Sprintf("%s is %q", i.key, o.value)
		case o.unknown:
			return fmt.Sprintf("%s = %q ?", i.key, i.value)
		}
		return fmt.Sprintf("%s = %q @%d", i.key, i.value, o.index)
	},
}

var errViolation = errors.New("not linearizable")

const checkPatience = 2 * time.Minute

// check returns what is wrong with a history, or nothing. The picture of a history that is not
// linearizable is written to a file.
func check(history []porcupine.Operation, picture string) error {
	result, info := porcupine.CheckOperationsVerbose(model, history, checkPatience)
	switch result {
	case porcupine.Ok:
		return checkIndexes(history)
	case porcupine.Unknown:
		return fmt.Errorf("not decided within %v whether it is linearizable", checkPatience)
	}
	if err := porcupine.VisualizePath(model, info, picture); err != nil {
		return fmt.Errorf("%w, and there is no picture: %v", errViolation, err)
	}
	return fmt.Errorf("%w: %s shows it", errViolation, picture)
}

// checkIndexes checks over all keys that writes were applied in an order which their clients saw:
// one that was answered before another was sent stands before it in the log.
func checkIndexes(history []porcupine.Operation) error {
	var sent []porcupine.Operation
	for _, o := range history {
		if o.Input.(input).write && !o.Output.(output).unknown {
			sent = append(sent, o)
		}
	}
	answered := slices.Clone(sent)
	type operation = porcupine.Operation
	slices.SortFunc(sent, func(a, b operation) int { return int(a.Call - b.Call) })
	slices.SortFunc(answered, func(a, b operation) int { return int(a.Return - b.Return) })
	var last uint64
	taken := map[uint64]input{}
	for _, o := range sent {
		for len(answered) > 0 && answered[0].Return < o.Call {
			last = max(last, answered[0].Output.(output).index)
			answered = answered[1:]
		}
		in, index := o.Input.(input), o.Output.(output).index
		if other, isTaken := taken[index]; isTaken {
			return fmt.Errorf("%w: %v and %v were both applied at index %d", errViolation, other,
				in, index)
		}
		taken[index] = in
		if index <= last {
			return fmt.Errorf("%w: %v was applied at index %d, after the answer of index %d",
				errViolation, in, index, last)
		}
	}
	return nil
}
