package calm_test

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	status := m.Run()
	if r, err := exampleRuns(); err == nil {
		os.RemoveAll(r.dir)
	}
	os.Exit(status)
}
