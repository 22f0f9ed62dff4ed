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
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
)

// Names of the autoencoder's embedding table, which the reference saves twice.
const (
	aeTable = "encoder.embed_tokens.weight"
	aeHead  = "decoder.lm_head_weight"
)

// names lists the reference's names for one of calm's tensors, calm's name first. An imported file may have one or several of
// them. An exported file needs all of them: the reference initialises a tensor again if one of its names is missing.
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

// formats has the reference's names of the number formats of weights.
var formats = map[checkpoint.DType]string{checkpoint.F32: "float32", checkpoint.BF16: "bfloat16", checkpoint.F16: "float16"}

// account finds every parameter among the tensors of a checkpoint, and checks that there are no other tensors. Its error lists
// tensors that do not fit. Notes list the tensors that are ignored.
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
		case strings.HasSuffix(name, ".rotary_emb.inv_freq"): // written by older versions of transformers
			notes = append(notes, fmt.Sprintf("%s is ignored: it follows from rope_theta", name))
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
		return nil, nil, fmt.Errorf("%s not fit the model:\n  %s", what, lines(problems))
	}
	return found, notes, nil
}

// lines joins the lines of a list that may be very long.
func lines(list []string) string {
	return strings.Join(plural.Lines(list, strings.Clone), "\n  ")
}

// find finds one parameter under any of its names, and adds these names to used. It returns what is wrong with the tensors found.
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
			problem("wrong shape: %s is %v, want %v", name, s.Shape, p.Shape)
		case formats[s.DType] == "":
			problem("wrong type: %s is %s, want float32, bfloat16 or float16", name, s.DType)
		case first == nil:
			first, found = &s, s.Stream
			found.Name = p.Name
		default:
			same, err := equal(ctx, *first, s)
			if err != nil {
				return found, nil, err
			}
			if !same {
				problem("contradiction: %s and %s are the same tensor of the model, but differ", first.Name, name)
			}
		}
	}
	if missing {
		problem("missing: %s %v", strings.Join(names(p.Name), " or "), p.Shape)
	}
	return found, problems, nil
}

// equal reports whether two tensors of the same shape have the same format and values.
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

// cancelled returns the tensor s, whose reading ends with ctx.
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
