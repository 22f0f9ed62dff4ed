package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/internal/plural"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show calm's version, its build, and the instruction set that it uses",
		Example: "  calm version\n  calm --version",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), version())
			return err
		},
	}
}

// version returns the output of calm version.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return versionOf(info) + fmt.Sprintf("  built with %s for %s/%s\n  computes with %s on %s\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel.Best(), plural.Count(runtime.GOMAXPROCS(0), "processor"))
}

// versionOf returns the module's version, which a build in a working tree may lack, and the commit.
func versionOf(info *debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	name := strings.Trim(info.Main.Version, "()")
	if name == "" {
		name = "devel"
	}
	commit := "unknown (built without version control)"
	if revision := settings["vcs.revision"]; revision != "" {
		commit = revision
		if settings["vcs.time"] != "" {
			commit += " of " + settings["vcs.time"]
		}
		if settings["vcs.modified"] == "true" {
			commit += ", with changes"
		}
	} else if strings.HasPrefix(name, "v") {
		commit = "that of the module's version"
	}
	return fmt.Sprintf("calm %s\n  commit %s\n", name, commit)
}
