package main

import (
	"strings"
	"testing"
)

// TestStartedAs checks that the commands that calm prints can be run by the reader.
func TestStartedAs(t *testing.T) {
	cached := "/home/me/.cache/go-build/7d/" + strings.Repeat("7dfb7a55", 8) + "-d/calm"
	const fresh = "/tmp/go-build3535782493/b001/exe/calm"
	for _, c := range []struct{ self, name, want string }{
		{"/usr/local/bin/calm", "calm", "calm"},
		{"/home/me/calm/calm", "./calm", "./calm"},
		{"/home/me/my tools/it's", "/home/me/my tools/it's", `'/home/me/my tools/it'\''s'`},
		{"/home/me/go-build1/calm", "/home/me/go-build1/calm", "/home/me/go-build1/calm"},
		{fresh, fresh, "go run github.com/calm-go/calm/cmd/calm"},
		{cached, cached, "go run github.com/calm-go/calm/cmd/calm"},
	} {
		if got := startedAs(c.self, c.name); got != c.want {
			t.Errorf("%s, started as %s: %s, want %s", c.self, c.name, got, c.want)
		}
	}
	t.Chdir("../..") // where `go run ./cmd/calm` works
	for _, self := range []string{fresh, cached} {
		if got := startedAs(self, self); got != "go run ./cmd/calm" {
			t.Errorf("%s: %s", self, got)
		}
	}
}
