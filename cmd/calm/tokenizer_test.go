package main

import (
	"strings"
	"testing"
)

// TestDecode checks the formats of ids that tokenizer decode accepts.
func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		"67 97 108 108": "Call", "67,97,108,108": "Call", "67, 97,108 ,\n108\n": "Call", "[67, 97, 108, 108]\n": "Call", "67\n97\t108\r\n108\n": "Call",
		"": "", " \n": "", "[]": "",
	} {
		if got := calmWith(in, "tokenizer", "decode"); got.status != exitDone || got.out != want {
			t.Errorf("%q: want %q: %v", in, want, got)
		}
	}
	encoded := calmWith("It was the whale.", "tokenizer", "encode").out
	if got := calmWith(encoded, "tokenizer", "decode"); got.out != "It was the whale." {
		t.Errorf("%q became %v", encoded, got)
	}
	for in, want := range map[string]string{
		"67,,97": "comma", "67,": "comma", ",": "comma", "[67 97": "]", "67 97]": `"97]"`, "67;97": `"67;97"`, "1e1": `"1e1"`, "99999999999": `"99999999999"`,
		"-1": "-1", "259": "259", strings.Repeat("x", 1000): `xxx"`,
	} {
		got := calmWith(in, "tokenizer", "decode")
		if got.status != exitUsage {
			t.Errorf("%q: want status 2: %v", in, got)
		}
		checkSentence(t, got, want)
	}
}
