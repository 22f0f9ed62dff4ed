// Package filetype recognises, by their first bytes, files that do not have the expected format: downloads that failed, and
// weights in other formats.
package filetype

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// HeadBytes is the number of bytes at the beginning of a file that Mistaken uses.
const HeadBytes = 512

// Formats that a caller of Mistaken may expect.
const (
	Safetensors = "safetensors"
	Torch       = "torch" // a zip archive of torch.save
	Text        = "text"  // JSON and the like
)

// lfs is the beginning of a Git LFS pointer, https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
const lfs = "version https://git-lfs.github.com/spec/"

// magics lists formats by their first bytes, with a description of such a file and advice.
var magics = []struct{ magic, is, do, format string }{
	{"PK\x03\x04", "it is a zip archive, as torch.save writes", "give it a name that ends in .bin, as in pytorch_model.bin", Torch},
	{"\x80\x02", "it is a Python pickle, no zip archive as torch.save has written since version 1.6", "load it in Python and save it again", ""},
	{"\x1f\x8b", "it is compressed (gzip)", "unpack it with gunzip", ""},
	{"\x28\xb5\x2f\xfd", "it is compressed (zstd)", "unpack it with unzstd", ""},
	{"BZh", "it is compressed (bzip2)", "unpack it with bunzip2", ""},
	{"\xfd7zXZ\x00", "it is compressed (xz)", "unpack it with unxz", ""},
	{"GGUF", "it is a file of llama.cpp (GGUF), not a safetensors file", "bring the model's safetensors", ""},
	{"\x89HDF\r\n\x1a\n", "it is a file of Keras (HDF5), not a safetensors file", "bring the model's safetensors", ""},
}

// Mistaken returns what a file is and what to do about it, if its first bytes (head) show that it does not have the format
// wanted. Otherwise it returns "". size is the size of the file in bytes.
func Mistaken(head []byte, size int64, wanted string) string {
	head = head[:min(len(head), HeadBytes)]
	start := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"))
	switch {
	case bytes.HasPrefix(head, []byte(lfs)):
		return "it is a pointer of Git LFS, not the file itself: run git lfs pull where it was cloned, or download the file"
	case bytes.HasPrefix(start, []byte("<!doctype")), bytes.HasPrefix(start, []byte("<html")), bytes.HasPrefix(start, []byte("<?xml")):
		return "it is a web page, perhaps one that asks for a login or reports an error: download the file again"
	}
	for _, m := range magics {
		if m.format != wanted && bytes.HasPrefix(head, []byte(m.magic)) {
			return m.is + ": " + m.do
		}
	}
	if wanted != Safetensors && isSafetensors(head, size) {
		if wanted == Torch {
			return "it is a safetensors file: give it a name that ends in .safetensors, as in model.safetensors"
		}
		return "it is a safetensors file"
	}
	if text, ok := text(head, size); ok && wanted != Text {
		return fmt.Sprintf("it is text, which begins with %q: download the file again", text)
	}
	return ""
}

// UTF16 reports whether a text that begins with head is UTF-16: it has a byte order mark, or many zero bytes, all of them at
// even or all at odd places, as Latin letters have.
func UTF16(head []byte) bool {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return true
	}
	var zeros [2]int
	for i, c := range head {
		if c == 0 {
			zeros[i%2]++
		}
	}
	few, many := min(zeros[0], zeros[1]), max(zeros[0], zeros[1])
	return few == 0 && many >= 4 && many > len(head)/4
}

// isSafetensors reports whether a file begins with a possible length of a header, followed by a brace.
func isSafetensors(head []byte, size int64) bool {
	if len(head) < 9 || head[8] != '{' {
		return false
	}
	n := binary.LittleEndian.Uint64(head)
	return n >= 2 && size >= 8 && n <= uint64(size-8)
}

// text returns the beginning of the first line of a file that looks like text.
func text(head []byte, size int64) (string, bool) {
	if int64(len(head)) < size { // the last character may be incomplete
		for n := 0; n < utf8.UTFMax && !utf8.Valid(head); n++ {
			head = head[:max(0, len(head)-1)]
		}
	}
	if len(head) < 8 && int64(len(head)) < size || len(bytes.TrimSpace(head)) == 0 || !utf8.Valid(head) {
		return "", false
	}
	for _, c := range string(head) {
		if !unicode.IsPrint(c) && !strings.ContainsRune("\t\r\n", c) {
			return "", false
		}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(head)), "\n")
	if words := []rune(line); len(words) > 40 {
		line = string(words[:40])
	}
	return line, true
}
