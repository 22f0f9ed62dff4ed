// Command vec writes the assembly of the vector kernels, each from one description for AVX2 and AVX-512. Run it through
// go generate in package kernel.
package main

import (
	"flag"
	"fmt"
	"os"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	source := flag.String("source", "..", "directory of package kernel, from which the files with constants are found")
	other := flag.String("other", "", "file for the stubs of other platforms")
	flag.Parse()
	if err := loadConstants(*source); err != nil {
		fail(err)
	}
	ConstraintExpr("amd64")
	for _, g := range []gen{{lanes: 8}, {lanes: 16}} {
		g.arithmetic()
		g.exponentials()
		g.reductions()
		g.norms()
		g.rotary()
		g.distances()
		g.adamW()
		g.random()
	}
	if *other != "" {
		if err := os.WriteFile(*other, otherStubs(), 0o666); err != nil {
			fail(err)
		}
	}
	Generate()
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "vec:", err)
	os.Exit(1)
}
