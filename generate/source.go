package generate

import "sync/atomic"

// Source is a model that writes texts, each in a slot of its own, numbered from 0 to MaxStreams-1. A slot has the context that
// its text has read so far, patches of K tokens. The texts of different slots do not change each other by a bit. A source is
// not safe for concurrent use; Check is.
type Source interface {
	// Check reports options that the model cannot meet, as an *InputError: of Temperature, Sampler and Draws. It computes
	// nothing and changes nothing.
	Check(o Options) error
	// Begin empties the context of a slot and prepares to write with options that Check accepts. It is called again where the
	// context is full. Fewer than Shape.MaxPatches patches are read before the next call.
	Begin(slot int, o Options)
	// Piece returns how many of n patches are to be read in one run, so that a context follows from its patches alone. A context is
	// bit for bit the same if n is not more than 64 although more patches are left.
	Piece(n int) int
	// Read appends the same number of patches, one that Piece returned, to the context of each of some distinct slots: one slot's
	// after the other in ids.
	Read(slots []int, ids []int32) error
	// Write works on the next patches of distinct slots, whose contexts have all patches before. It returns when they are done, or those that take many draws still
	// are not: these go on when they are given again.
	Write(patches []*Patch)
	// Save takes the text out of a slot, and returns it: memory alone, since it may never be restored. It is not called while a
	// patch is being written.
	Save(slot int) any
	// Restore puts a text that was saved into a slot.
	Restore(slot int, text any)
	// End forgets the text of a slot, and releases what it holds beside memory.
	End(slot int)
}

// Patch is a patch to be written.
type Patch struct {
	Slot    int
	Step    int          // number of the patch in its text, from 0
	Stopped *atomic.Bool // the patch is not wanted any more: it may end with any error
	IDs     []int32      // the patch [K]
	Draws   int          // how many draws it took
	Shares  []float64    // see Chunk; empty where there is no pool
	Done    bool         // IDs are written, or Err is set
	Err     error
}
