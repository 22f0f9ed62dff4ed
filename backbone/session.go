package backbone

import (
	"fmt"

	"github.com/calm-go/calm/nn/cpu"
)

// Session holds B contexts of one length, and appends to all of them: Slots that keep step. A Session is not safe for
// concurrent use: one program of an engine runs at a time.
type Session struct {
	slots  *Slots
	rows   int
	hidden []float32 // [rows, D]
}

// NewSession makes empty contexts for that many rows, of at most capacity positions each. A position is width tokens.
func (m *Model) NewSession(e *cpu.Engine, embed Embed, rows, width, capacity int) *Session {
	return &Session{slots: m.NewSlots(e, embed, rows, width, capacity), rows: rows, hidden: make([]float32, rows*m.Config.HiddenSize)}
}

// Rows returns the number of contexts.
func (s *Session) Rows() int { return s.rows }

// Len returns the number of positions in each context.
func (s *Session) Len() int { return s.slots.Len(0) }

// Capacity returns the number of positions a context may have.
func (s *Session) Capacity() int { return s.slots.Capacity() }

// Hidden returns the hidden states [B, D] of the positions appended last. The memory is the session's and changes with
// the next Append.
func (s *Session) Hidden() []float32 { return s.hidden }

// Truncate cuts the contexts to their first n positions. Hidden is not valid until the next Append.
func (s *Session) Truncate(n int) {
	for b := range s.rows {
		s.slots.Truncate(b, n)
	}
}

// Append adds the same number of positions to every context: ids [B, n, width], n at least 1. After an error (ErrFull,
// or an id outside the vocabulary) the session is unchanged. Appending a single position does not allocate if it has
// memory already.
func (s *Session) Append(ids []int32) error {
	each, length := len(ids)/s.rows, s.Len()
	if each*s.rows != len(ids) {
		return fmt.Errorf("append %d ids to %d contexts of %d tokens a position: want a multiple of %d",
			len(ids), s.rows, s.slots.width, s.rows*s.slots.width)
	}
	for b := range s.rows {
		if err := s.slots.Append(b, ids[b*each:(b+1)*each]); err != nil {
			for done := range b {
				s.slots.Truncate(done, length)
			}
			return err
		}
	}
	d := len(s.hidden) / s.rows
	for b := range s.rows {
		copy(s.hidden[b*d:(b+1)*d], s.slots.Hidden(b))
	}
	return nil
}
