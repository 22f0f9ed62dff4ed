package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"math"
	"path/filepath"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// goConstants are the constants of the portable twins. The assembly takes them from there, so the two cannot
// differ.
var goConstants []*types.Scope

// goFiles are the files that hold them, relative to the directory of package kernel.
var goFiles = []string{"vecexp.go", "../../nn/random/stream.go", "../../nn/random/normal.go"}

func loadConstants(dir string) error {
	for _, name := range goFiles {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("reading the constants of the portable twins: %w", err)
		}
		config := types.Config{Error: func(error) {}} // imports and other files are missing; constants need none
		pkg, _ := config.Check(f.Name.Name, fset, []*ast.File{f}, nil)
		goConstants = append(goConstants, pkg.Scope())
	}
	return nil
}

// A literal is a number in memory, repeated eight times: a whole ymm operand, or one word that is broadcast to a zmm.
type literal struct{ Mem }

var konsts = map[string]literal{}

// goFloat is the Go constant called name, as a float32.
func goFloat(name string) literal {
	v, _ := constant.Float32Val(constant.ToFloat(goValue(name)))
	return bits(name, math.Float32bits(v))
}

// goInt is the Go constant called name, as an integer.
func goInt(name string) literal {
	v, exact := constant.Uint64Val(goValue(name))
	if !exact || v > math.MaxUint32 {
		fail(fmt.Errorf("constant %s is no uint32", name))
	}
	return bits(name, uint32(v))
}

func goValue(name string) constant.Value {
	for _, scope := range goConstants {
		if c, ok := scope.Lookup(name).(*types.Const); ok && c.Val().Kind() != constant.Unknown {
			return c.Val()
		}
	}
	fail(fmt.Errorf("no constant %s in %v", name, goFiles))
	return nil
}

// float is the constant v, under a name that the assembly listing shows.
func float(name string, v float32) literal { return bits(name, math.Float32bits(v)) }

func bits(name string, v uint32) literal {
	if c, ok := konsts[name]; ok {
		return c
	}
	c := literal{table("vec_"+name, 8, func(int) uint32 { return v })}
	konsts[name] = c
	return c
}

var tables = map[string]Mem{}

// table is read-only data of n words.
func table(name string, n int, word func(i int) uint32) Mem {
	if m, ok := tables[name]; ok {
		return m
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := range n {
		DATA(4*i, U32(word(i)))
	}
	tables[name] = m
	return m
}
