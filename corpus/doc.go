// Package corpus turns documents into blocks of token ids. It reads text, tokenizes it, keeps the ids in memory or in shards
// on disk, holds a part out, and cuts both parts into blocks for training and evaluation.
//
//	tok := tokenizer.Bytes()
//	c, err := corpus.Load(ctx, tok, corpus.Source{})    // the embedded book; Paths name files, or a prepared directory
//	blocks, err := c.Train().Blocks(corpus.Layout{Kind: corpus.Language, PatchSize: 4, BlockSize: 128})
//	batches, err := blocks.Shuffled(seed, 16)           // endless, a new order every epoch
//	err = batches.Next(ids)                             // ids [16, 128]
//	position := batches.Position()                      // kept in checkpoints; batches.Seek(position) continues there
//	rows, err := blocks.Fill(0, ids)                    // blocks in order, for an evaluation
//
// # Sources of text
//
// A [Source] names the text, like the flags --data and --field of a command. [Load] reads it into memory. [NewReader] yields
// its documents, for training a tokenizer or for [Prepare]. Prepare writes a corpus to a directory and maps it, so that it
// may be larger than memory. [Tokenize] takes documents from anywhere: [Texts] makes them from strings, and [Book] yields
// those of the embedded book.
//
// [Notes] count the files of a directory that are not read, and the documents without text.
//
// # The held-out part
//
// Five per cent of the documents are held out: those with the smallest content hashes. The choice depends on the texts
// alone, not on their order, their names or a seed. All copies of a text are in the same part.
//
// With fewer than 20 different documents, five per cent is less than one document. Then the last five per cent of every
// document are held out, cut at the end of a line if possible, else at white space, else between characters. Neither part is
// ever empty; a corpus that is too small for that is an error.
//
// # Layouts
//
// A [Layout] concatenates the documents of a [Part] (docs/spec.md, section 1):
//
//	Language     BOS ids BOS ids ...
//	Autoencoder  BOS ids EOS PAD.. BOS ids EOS PAD.. (each document a multiple of the patch size)
//
// and cuts the result, the stream, into blocks. BOS is part of the document, as in the reference, so the autoencoder learns
// it too. The remainder, which is shorter than a block, is dropped. When blocks are read in order, the remainder is the end
// of the stream. In training it is at another place in every epoch: the stream is closed to a ring, and the grid of blocks
// is shifted along it by a random offset. So no token is left out of all epochs, and models learn more from a small corpus.
package corpus
