package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/calm-go/calm/internal/plural"
)

// surplus adds tensors without elements to a safetensors file.
func surplus(t *testing.T, path string, names []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(data)
	head, rest := strings.Replace(strings.TrimRight(string(data[8:8+n]), " "), "calm.crc32c", "no checksum", 1), data[8+n:]
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(head, "}"))
	for _, name := range names {
		quoted := strings.ReplaceAll(strings.ReplaceAll(fmt.Sprintf("%q", name), `\x1b`, `\u001b`), `\a`, `\u0007`)
		fmt.Fprintf(&b, `,%s:{"dtype":"F32","shape":[0],"data_offsets":[%d,%d]}`, quoted, len(rest), len(rest))
	}
	b.WriteString("}")
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(b.Len()))
	if err := os.WriteFile(path, append(append(length[:], b.String()...), rest...), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestManyProblems makes inputs with very many mistakes, of every kind that is listed. The first ones are printed and the number of
// the rest, within seconds.
func TestManyProblems(t *testing.T) {
	r, work := tinyRuns(t), t.TempDir()
	t.Chdir(work)
	const many = 100_000
	var names []string
	for i := range many {
		names = append(names, fmt.Sprintf("tensor.%d", i))
	}
	must(t, "export", r.ar, "surplus")
	surplus(t, "surplus/model.safetensors", names)
	write := func(path, text string) string {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var keys, twice, index strings.Builder
	for i := range many {
		fmt.Fprintf(&keys, "\n\"hidden_sice_%d\": 1,", i)
		fmt.Fprintf(&twice, "\n\"seed\": 1,")
		fmt.Fprintf(&index, `"tensor.%d": "model-1.safetensors",`, i)
	}
	unknown := write("unknown.json", "{"+keys.String()+"\"seed\": 1}")
	repeated := write("repeated.json", "{"+twice.String()+"\"seed\": 1}")
	must(t, "export", r.ar, "index")
	if err := os.Rename("index/model.safetensors", "index/model-1.safetensors"); err != nil {
		t.Fatal(err)
	}
	write("index/model.safetensors.index.json", `{"weight_map": {`+strings.TrimSuffix(index.String(), ",")+`}}`)
	must(t, "export", r.ar, "keys")
	write("keys/config.json", "{"+keys.String()+"\"architectures\": [\"LlamaForCausalLM\"]}")
	var sets []string
	for i := range 1000 {
		sets = append(sets, "--set", fmt.Sprintf("nokey%d=1", i))
	}
	for name, args := range map[string][]string{
		"surplus tensors":          {"import", "surplus", "x"},
		"unknown keys":             trainTiny("ae", "x", r.text, "--config", unknown),
		"repeated keys":            trainTiny("ae", "x", r.text, "--config", repeated),
		"unknown keys of a source": {"import", "keys", "x"},
		"index":                    {"import", "index", "x"},
		"assignments":              trainTiny("ae", "x", r.text, sets...),
	} {
		begun := time.Now()
		got := calmRun(args...)
		if got.status != exitUsage {
			t.Errorf("%s: want status 2: %.2000s", name, got)
		}
		if n := strings.Count(got.errOut, "\n"); n > maxMessage+2 || len(got.errOut) > 20_000 || !strings.Contains(got.errOut, " more\n") {
			t.Errorf("%s: %d lines: %.2000s", name, n, got.errOut)
		}
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("%s: it took %v", name, took)
		}
	}
}

// TestLongMessage formats an error of a million lines, and one of a million equal lines.
func TestLongMessage(t *testing.T) {
	var lines strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&lines, "problem %d\n", i)
	}
	got := message(errors.New(lines.String()))
	if n := strings.Count(got, "\n"); n != maxMessage || !strings.HasSuffix(got, fmt.Sprintf("and %d more", 1_000_001-maxMessage)) {
		t.Errorf("%d lines, %.100q", n, got[max(0, len(got)-100):])
	}
	if got := message(errors.New(strings.Repeat("same\n", 1_000_000) + "end")); got != "same\nend" {
		t.Errorf("%.100q", got)
	}
	if maxMessage < plural.MaxLines {
		t.Error("a list of one error does not fit a message")
	}
}
