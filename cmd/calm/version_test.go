package main

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
)

func TestVersion(t *testing.T) {
	got := must(t, "version")
	if flag := must(t, "--version"); flag != got {
		t.Errorf("--version prints %v, version %v", flag, got)
	}
	for _, want := range []string{"calm ", "commit ", runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, "computes with " + kernel.Best().String()} {
		if !strings.Contains(got.out, want) {
			t.Errorf("no %q in\n%s", want, got.out)
		}
	}
}

func TestVersionOf(t *testing.T) {
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	for _, c := range []struct {
		version  string
		settings []debug.BuildSetting
		want     string
	}{
		{"(devel)", nil, "calm devel\n  commit unknown (built without version control)\n"},
		{"", nil, "calm devel\n  commit unknown (built without version control)\n"},
		{"v1.2.3", nil, "calm v1.2.3\n  commit that of the module's version\n"},
		{"(devel)", []debug.BuildSetting{setting("vcs.revision", "8217bf8"), setting("vcs.time", "2026-11-27T17:00:00Z"), setting("vcs.modified", "true")},
			"calm devel\n  commit 8217bf8 of 2026-11-27T17:00:00Z, with changes\n"},
		{"v1.2.3", []debug.BuildSetting{setting("vcs.revision", "8217bf8"), setting("vcs.modified", "false")}, "calm v1.2.3\n  commit 8217bf8\n"},
	} {
		if got := versionOf(&debug.BuildInfo{Main: debug.Module{Version: c.version}, Settings: c.settings}); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
