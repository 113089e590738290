package raft

import (
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
)

const (
	ourPath      = "github.com/raftcore/raftcore/bindings/go"
	upstreamPath = "go.etcd.io/raft/v3"
)

// TestAPIDiffersAsTheGuideSays compares what is exported here with what upstream exports, symbol by
// symbol, and the differences with the list in the guide.
func TestAPIDiffersAsTheGuideSays(t *testing.T) {
	ours, theirs := load(t)
	found := differences(ours, theirs)
	page, err := os.ReadFile("../../docs/src/go-migration.md")
	must(t, err)
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^- `([+~-] [^`]+)`").FindAllSubmatch(page, -1) {
		listed = append(listed, string(m[1]))
	}
	sort.Strings(listed)
	for _, d := range found {
		if !slices.Contains(listed, d) {
			t.Errorf("the guide does not explain: %s", d)
		}
	}
	for _, d := range listed {
		if !slices.Contains(found, d) {
			t.Errorf("the guide explains what is no difference: %s", d)
		}
	}
	if scope := theirs.Scope().Names(); len(scope) < 50 || theirs.Scope().Lookup("Node") == nil {
		t.Fatalf("upstream's API was not read: %v", scope)
	}
}

// load reads the two packages from what the compiler exports.
func load(t *testing.T) (ours, theirs *types.Package) {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}",
		".", upstreamPath)
	list.Env, list.Stderr = append(os.Environ(), "GOGC=100"), os.Stderr
	out, err := list.Output()
	must(t, err)
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = file
	}
	from := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser,
		error) {
		return os.Open(exports[path])
	})
	ours, err = from.Import(ourPath)
	must(t, err)
	theirs, err = from.Import(upstreamPath)
	must(t, err)
	return ours, theirs
}

// differences lists what is more (+), less (-) and other (~) than upstream's.
func differences(ours, theirs *types.Package) []string {
	mine, upstream := symbols(ours), symbols(theirs)
	var all []string
	for name, form := range upstream {
		switch mine[name] {
		case form:
		case "":
			all = append(all, "- "+name)
		default:
			all = append(all, fmt.Sprintf("~ %s: %s, upstream %s", name, mine[name], form))
		}
	}
	for name := range mine {
		// What a new type has is not listed again.
		owner, _, isPart := strings.Cut(name, ".")
		if upstream[name] == "" && !(isPart && upstream[owner] == "") {
			all = append(all, "+ "+name)
		}
	}
	sort.Strings(all)
	return all
}

// symbols maps every exported name, field and method to its form.
func symbols(p *types.Package) map[string]string {
	all := map[string]string{}
	for _, name := range p.Scope().Names() {
		object := p.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		switch o := object.(type) {
		case *types.Const:
			all[name] = fmt.Sprintf("const %s = %s", form(o.Type()), o.Val())
		case *types.TypeName:
			addType(all, name, types.Unalias(o.Type()))
		default:
			all[name] = form(o.Type())
		}
	}
	return all
}

func addType(all map[string]string, name string, t types.Type) {
	switch under := t.Underlying().(type) {
	case *types.Struct:
		all[name] = "struct"
		for field := range under.Fields() {
			if field.Exported() {
				all[name+"."+field.Name()] = form(field.Type())
			}
		}
	case *types.Interface:
		all[name] = "interface"
		for method := range under.Methods() {
			all[name+"."+method.Name()] = form(method.Type())
		}
		return
	default:
		all[name] = form(under)
	}
	methods := types.NewMethodSet(types.NewPointer(t))
	for method := range methods.Methods() {
		if method.Obj().Exported() {
			all[name+"."+method.Obj().Name()+"()"] = form(method.Type())
		}
	}
}

// form is a type as text, the same for a type of ours as for upstream's of that name.
func form(t types.Type) string {
	signature, ok := t.(*types.Signature)
	if !ok {
		return types.TypeString(t, packageName)
	}
	plain := func(tuple *types.Tuple) *types.Tuple {
		var vars []*types.Var
		for v := range tuple.Variables() {
			vars = append(vars, types.NewVar(token.NoPos, nil, "", v.Type()))
		}
		return types.NewTuple(vars...)
	}
	unnamed := types.NewSignatureType(nil, nil, nil, plain(signature.Params()),
		plain(signature.Results()), signature.Variadic())
	return types.TypeString(unnamed, packageName)
}

func packageName(p *types.Package) string {
	if p.Path() == ourPath || p.Path() == upstreamPath {
		return ""
	}
	return p.Name()
}
