package lm

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/nn/cpu"
)

// programs makes draws for pools and decodes them: for one pool, or for several in one run. What a pool gets does not depend
// on the others by a bit. Programs are compiled when they are first needed, and kept.
type programs struct {
	engine   *cpu.Engine
	model    *Model
	drawers  map[drawerSize]*drawer
	decoders [2][]*rowDecoder // for few rows a pool, and for many; by thinSizes and wideSizes
	work     Work

	// Of a run:
	pools []*Pool
	rows  [2][]poolRow // by kind: thin, wide
}

// drawerSize says how many draws a program makes for each of how many pools.
type drawerSize struct{ pools, draws int }

// poolRow is a row of a pool.
type poolRow struct {
	pool *Pool
	row
}

// Work counts what pools did since they were made, without compiling their programs.
type Work struct {
	Draws  int     // number of latent vectors drawn
	Tokens int     // number of tokens decoded from them
	Bytes  float64 // bytes of weights read

	Head     time.Duration // time to draw noise and latent vectors
	PerPatch time.Duration // time in the part of the decoder that runs once a draw
	PerToken time.Duration // time in the part of the decoder that runs once a token, with the product with the vocabulary
}

func newPrograms(e *cpu.Engine, m *Model) *programs {
	return &programs{engine: e, model: m, drawers: map[drawerSize]*drawer{},
		decoders: [2][]*rowDecoder{make([]*rowDecoder, len(thinSizes)), make([]*rowDecoder, len(wideSizes))}}
}

// keep drops programs that nobody uses now: those whose number of draws at once is not one of usualSizes.
func (s *programs) keep(used func(draws int) bool) {
	maps.DeleteFunc(s.drawers, func(size drawerSize, _ *drawer) bool {
		return !slices.Contains(usualSizes, size.draws) && !used(size.draws)
	})
}

// run makes the draws that pools want, and decodes the rows they need.
func (s *programs) run(pools []*Pool) error {
	s.pools = s.pools[:0]
	for _, p := range pools {
		if p.wanted > 0 {
			s.pools = append(s.pools, p)
		}
	}
	slices.SortStableFunc(s.pools, func(a, b *Pool) int { return a.wanted - b.wanted })
	for wanting := s.pools; len(wanting) > 0; {
		n := 1
		for n < len(wanting) && wanting[n].wanted == wanting[0].wanted {
			n++
		}
		made, err := s.draw(wanting[:n])
		if err != nil {
			return err
		}
		wanting = wanting[made:]
	}
	return s.decode(pools)
}

// maxRows bounds the draws that one run makes for several pools, and with them the memory that it takes.
const maxRows = 1024

// draw makes the draws that the first of some pools want, which want equally many. It returns how many pools these are.
func (s *programs) draw(pools []*Pool) (int, error) {
	size := drawerSize{1, pools[0].wanted}
	for size.pools < len(pools) && 2*size.pools <= generate.MaxStreams && 2*size.pools*size.draws <= maxRows {
		if size.draws > rowsOfReading && 2*size.pools > len(pools) {
			break // rather another run than many draws for nothing
		}
		size.pools *= 2
	}
	d := s.drawers[size]
	if d == nil {
		d = s.newDrawer(size)
		s.drawers[size] = d
	}
	pools = pools[:min(size.pools, len(pools))]
	start := time.Now()
	latents, err := d.draw(pools)
	if _, some := errors.AsType[*head.DivergedError](err); err != nil && !some {
		return 0, err
	}
	drawn := time.Now()
	if err := d.decode(latents); err != nil {
		return 0, err
	}
	s.work.Draws += len(pools) * size.draws
	s.work.Head += drawn.Sub(start)
	s.work.PerPatch += time.Since(drawn)
	s.work.Bytes += d.bytes
	for i, p := range pools {
		p.add(d, i, err)
	}
	return len(pools), nil
}

// decode decodes the rows that pools need.
func (s *programs) decode(pools []*Pool) error {
	for i := range s.rows {
		s.rows[i] = s.rows[i][:0]
	}
	for _, p := range pools {
		kind := kindOfRows(len(p.rows))
		for _, r := range p.rows {
			s.rows[kind] = append(s.rows[kind], poolRow{p, r})
		}
	}
	for kind, rows := range s.rows {
		s.work.Tokens += len(rows)
		for len(rows) > 0 {
			n, err := s.decodeRows(kind, rows)
			if err != nil {
				return err
			}
			rows = rows[n:]
		}
	}
	for _, p := range pools {
		p.decoded()
	}
	return nil
}

// decodeRows decodes the first rows of a kind, and returns how many.
func (s *programs) decodeRows(kind int, rows []poolRow) (int, error) {
	d := s.decoder(kind, len(rows))
	start := time.Now()
	in, width := d.program.Floats(d.in), d.in.Cols()
	n := min(d.in.Dim(0), len(rows))
	for i, r := range rows[:n] {
		copy(in[i*width:(i+1)*width], r.pool.input(r.row))
	}
	if err := d.program.Forward(); err != nil { // of rows beyond n too, which hold what was there before
		return 0, err
	}
	ids := d.program.Ints(d.ids)
	for i, r := range rows[:n] {
		r.pool.tokens[r.draw*r.pool.patch+r.k] = ids[i]
	}
	s.work.Bytes += d.bytes
	s.work.PerToken += time.Since(start)
	return n, nil
}
