package interchange

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
)

// Names under which the reference keeps the autoencoder's table twice.
const (
	aeTable = "encoder.embed_tokens.weight"
	aeHead  = "decoder.lm_head_weight"
)

// names lists the names that the reference has for a tensor of calm's, calm's first. A file that was imported may have
// one or several; an exported one needs all: where the reference has two it takes what it finds under one for missing
// under the other, and draws it anew.
func names(name string) []string {
	list := []string{name}
	for _, k := range head.Kinds() {
		if rest, ok := strings.CutPrefix(name, k.Prefix); ok && k.Reference.Alias != "" {
			list = append(list, k.Reference.Alias+rest)
		}
	}
	if name == aeTable || name == lm.AEPrefix+aeTable {
		list = append(list, strings.TrimSuffix(name, aeTable)+aeHead)
	}
	return list
}

// formats are the number formats of weights, by the reference's names.
var formats = map[checkpoint.DType]string{checkpoint.F32: "float32", checkpoint.BF16: "bfloat16", checkpoint.F16: "float16"}

// account finds every parameter among the tensors of a checkpoint and makes sure that nothing else is there. Its error
// lists all that does not fit. Notes say what was left out on purpose.
func account(ctx context.Context, params []*nn.Param, have map[string]source) (found []checkpoint.Stream, notes []string, err error) {
	var problems []string
	used := map[string]bool{}
	for _, p := range params {
		s, wrong, err := find(ctx, p, have, used)
		if err != nil {
			return nil, nil, err
		}
		found, problems = append(found, s), append(problems, wrong...)
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		switch {
		case used[name]:
		case strings.HasSuffix(name, ".rotary_emb.inv_freq"): // of older versions of transformers, computed from rope_theta
			notes = append(notes, fmt.Sprintf("%s is left out: it follows from rope_theta", name))
		default:
			problems = append(problems, fmt.Sprintf("surplus: %s %v", name, have[name].Shape))
		}
	}
	if len(problems) > 0 {
		slices.Sort(problems)
		what := "1 tensor does"
		if n := len(problems); n > 1 {
			what = fmt.Sprintf("%d tensors do", n)
		}
		return nil, nil, fmt.Errorf("%s not fit the model:\n  %s", what, strings.Join(problems, "\n  "))
	}
	return found, notes, nil
}

// find finds one parameter under its names, which it adds to used, and says what is wrong with what is there.
func find(ctx context.Context, p *nn.Param, have map[string]source, used map[string]bool) (found checkpoint.Stream, problems []string, err error) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	var first *source
	missing := true
	for _, name := range names(p.Name) {
		s, ok := have[name]
		if !ok {
			continue
		}
		used[name], missing = true, false
		switch {
		case !slices.Equal(s.Shape, p.Shape):
			problem("misshapen: %s is %v, want %v", name, s.Shape, p.Shape)
		case formats[s.DType] == "":
			problem("of another type: %s is %s, want float32, bfloat16 or float16", name, s.DType)
		case first == nil:
			first, found = &s, s.Stream
			found.Name = p.Name
		default:
			same, err := equal(ctx, *first, s)
			if err != nil {
				return found, nil, err
			}
			if !same {
				problem("contradicting: %s and %s are one tensor of the model, and differ", first.Name, name)
			}
		}
	}
	if missing {
		problem("missing: %s %v", strings.Join(names(p.Name), " or "), p.Shape)
	}
	return found, problems, nil
}

// equal compares two tensors of the same shape.
func equal(ctx context.Context, a, b source) (bool, error) {
	if a.DType != b.DType {
		return false, nil
	}
	if a.storage != "" && a.storage == b.storage {
		return true, nil
	}
	var sums [2][sha256.Size]byte
	for i, s := range []source{a, b} {
		h := sha256.New()
		err := cancelled(ctx, s.Stream).Each(func(p []byte) error {
			h.Write(p)
			return nil
		})
		if err != nil {
			return false, err
		}
		h.Sum(sums[i][:0])
	}
	return sums[0] == sums[1], nil
}

// cancelled is a tensor whose reading ends with ctx.
func cancelled(ctx context.Context, s checkpoint.Stream) checkpoint.Stream {
	each := s.Each
	s.Each = func(use func([]byte) error) error {
		return each(func(p []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return use(p)
		})
	}
	return s
}
