package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// memoryLimit is an environment variable with the bytes of memory that a process of these tests may map for writing. A limit on
// address space (RLIMIT_AS) would say less: Go's runtime and the C library's threads reserve far more of it than they use.
const memoryLimit = "CALM_TEST_MEMORY_LIMIT"

func init() {
	bytes, err := strconv.ParseUint(os.Getenv(memoryLimit), 10, 64)
	if err != nil {
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: bytes, Max: bytes}); err != nil {
		panic(err)
	}
}

// within runs the command in a process that may have that many bytes of memory; more ends it. It reports an error if it ended
// with another status, or without the words that are expected.
func within(t *testing.T, limit uint64, in io.Reader, status int, want string, args ...string) {
	t.Helper()
	cmd := calmProcess(t, args...)
	cmd.Env = append(cmd.Env, memoryLimit+"="+strconv.FormatUint(limit, 10), "GOMEMLIMIT=off")
	cmd.Stdin = in
	var out tailBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	t.Logf("calm %s: %v", strings.Join(args[:2], " "), cmd.ProcessState.UserTime())
	if got := cmd.ProcessState.ExitCode(); got != status || !strings.Contains(out.text(), want) {
		t.Errorf("calm %s: status %d; want status %d and %q:\n%s", strings.Join(args, " "), got, status, want, out.text())
	}
}

// tailBuffer keeps the end of what is written to it.
type tailBuffer struct{ bytes.Buffer }

func (b *tailBuffer) Write(p []byte) (int, error) {
	if b.Len() > 1<<20 {
		b.Truncate(copy(b.Bytes(), b.Bytes()[b.Len()-4096:]))
	}
	b.Buffer.Write(p)
	return len(p), nil
}

func (b *tailBuffer) text() string { return string(b.Bytes()[max(0, b.Len()-4096):]) }

// bomb writes a file that is small and long when it is decompressed: before, then n times part.
func bomb(t *testing.T, path, before, part string, n int) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var z io.WriteCloser
	if strings.HasSuffix(path, ".zst") {
		z, err = zstd.NewWriter(file, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	} else {
		z, err = gzip.NewWriterLevel(file, gzip.BestSpeed)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(z, 1<<20)
	w.WriteString(before)
	for range n {
		w.WriteString(part)
	}
	for _, err := range []error{w.Flush(), z.Close(), file.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Every command that reads text stays under a limit far below the size of the text: one word without end, lines without end,
// one line of JSON without end.
func TestMemoryDoesNotGrowWithText(t *testing.T) {
	const limit, size = 640 << 20, 96 << 20
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	letters := strings.Repeat("a", 1<<16)
	bomb(t, at("word.txt.gz"), "", letters, size>>16)
	bomb(t, at("lines.txt.zst"), "", strings.Repeat("One line of some words, and no more.\n", 1<<11), size>>16)
	bomb(t, at("long.jsonl.gz"), "{\"text\":\"a short one\"}\n{\"text\":\"", letters, 130<<20>>16)
	bomb(t, at("line.jsonl.gz"), `{"other":"`, letters, 64<<20>>16)
	bomb(t, at("many.jsonl.zst"), "", "{\"text\":\"one and the same\"}\n", 3<<19)
	bomb(t, at("none.jsonl.zst"), "", "{\"text\":\"\"}\n", 3<<19)
	run := tinyRuns(t)
	bpe := at("bpe.json")
	must(t, "tokenizer", "train", "--out", bpe, "--vocab", "300", "--data", run.text)

	for _, c := range []struct {
		status int
		want   string
		args   []string
	}{
		{exitDone, "held out", []string{"data", "info", at("word.txt.gz")}},
		{exitDone, "held out", []string{"data", "prepare", "--data", at("lines.txt.zst"), "--out", at("prepared")}},
		{exitDone, "match their checksums", []string{"data", "info", at("prepared")}},
		{exitUsage, "long.jsonl.gz:2: the line has more than 128 MiB", []string{"data", "prepare", "--data", at("long.jsonl.gz"), "--out", at("no")}},
		{exitUsage, `line.jsonl.gz:1: column 67108875: not JSON`, []string{"data", "info", at("line.jsonl.gz")}},
		{exitUsage, "only 1 different text", []string{"data", "info", at("many.jsonl.zst")}},
		{exitUsage, "1572864 documents without text", []string{"data", "info", at("none.jsonl.zst")}},
		{exitDone, "300 tokens", []string{"tokenizer", "train", "--out", at("other.json"), "--vocab", "300", "--data", at("word.txt.gz"), "--data", run.text}},
		{exitDone, "2 steps", trainTiny("ae", at("run"), at("lines.txt.zst"), "--steps", "2")},
		{exitDone, "accuracy", []string{"eval", at("run"), "--data", at("prepared"), "--blocks", "4"}},
	} {
		within(t, limit, nil, c.status, c.want, c.args...)
	}
	bomb(t, at("shorter.txt.gz"), "", letters, 24<<20>>16)
	in, err := os.Open(at("shorter.txt.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	text, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	within(t, limit, text, exitDone, " ", "tokenizer", "encode", "--tokenizer", bpe)
}
