package lm_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
)

func TestFill(t *testing.T) {
	tr := tiny(func(c *lm.Config) { c.TokenLossWeight = 1 }).Training(2, 12)
	ids := []int32{
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
		21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
	}
	labels := slices.Clone(ids)
	for _, i := range []int{0, 1, 2, 16, 17, 18, 19} { // in a row's first patch it has no effect
		labels[i] = lm.Ignored
	}
	m := testkit.NewValues()
	if err := tr.Fill(m, ids, labels); err != nil {
		t.Fatal(err)
	}
	equal(t, "inputs", m.Ints(tr.Inputs), []int32{1, 2, 3, 4, 5, 6, 7, 8, 21, 22, 23, 24, 25, 26, 27, 28})
	equal(t, "targets", m.Ints(tr.Targets), []int32{5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 0, 29, 30, 31, 32})
	equal(t, "weight", m.Floats(tr.Weight), []float32{1, 1, 0, 1})
	for k, label := range tr.Labels {
		n := int32(k)
		equal(t, "labels", m.Ints(label), []int32{5 + n, 9 + n, lm.Ignored, 29 + n})
	}
	if n := testing.AllocsPerRun(10, func() { _ = tr.Fill(m, ids, labels) }); n != 0 {
		t.Errorf("Fill allocates %v times", n)
	}
	if err := tr.Fill(m, ids, nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "weight", m.Floats(tr.Weight), []float32{1, 1, 1, 1})
}

func TestFillRefuses(t *testing.T) {
	tr := tiny(nil).Training(2, 12)
	ids := make([]int32, 24)
	part := slices.Clone(ids)
	part[17] = lm.Ignored
	for want, err := range map[string]error{
		"row 1, patch 1: 1 of 4 labels are -100": tr.Fill(testkit.NewValues(), ids, part),
		"23 ids":                                 tr.Fill(testkit.NewValues(), ids[1:], nil),
		"3 labels":                               tr.Fill(testkit.NewValues(), ids, part[:3]),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func equal[T comparable](t *testing.T, name string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", name, got, want)
	}
}
