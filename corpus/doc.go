// Package corpus turns documents into blocks of token ids: it reads text, tokenizes it, keeps the ids in memory or in
// shards on disk, holds a part out, and cuts the rest into the blocks that training and evaluation take.
//
//	tok := tokenizer.Bytes()
//	c, err := corpus.Load(ctx, tok, corpus.Source{})    // the embedded book; Paths name files, or a prepared directory
//	blocks, err := c.Train().Blocks(corpus.Layout{Kind: corpus.Language, PatchSize: 4, BlockSize: 128})
//	batches, err := blocks.Shuffled(seed, 16)           // endless, a new order every epoch
//	err = batches.Next(ids)                             // ids [16, 128]
//	position := batches.Position()                      // into the checkpoint; batches.Seek(position) continues there
//	rows, err := blocks.Fill(0, ids)                    // blocks in their order, for an evaluation
//
// # Where text comes from
//
// A [Source] says which text is meant, as --data and --field of a command do. [Load] reads it into memory. [NewReader]
// yields its documents: for [Prepare], which writes a corpus to a directory and maps it (it may be larger than memory),
// or for training a tokenizer. [Tokenize] takes documents from anywhere; [Texts] makes them from strings, and [Book] has
// those of the embedded book.
//
// Nothing is dropped in silence: files of a directory that are not read, and documents without text, are counted in
// [Notes].
//
// # Held out
//
// Five per cent of the documents: those whose content hash is smallest. The choice depends on the texts alone, not on
// their order, names, any seed, or what is trained. Copies of a text go to the same side.
//
// Five per cent of fewer than 20 different documents is less than one document. There every document gives its last five
// per cent instead, cut at the end of a line, else at white space, else between characters. So neither part is ever
// empty; a corpus too small for that is an error.
//
// # Layouts
//
// A [Layout] concatenates the documents of a [Part] (docs/spec.md, section 1):
//
//	Language     BOS ids BOS ids ...
//	Autoencoder  BOS ids EOS PAD.. BOS ids EOS PAD.. (each document a multiple of the patch size)
//
// and cuts them into blocks. BOS belongs to the document (the reference's tokenizer puts it there), so the autoencoder
// learns it too. The remainder, which is shorter than a block, is dropped: at the end of the stream where blocks are read
// in order. In training it lies elsewhere in every epoch, because the grid of blocks is shifted along the stream (closed
// to a ring) by a seeded offset. Small corpora learn more from shifted blocks, and no token is left out for good.
package corpus
