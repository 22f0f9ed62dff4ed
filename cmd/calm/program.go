package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// commandLine returns a command of calm that the reader can copy into a shell.
func commandLine(words ...string) string {
	line := program()
	for _, word := range words {
		line += " " + quoted(word)
	}
	return line
}

// program returns the words that start calm again from the working directory: those that started it. With `go run` these are
// not the path of the executable, which is temporary or in the build cache.
func program() string {
	self, err := os.Executable()
	if err != nil {
		return "calm"
	}
	return startedAs(self, os.Args[0])
}

// goRun matches the directories of executables started by `go run`: a temporary one, or one in the build cache.
var goRun = regexp.MustCompile(`/go-build[0-9]+/b[0-9]+/exe$|/[0-9a-f]{64}-d$`)

// startedAs is program for the executable self that was started as name.
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

// quoted returns a word with the quotes that a shell needs.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
