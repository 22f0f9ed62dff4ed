package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

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
		fmt.Fprintf(&b, `    {"id": %d, "content": %s, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": %t}`,
			a.id, quote(a.content), a.special)
	}
	b.WriteString("\n  ],\n  \"normalizer\": null,\n  \"pre_tokenizer\": " + t.split.json())
	b.WriteString(",\n  \"post_processor\": " + t.postProcessor())
	b.WriteString(",\n  \"decoder\": " + byteLevelJSON(true))
	b.WriteString(",\n  \"model\": {\n    \"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null,\n")
	fmt.Fprintf(&b, "    \"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": %t,\n    \"vocab\": {", t.whole != nil)
	t.writeVocab(&b)
	b.WriteString("\n    },\n    \"merges\": [")
	var scratch []byte
	for i, m := range t.merges {
		b.WriteString(comma(i))
		b.WriteString("      ")
		// Merges are written as "left right", since versions of tokenizers before
		// 0.20 cannot read pairs. The byte-level alphabet has no space.
		scratch = appendByteLevel(scratch[:0], t.bytes(m.left))
		scratch = append(scratch, ' ')
		scratch = appendByteLevel(scratch, t.bytes(m.right))
		b.Write(appendQuoted(nil, scratch))
	}
	b.WriteString("\n    ]\n  }\n}\n")
	return b.Bytes()
}

func (t *Tokenizer) writeVocab(b *bytes.Buffer) {
	var scratch []byte
	n := 0
	for id, kind := range t.kind {
		if kind != kindText {
			continue
		}
		b.WriteString(comma(n))
		b.WriteString("      ")
		n++
		scratch = appendByteLevel(scratch[:0], t.bytes(int32(id)))
		b.Write(appendQuoted(nil, scratch))
		b.WriteString(": ")
		b.WriteString(strconv.Itoa(id))
	}
}

// comma returns what is written before element i of a list.
func comma(i int) string {
	if i == 0 {
		return "\n"
	}
	return ",\n"
}

// appendQuoted appends s as a JSON string. s must be in the byte-level alphabet.
func appendQuoted(dst, s []byte) []byte {
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

func (s split) json() string {
	switch s {
	case splitNone:
		return byteLevelJSON(false)
	case splitGPT2:
		return byteLevelJSON(true)
	}
	return `{"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex": ` + quote(patterns[s]) + `}, "behavior": "Isolated", "invert": false},
    ` + byteLevelJSON(false) + "\n  ]}"
}

// postProcessor returns the post-processor of the file. It makes other readers
// begin every document with BOS, as the reference does. [Load] ignores it.
func (t *Tokenizer) postProcessor() string {
	if !t.template || t.bos == None {
		return "null"
	}
	bos := quote(string(t.bytes(t.bos)))
	token := func(typeID int) string {
		return fmt.Sprintf(`{"SpecialToken": {"id": %s, "type_id": %d}}`, bos, typeID)
	}
	return `{"type": "TemplateProcessing",
    "single": [` + token(0) + `, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [` + token(0) + `, {"Sequence": {"id": "A", "type_id": 0}}, ` + token(1) + `, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {` + fmt.Sprintf(`%s: {"id": %s, "ids": [%d], "tokens": [%s]}`, bos, bos, t.bos, bos) + `}
  }`
}
