package backbone

// Reserve is reserve, for tests that compare contexts that grow with contexts that do not.
func (s *Session) Reserve(positions int) { s.reserve(positions) }
