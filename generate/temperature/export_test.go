package temperature

// Patches returns the candidates, one after another.
func (c *Candidates) Patches() []int32 { return c.patches }

// Inverse returns n of the temperature 1/n.
func (b *Batch) Inverse() int { return b.n }
