//go:build !unix

package corpus

import "testing"

func makePipe(t *testing.T, _ string) { t.Skip("no named pipes") }
