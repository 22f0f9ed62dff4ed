// Package corpus turns documents into token blocks: it reads text, tokenizes it,
// keeps the tokens in memory or in shards on disk, holds a part out, and cuts
// the rest into the blocks that training and evaluation take.
//
//	tok := tokenizer.Bytes()
//	c, err := corpus.Load(ctx, tok)                     // the embedded book; or paths, or a prepared directory
//	blocks, err := c.Train().Blocks(corpus.Layout{Kind: corpus.Language, PatchSize: 4, BlockSize: 128})
//	batches, err := blocks.Shuffled(seed, 16)           // endless, a new order every epoch
//	err = batches.Next(ids)                             // ids [16, 128]
//	position := batches.Position()                      // into the checkpoint; batches.Seek(position) goes on from there
//	rows, err := heldOut.Fill(0, ids)                   // blocks in their order, for an evaluation
//
// # Where text comes from
//
// [Read] yields the documents of files and directories, [Book] those of the
// embedded book. [Tokenize] holds a corpus in memory, [Prepare] writes one to a
// directory that [Open] maps (it may be larger than memory), and [Load] is what
// a command's --data means. Documents without text are passed over.
//
// # Held out
//
// Five per cent of the documents: those whose content hash is smallest. The
// choice depends on the texts alone, not on their order, names, any seed, or
// what is trained. Copies of a text go to the same side.
//
// Five per cent of fewer than 20 different documents is less than one document;
// there every document gives its last five per cent instead, cut at the end of a
// line, else at white space, else between characters. So neither part is ever
// empty; a corpus too small for that is an error.
//
// # Layouts
//
// A [Layout] strings the documents of a [Part] together (SPEC section 1):
//
//	Language     BOS ids BOS ids ...
//	Autoencoder  BOS ids EOS PAD.. BOS ids EOS PAD.. (each document a multiple of the patch size)
//
// and cuts them to blocks. BOS belongs to the document (the reference's tokenizer
// puts it there), so the autoencoder learns it too. The remainder of less than a
// block is dropped: at the end of the stream where blocks are read in order, and
// at another place every epoch in training, where the blocks' grid is shifted
// along the stream (closed to a ring) by a seeded offset. Small corpora learn more
// from shifted blocks, and no token is left out for good.
package corpus
