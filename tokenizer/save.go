package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/calm-go/calm/internal/atomicfile"
)

// Save writes t as a Hugging Face tokenizer.json, which [Load] and Hugging Face's
// tokenizers library read. The same tokenizer gives the same bytes. The file
// appears at path only when it is complete.
func (t *Tokenizer) Save(path string) error {
	err := atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(t.JSON())
		return err
	})
	if err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	return nil
}

// JSON returns the bytes that [Tokenizer.Save] writes.
func (t *Tokenizer) JSON() []byte {
	var b bytes.Buffer
	b.WriteString("{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [")
	for i, a := range t.added {
		b.WriteString(comma(i))
		fmt.Fprintf(&b, `    {"id": %d, "content": %s, "single_word": %t, "lstrip": %t, "rstrip": %t, "normalized": %t, "special": %t}`,
			a.id, quote(a.content), a.singleWord, a.lstrip, a.rstrip, a.normalized, a.special)
	}
	f := t.file
	b.WriteString("\n  ],\n  \"normalizer\": " + cmp.Or(f.normalizer, "null"))
	b.WriteString(",\n  \"pre_tokenizer\": " + t.preTokenizer())
	b.WriteString(",\n  \"post_processor\": " + t.postProcessor())
	b.WriteString(",\n  \"decoder\": " + cmp.Or(f.decoder, byteLevelJSON(true)))
	fmt.Fprintf(&b, ",\n  \"model\": {\n    \"type\": \"BPE\", \"dropout\": null, \"unk_token\": %s, \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null,\n", cmp.Or(f.unk, "null"))
	fmt.Fprintf(&b, "    \"fuse_unk\": %s, \"byte_fallback\": %s, \"ignore_merges\": %t,\n    \"vocab\": {", cmp.Or(f.fuseUnk, "false"), cmp.Or(f.byteFallback, "false"), t.whole)
	t.writeVocab(&b)
	b.WriteString("\n    },\n    \"merges\": [")
	var scratch []byte
	for i, m := range t.merges {
		b.WriteString(comma(i))
		b.WriteString("      ")
		// Merges are written as "left right", since versions of tokenizers before
		// 0.20 cannot read pairs. The byte-level alphabet has no space.
		scratch = t.appendKey(scratch[:0], m.left)
		scratch = append(scratch, ' ')
		scratch = t.appendKey(scratch, m.right)
		b.Write(appendQuoted(nil, scratch))
	}
	b.WriteString("\n    ]\n  }\n}\n")
	return b.Bytes()
}

// writeVocab writes the vocabulary by id: the tokens that merging makes, and the
// added tokens that the file listed there. Hugging Face's library numbers those that
// are not there; if that gives another id, all are written.
func (t *Tokenizer) writeVocab(b *bytes.Buffer) {
	listed := make([]string, len(t.kind)) // keys of added tokens
	all := false
	for i, id := range numbers(t.added, t.listed()) {
		all = all || t.added[i].id != id
	}
	for _, a := range t.added {
		if a.inVocab || all {
			listed[a.id] = a.content
		}
	}
	var scratch []byte
	n := 0
	for id := range t.kind {
		if !t.made(int32(id)) && listed[id] == "" {
			continue
		}
		b.WriteString(comma(n))
		b.WriteString("      ")
		n++
		if listed[id] != "" {
			b.WriteString(quote(listed[id]))
		} else {
			scratch = t.appendKey(scratch[:0], int32(id))
			b.Write(appendQuoted(nil, scratch))
		}
		b.WriteString(": ")
		b.WriteString(strconv.Itoa(id))
	}
}

// listed returns the number of tokens of the file's vocabulary.
func (s *spec) listed() (n int) {
	for _, token := range s.tokens {
		if token != nil {
			n++
		}
	}
	for _, a := range s.added {
		if a.inVocab && !s.made(a.id) {
			n++
		}
	}
	return n
}

// made reports whether merging makes a token.
func (s *spec) made(id int32) bool { return int(id) < len(s.tokens) && s.tokens[id] != nil }

// appendKey appends a token that merging makes, as the vocabulary writes it.
func (t *Tokenizer) appendKey(dst []byte, id int32) []byte {
	if t.pieces {
		return append(dst, t.tokens[id]...)
	}
	return appendByteLevel(dst, t.tokens[id])
}

// comma returns what is written before element i of a list.
func comma(i int) string {
	if i == 0 {
		return "\n"
	}
	return ",\n"
}

// appendQuoted appends s as a JSON string.
func appendQuoted(dst, s []byte) []byte {
	if bytes.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '\u2028' || r == '\u2029' || r == utf8.RuneError }) {
		return append(dst, quote(string(s))...) // not in the byte-level alphabet
	}
	dst = append(dst, '"')
	for _, c := range s {
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// quote returns any string as a JSON string.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // strings always encode
	return string(bytes.TrimSpace(b.Bytes()))
}

func byteLevelJSON(useRegex bool) string {
	return fmt.Sprintf(`{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": %t}`, useRegex)
}

// preTokenizer returns the pre-tokenizer of the file.
func (t *Tokenizer) preTokenizer() string {
	switch s := t.stages[0].split; {
	case t.file.preTokenizer != "":
		return t.file.preTokenizer
	case t.pieces:
		return "null"
	case patterns[s] == nil || len(t.stages) == 1:
		return byteLevelJSON(s == splitGPT2)
	default:
		return `{"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex": ` + quote(patterns[s][0]) + `}, "behavior": "Isolated", "invert": false},
    ` + byteLevelJSON(false) + "\n  ]}"
	}
}

// postProcessor returns the post-processor of the file. That of calm's own tokenizers
// makes other readers begin every document with BOS, as the reference does.
func (t *Tokenizer) postProcessor() string {
	if t.own {
		return t.bosTemplate()
	}
	return cmp.Or(t.file.postProcessor, "null")
}
