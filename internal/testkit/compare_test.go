package testkit

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// recorder keeps what a comparison reports.
type recorder struct {
	testing.TB
	messages []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}

func TestCompare(t *testing.T) {
	nan := float32(math.NaN())
	cases := []struct {
		name      string
		got, want []float32
		message   string // part of it; "" if all is well
	}{
		{"equal", []float32{1, -2}, []float32{1, -2}, ""},
		{"within", []float32{1, -100.0009}, []float32{1.0009, -100}, ""},
		{"beyond", []float32{1, -100}, []float32{1.0011, -100}, "at [0]: got 1, want 1.0011"},
		{"zero", []float32{9e-8, 0}, []float32{0, 0}, ""},
		{"not zero", []float32{0, 2e-7}, []float32{0, 0}, "at [1]"},
		{"NaN first", []float32{nan, 1}, []float32{1, 1}, "at [0]: got NaN"},
		{"NaN last", []float32{2, nan}, []float32{1, 1}, "got NaN"},
		{"infinite", []float32{float32(math.Inf(1))}, []float32{1}, "got +Inf"},
		{"shorter", []float32{1}, []float32{1, 1}, "has 1 values, want 2"},
	}
	for _, c := range cases {
		r := &recorder{}
		Compare(r, "tensor", c.got, c.want, 1e-5)
		text := strings.Join(r.messages, "\n")
		if (c.message == "") != (text == "") || !strings.Contains(text, c.message) {
			t.Errorf("%s: reports %q, want %q", c.name, text, c.message)
		}
	}
}

func TestCompareInts(t *testing.T) {
	for want, got := range map[string][]int32{"": {1, 2, 3}, "differs in 2 of 3; first at [1]": {1, 0, 0}, "has 1 values": {1}} {
		r := &recorder{}
		CompareInts(r, "tensor", got, []int32{1, 2, 3})
		text := strings.Join(r.messages, "\n")
		if (want == "") != (text == "") || !strings.Contains(text, want) {
			t.Errorf("%v: reports %q, want %q", got, text, want)
		}
	}
}
