package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// commandLine is a command that the reader can give as it stands.
func commandLine(words ...string) string {
	line := program()
	for _, word := range words {
		line += " " + quoted(word)
	}
	return line
}

// program is how the reader starts calm again from the directory he is in: as he did. What `go run` starts lies in a directory that
// goes away, or in the build cache under the hash of what it was made of.
func program() string {
	self, err := os.Executable()
	if err != nil {
		return "calm"
	}
	return startedAs(self, os.Args[0])
}

// goRun are the directories of what `go run` starts: built just now, and from the cache.
var goRun = regexp.MustCompile(`/go-build[0-9]+/b[0-9]+/exe$|/[0-9a-f]{64}-d$`)

// startedAs is program for an executable that was started under a name.
func startedAs(self, name string) string {
	if !goRun.MatchString(filepath.ToSlash(filepath.Dir(self))) {
		return quoted(name)
	}
	if _, err := os.Stat("cmd/calm/main.go"); err == nil {
		return "go run ./cmd/calm"
	}
	return "go run github.com/calm-go/calm/cmd/calm"
}

var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// quoted is a word as a shell reads it.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
