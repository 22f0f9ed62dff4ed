package backbone

// Reserve makes room for so many positions, for tests that compare contexts that grow with contexts that do not.
func (s *Session) Reserve(positions int) { s.slots.reserve(s.rows, positions) }

// Memory returns how many slots, and positions of each, have memory.
func (s *Slots) Memory() (slots, positions int) { return s.used, s.room }

// Parts returns the keys and values of each layer.
func (x *Saved) Parts() (keys, values [][]float32) { return x.keys, x.values }
