package interchange

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/run"
)

// mistaken returns contents that files of models have by mistake, with words of the error messages.
func mistaken(t *testing.T) map[string][2]string {
	t.Helper()
	var packed, archive bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte("anything"))
	if err == nil {
		err = z.Close()
	}
	a := zip.NewWriter(&archive)
	if err == nil {
		_, err = a.Create("model/data.pkl")
	}
	if err == nil {
		err = a.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return map[string][2]string{
		"a pointer":  {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n", "git lfs pull"},
		"a web page": {"<!DOCTYPE html><html><title>Sign in</title></html>", "download the file again"},
		"an error":   {"Access to model org/name is restricted", "download the file again"},
		"a gzip":     {packed.String(), "gunzip"},
		"a pickle":   {archive.String(), "pytorch_model.bin"},
		"an old one": {"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "load it in Python"},
		"weights":    {"\x02\x00\x00\x00\x00\x00\x00\x00{}", "model.safetensors"},
	}
}

// TestMistakenFiles gives every file of a model every wrong content. The error names the file, what it is and what to do.
func TestMistakenFiles(t *testing.T) {
	checked := 0
	for what, c := range mistaken(t) {
		for _, name := range []string{safetensorsFile, binFile, safetensorsIndex, binIndex, "config.json", "tokenizer.json", "tokenizer.model"} {
			words := c[1]
			switch {
			case what == "weights" && name == safetensorsFile, what == "a pickle" && name == binFile,
				what == "an error" && !strings.HasPrefix(name, "model.s") && name != binFile, what == "an error" && name == safetensorsIndex:
				continue // the right content, or text
			case what == "weights" && name != binFile:
				words = "it is a safetensors file"
			case what == "a pickle" && name != safetensorsFile:
				words = "zip archive"
			}
			src := exported(t, run.AE, "")
			weights := filepath.Join(src, safetensorsFile)
			if name == binFile || strings.HasSuffix(name, ".index.json") {
				if err := os.Remove(weights); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(src, name), []byte(c[0]), 0o666); err != nil {
				t.Fatal(err)
			}
			refused(t, src, Options{}, filepath.Join(src, name), words)
			checked++
		}
		if what == "weights" {
			continue
		}
		src, tokenizer := exported(t, run.AE, ""), filepath.Join(t.TempDir(), "tokenizer")
		if err := os.WriteFile(tokenizer, []byte(c[0]), 0o666); err != nil {
			t.Fatal(err)
		}
		refused(t, src, Options{Tokenizer: "llama3:" + tokenizer}, "--tokenizer")
	}
	if checked < 40 {
		t.Errorf("%d files were checked", checked)
	}
}

// TestMistakenWeightsOfRun: the error for a run's weights with wrong content says what the file is.
func TestMistakenWeightsOfRun(t *testing.T) {
	for what, c := range mistaken(t) {
		if what == "weights" {
			continue
		}
		dir := tinyRun(t, run.AE)
		path := filepath.Join(dir, checkpoint.ModelFile)
		if err := os.Remove(path); err != nil { // a link
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(c[0]), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := run.Open(dir); err == nil || !strings.Contains(err.Error(), c[1]) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", what, err, c[1])
		}
	}
}
