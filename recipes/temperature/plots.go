package main

import (
	"fmt"
	"image/color"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/calm-go/calm"
)

// plots draws an SVG for each language model: the judge's cross entropy over the entropy of the texts, one line for each
// sampler, a point for each temperature.
func plots(all []measured, dir string) error {
	for _, m := range all {
		if m.Kind == "ar" {
			continue
		}
		lines := m.curves()
		for _, other := range all {
			if other.Kind == "ar" && other.vocabulary == m.vocabulary {
				lines = append(lines, other.curves()...)
			}
		}
		if err := draws(m, lines, all, filepath.Join(dir, m.name()+".svg")); err != nil {
			return fmt.Errorf("the plot of %s: %w", m.name(), err)
		}
	}
	return nil
}

func draws(m measured, lines []curve, all []measured, file string) error {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s, K = %d, %s head", m.vocabulary, m.PatchSize, m.ModelType)
	p.X.Label.Text, p.Y.Label.Text = "diversity: entropy of 4-grams of bytes, bits", "cross entropy under the judge, bits a byte"
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	for _, c := range lines {
		var xy plotter.XYs
		for _, r := range c.results {
			xy = append(xy, plotter.XY{X: r.Entropy, Y: r.Bits[m.vocabulary]})
		}
		line, points, err := plotter.NewLinePoints(xy)
		if err != nil {
			return err
		}
		line.Color, line.Dashes = look(c)
		line.Width = vg.Points(1.3)
		points.Color, points.Shape, points.Radius = line.Color, draw.CircleGlyph{}, vg.Points(2)
		p.Add(line, points)
		p.Legend.Add(c.label(), line)
	}
	if book, ok := bookOf(all); ok {
		point, err := plotter.NewScatter(plotter.XYs{{X: book.Entropy, Y: book.Bits[m.vocabulary]}})
		if err != nil {
			return err
		}
		point.Color, point.Shape, point.Radius = color.Black, draw.CrossGlyph{}, vg.Points(5)
		p.Add(point)
		p.Legend.Add("the book", point)
	}
	return p.Save(7*vg.Inch, 5*vg.Inch, file)
}

// look gives each sampler a colour, which is darker for more draws. Batch is dashed, and less noise dotted.
func look(c curve) (color.Color, []vg.Length) {
	shade := map[int]uint8{16: 0xd0, 32: 0xa0, 64: 0x60, 50: 0xa0, 200: 0}[c.Draws]
	switch {
	case c.Sampler == "":
		return color.Gray{0x80}, nil
	case c.NoiseScale != 1:
		return color.RGBA{0, 0x90, 0x30, 0xff}, []vg.Length{vg.Points(1), vg.Points(2)}
	case c.Sampler == string(calm.Batch):
		return color.RGBA{0xe0, shade, 0, 0xff}, []vg.Length{vg.Points(5), vg.Points(3)}
	}
	return color.RGBA{shade, shade, 0xff, 0xff}, nil
}
