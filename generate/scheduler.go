package generate

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// want says that a reader waits for a stream, or has left it. It starts a goroutine that writes, unless there is one.
func (g *Generator) want(s *stream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isClosed() {
		return
	}
	if s.next.Slot == noSlot && !s.queued && !s.over {
		s.queued = true
		g.waiting = append(g.waiting, s)
	}
	if !g.writing {
		g.writing = true
		go g.write()
	}
}

func (g *Generator) isClosed() bool {
	select {
	case <-g.closed:
		return true
	default:
		return false
	}
}

// Close ends all texts with ErrClosed, and waits until nothing is computed any more. Closing again does nothing.
func (g *Generator) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isClosed() {
		return
	}
	close(g.closed)
	for g.writing {
		g.idle.Wait()
	}
	for _, s := range g.slots {
		if s != nil {
			g.release(s)
		}
	}
	g.waiting = nil
}

// write writes round after round while readers want it.
func (g *Generator) write() {
	for g.round() {
	}
}

// round reads pieces of prompts, and writes a patch of every stream that wants one and has read its prompt. It reports whether
// there was anything to do.
func (g *Generator) round() bool {
	g.turn.Lock()
	defer g.turn.Unlock()
	if !g.assign() {
		return false
	}
	g.readers, g.toWrite = g.readers[:0], g.toWrite[:0]
	for _, s := range g.ready {
		if s.prepare() {
			g.readers = append(g.readers, s)
		}
	}
	g.readPieces()
	start := time.Now()
	g.readLast()
	for _, s := range g.ready {
		if !s.ended && len(s.unread) == 0 {
			g.toWrite = append(g.toWrite, &s.next)
		}
	}
	if len(g.toWrite) == 0 {
		return true
	}
	g.source.Write(g.toWrite)
	g.spent = time.Since(start)
	for _, s := range g.ready {
		if s.next.Done {
			s.give()
		}
	}
	return true
}

// Where several texts are written, a prompt is read in pieces of at most pieceAmong patches, so that the others do not wait long.
// It is also how many patches one run reads of several prompts: more would save nothing.
const pieceAmong = 64

// readPieces reads pieces of prompts in turn: one, and more as long as it takes less time than patches did last. So a long prompt
// does not stop the texts that are being written, and a short one is read at once.
func (g *Generator) readPieces() {
	for start := time.Now(); len(g.readers) > 0; {
		g.readPiece()
		if time.Since(start) >= g.spent {
			return
		}
	}
}

// readPiece reads a piece of the first reader's prompt, and pieces as long of others' in the same run.
func (g *Generator) readPiece() {
	longest := pieceAmong
	if len(g.ready) == 1 {
		longest = math.MaxInt
	}
	n := g.readers[0].piece(longest)
	together := 0
	for _, s := range g.readers {
		if s.piece(longest) == n {
			together++
		}
	}
	together = min(together, max(1, pieceAmong/n))
	together = 1 << (bits.Len(uint(together)) - 1) // a run of another number of slots computes rows for nothing
	var reading, rest []*stream
	for _, s := range g.readers {
		if len(reading) == together || s.piece(longest) != n {
			rest = append(rest, s)
		} else {
			reading = append(reading, s)
		}
	}
	g.read(reading, n)
	for _, s := range reading {
		if !s.ended && s.reads() {
			rest = append(rest, s)
		}
	}
	g.readers = rest
}

// readLast reads the last patch of every context that lacks no more, in one run.
func (g *Generator) readLast() {
	g.reading = g.reading[:0]
	for _, s := range g.ready {
		if !s.ended && len(s.unread) == g.shape.PatchSize {
			g.reading = append(g.reading, s)
		}
	}
	g.read(g.reading, 1)
}

// read reads n patches of each of some streams.
func (g *Generator) read(streams []*stream, n int) {
	if len(streams) == 0 {
		return
	}
	size := n * g.shape.PatchSize
	g.slotsRead, g.idsRead = g.slotsRead[:0], g.idsRead[:0]
	for _, s := range streams {
		g.slotsRead, g.idsRead = append(g.slotsRead, s.next.Slot), append(g.idsRead, s.unread[:size]...)
	}
	err := g.source.Read(g.slotsRead, g.idsRead)
	for _, s := range streams {
		if s.unread = s.unread[size:]; err != nil {
			s.fail(err, 0)
		}
	}
}

// assign takes slots from streams that have ended, gives slots to those that wait, and lists the streams that want a patch and have
// a slot. It reports whether there is one. If there is none, nothing is written any more until a reader wants it.
func (g *Generator) assign() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.slots {
		if s != nil && (s.ended || s.left.Load()) {
			g.release(s)
		}
	}
	g.waiting = slices.DeleteFunc(g.waiting, func(s *stream) bool {
		s.over = s.over || s.left.Load()
		return s.over || g.place(s)
	})
	g.ready = g.ready[:0]
	for _, s := range g.slots {
		if s != nil && s.ready() && !g.isClosed() {
			g.ready = append(g.ready, s)
		}
	}
	if len(g.ready) == 0 {
		g.writing = false
		g.idle.Broadcast()
	}
	return len(g.ready) > 0
}

// release takes its slot from a stream that needs none any more.
func (g *Generator) release(s *stream) {
	g.source.End(s.next.Slot)
	g.slots[s.next.Slot], s.next.Slot, s.over = nil, noSlot, true
}

// place gives a slot to a stream, if one is free or can be freed.
func (g *Generator) place(s *stream) bool {
	slot := slices.Index(g.slots[:], nil)
	if slot < 0 {
		slot = g.putAside()
	}
	if slot < 0 {
		return false
	}
	g.slots[slot], s.next.Slot, s.queued = s, slot, false
	if s.saved != nil {
		g.source.Restore(slot, s.saved)
		s.saved = nil
	}
	return true
}

// putAside takes the slot of a stream whose reader is behind, and returns it; noSlot if there is none. The stream asks for a
// slot again when its reader has taken a patch.
func (g *Generator) putAside() int {
	slot := slices.IndexFunc(g.slots[:], func(s *stream) bool { return len(s.out) == ahead })
	if slot < 0 {
		return noSlot
	}
	s := g.slots[slot]
	s.saved = g.source.Save(slot)
	g.slots[slot], s.next.Slot = nil, noSlot
	return slot
}
