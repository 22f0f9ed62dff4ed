package filetype_test

import (
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/filetype"
)

const (
	pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
	good    = "\x02\x00\x00\x00\x00\x00\x00\x00{}"
)

func TestMistaken(t *testing.T) {
	for name, c := range map[string]struct {
		content                  string
		safetensors, torch, text string // words of the result when each is wanted; "" for an empty result
	}{
		"lfs pointer":      {pointer, "git lfs pull", "git lfs pull", "git lfs pull"},
		"web page":         {"<!DOCTYPE html>\n<html><head><title>Login", "web page", "web page", "web page"},
		"web page, spaces": {"\xef\xbb\xbf\r\n  <HTML lang=en>", "web page", "web page", "web page"},
		"error in xml":     {"<?xml version='1.0'?><Error><Code>AccessDenied", "web page", "web page", "web page"},
		"error in json":    {`{"error":"Repository not found"}`, "Repository not found", "Repository not found", ""},
		"error in words":   {"Entry not found", "Entry not found", "Entry not found", ""},
		"words, cut":       {strings.Repeat("Zugriff verweigert: ä", 100), "Zugriff", "Zugriff", ""},
		"zip":              {"PK\x03\x04\x00\x00", "pytorch_model.bin", "", "zip archive"},
		"pickle":           {"\x80\x02}q\x00", "pickle", "pickle", "pickle"},
		"gzip":             {"\x1f\x8b\x08\x00", "gunzip", "gunzip", "gunzip"},
		"zstd":             {"\x28\xb5\x2f\xfd\x00", "unzstd", "unzstd", "unzstd"},
		"xz":               {"\xfd7zXZ\x00\x00", "unxz", "unxz", "unxz"},
		"bzip2":            {"BZh91AY&SY\x00", "bunzip2", "bunzip2", "bunzip2"},
		"gguf":             {"GGUF\x03\x00\x00\x00", "llama.cpp", "llama.cpp", "llama.cpp"},
		"hdf5":             {"\x89HDF\r\n\x1a\n\x00", "Keras", "Keras", "Keras"},
		"safetensors":      {good, "", "model.safetensors", "safetensors file"},
		"long header":      {"\xff\x00\x00\x00\x00\x00\x00\x00{}", "", "", ""},
		"numbers":          {"\x00\x01\x02\xff\xfe\x80\x81\x00\x01", "", "", ""},
		"empty":            {"", "", "", ""},
		"spaces":           {" \n \n \n \n \n", "", "", ""},
		"broken letters":   {"abcdefghijkl\xff\xff\xff\xff\xffmnop", "", "", ""},
	} {
		for wanted, words := range map[string]string{filetype.Safetensors: c.safetensors, filetype.Torch: c.torch, filetype.Text: c.text} {
			head := []byte(c.content)
			got := filetype.Mistaken(head[:min(len(head), filetype.HeadBytes)], int64(len(head)), wanted)
			if (got == "") != (words == "") || !strings.Contains(got, words) || strings.Contains(got, "\n") {
				t.Errorf("%s where %s is wanted: %q, want %q", name, wanted, got, words)
			}
		}
	}
}

func FuzzMistaken(f *testing.F) {
	for _, s := range []string{pointer, good, "<html>", "PK\x03\x04", "text \xc3"} {
		f.Add([]byte(s), int64(len(s)))
	}
	f.Fuzz(func(t *testing.T, head []byte, size int64) {
		for _, wanted := range []string{filetype.Safetensors, filetype.Torch, filetype.Text} {
			if got := filetype.Mistaken(head, size, wanted); strings.ContainsAny(got, "\n\x00\x1b") || len(got) > 400 {
				t.Errorf("%q", got)
			}
		}
	})
}
