package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// curves draws an SVG for each patch size and head: BrierLM over the share of the training time, with one line for each weight
// and end of the token loss.
func curves(groups []group, dir string) error {
	type panel struct {
		k    int
		head string
	}
	panels := map[panel][]group{}
	for _, g := range groups {
		if g.others() == "" && len(g.runs[0].curve) > 1 {
			p := panel{g.PatchSize, g.ModelType}
			panels[p] = append(panels[p], g)
		}
	}
	for p, list := range panels {
		name := fmt.Sprintf("k%d-%s", p.k, p.head)
		if err := draw(list, fmt.Sprintf("K = %d, %s head", p.k, p.head), filepath.Join(dir, name+".svg")); err != nil {
			return fmt.Errorf("the curves of %s: %w", name, err)
		}
	}
	return nil
}

func draw(groups []group, title, file string) error {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text, p.Y.Label.Text = "share of the time", "BrierLM"
	p.Y.Min, p.X.Min = 0, 0
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(a.TokenLossWeight, b.TokenLossWeight), cmp.Compare(b.TokenLossUntil, a.TokenLossUntil))
	})
	colours := map[float64]int{}
	for _, g := range groups {
		if _, ok := colours[g.TokenLossWeight]; !ok {
			colours[g.TokenLossWeight] = len(colours)
		}
		line, err := plotter.NewLine(g.points())
		if err != nil {
			return err
		}
		label := fmt.Sprintf("token loss %g", g.TokenLossWeight)
		line.Color, line.Width = plotutil.Color(colours[g.TokenLossWeight]), vg.Points(1.5)
		if g.TokenLossWeight > 0 && g.TokenLossUntil < 1 {
			label += fmt.Sprintf(", off after %.0f %%", 100*g.TokenLossUntil)
			line.Dashes = plotutil.Dashes(2)
		}
		p.Add(line)
		p.Legend.Add(label, line)
	}
	return p.Save(6*vg.Inch, 4*vg.Inch, file)
}

// points returns the mean curve of the seeds. All runs of a group are measured after the same steps.
func (g group) points() plotter.XYs {
	n := len(g.runs[0].curve)
	for _, r := range g.runs {
		n = min(n, len(r.curve))
	}
	xy := plotter.XYs{{}}
	for i := range n {
		at := g.runs[0].curve[i].Step
		xy = append(xy, plotter.XY{
			X: float64(at) / float64(g.runs[0].MaxSteps),
			Y: g.mean(func(r trained) float64 { return r.curve[i].BrierLM }),
		})
	}
	return xy
}
