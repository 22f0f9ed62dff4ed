// Learning reports the runs of run.sh as a table and curves:
//
//	go run ./recipes/learning RUNS DIR
//
// writes DIR/table.md, and an SVG in DIR for each patch size and head.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: learning RUNS DIR")
		os.Exit(2)
	}
	if err := report(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "learning:", err)
		os.Exit(1)
	}
}

func report(runs, dir string) error {
	groups, err := read(runs)
	if err != nil {
		return err
	}
	if len(groups) == 0 {
		return fmt.Errorf("%s has no measured runs: make some with recipes/learning/run.sh %s", runs, runs)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "table.md"), []byte(table(groups)), 0o666),
		curves(groups, dir),
	)
}
