package nntest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Operations returns the names of the operations of package nn, sorted. It reads them from the source in dir, as the
// types with a method Describe that returns a Description: no new operation can be missed.
func Operations(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "Describe" && f.Recv != nil && returns(f, "Description") {
				names = append(names, typeName(f.Recv.List[0].Type))
			}
		}
	}
	if len(names) == 0 {
		t.Fatalf("no operation was found in %s", dir)
	}
	slices.Sort(names)
	return names
}

func returns(f *ast.FuncDecl, name string) bool {
	r := f.Type.Results
	return r != nil && len(r.List) == 1 && typeName(r.List[0].Type) == name
}

// typeName is the name of a type or of what a pointer points to.
func typeName(e ast.Expr) string {
	if p, ok := e.(*ast.StarExpr); ok {
		e = p.X
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// CheckTable fails unless an engine implements every operation of package nn, whose source is in dir, or says why it
// does not: without has the reasons, by operation.
func CheckTable(t testing.TB, dir string, implemented []string, without map[string]string) {
	t.Helper()
	all := Operations(t, dir)
	for _, name := range all {
		reason, left := without[name]
		switch has := slices.Contains(implemented, name); {
		case has && left:
			t.Errorf("%s is implemented, and left out in the same table", name)
		case left && reason == "":
			t.Errorf("%s is left out without a reason", name)
		case !has && !left:
			t.Errorf("%s has no implementation: write one and add its line to the engine's table", name)
		}
	}
	for _, name := range slices.Concat(implemented, slices.Sorted(maps.Keys(without))) {
		if !slices.Contains(all, name) {
			t.Errorf("the table has %s, which is no operation of package nn", name)
		}
	}
}
