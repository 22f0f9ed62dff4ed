package corpus

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// preparedShard returns a directory with one shard, and the shard's bytes.
func preparedShard(t testing.TB) (dir string, b []byte) {
	dir = t.TempDir()
	c, err := Prepare(context.Background(), given(someTexts(30, 1)...), bytesTokenizer, dir, PrepareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	b, err = os.ReadFile(filepath.Join(dir, shardName(0)))
	if err != nil {
		t.Fatal(err)
	}
	return dir, b
}

// parse reads a shard from memory.
func parse(name string, b []byte) (*shard, header, error) {
	return parseShard(name, bytes.NewReader(b), int64(len(b)))
}

// use opens a corpus and reads all of it.
func use(dir string) error {
	c, err := Open(dir)
	if err != nil {
		return err
	}
	defer c.Close()
	blocks, err := c.All().Blocks(Layout{Language, 1, 16})
	if err != nil {
		return err
	}
	_, err = blocks.Fill(0, make([]int32, blocks.Len()*16))
	return err
}

// Every byte of a shard is protected by a checksum.
func TestDamageIsNoticed(t *testing.T) {
	dir, good := preparedShard(t)
	path := filepath.Join(dir, shardName(0))
	if err := use(dir); err != nil {
		t.Fatal(err)
	}
	for at := range good {
		bad := append([]byte{}, good...)
		bad[at] ^= 1 << (at % 8)
		s, _, err := parse("damaged", bad)
		if err == nil {
			err = verifyAll(s)
		}
		if err == nil {
			t.Fatalf("damage at byte %d is not noticed", at)
		}
	}
	for what, bad := range map[string][]byte{
		"byte 0":    append([]byte("notshard"), good[8:]...),
		"checksum":  append(append(append([]byte{}, good[:1000]...), good[1000]^4), good[1001:]...),
		"cut off":   good[:len(good)-1],
		"appended":  append(append([]byte{}, good...), 0),
		"version":   append(append(append([]byte{}, good[:8]...), 9), good[9:]...),
		"at byte 0": {},
	} {
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		wantError(t, use(dir), path, what, "byte")
	}
	// A shard of another corpus is also an error.
	other, _ := preparedShard(t)
	mustPrepare(t, filepath.Join(other, "x"), PrepareOptions{}, someTexts(30, 2)...)
	b, err := os.ReadFile(filepath.Join(other, "x", shardName(0)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	wantError(t, use(dir), "not", "corpus.json lists")
	os.Remove(path)
	wantError(t, use(dir), shardName(0))
}

// A file with right checksums can still have wrong ids, if another program wrote it.
func TestForeignIDs(t *testing.T) {
	_, b := preparedShard(t)
	_, h, err := parse("good", b)
	if err != nil {
		t.Fatal(err)
	}
	at := h.layout()
	binary.LittleEndian.PutUint16(b[headerSize+20:], 259)
	binary.LittleEndian.PutUint32(b[at.sums:], crc32.Checksum(b[headerSize:at.tokensEnd], castagnoli))
	h.table = crc32.Checksum(b[at.tokensEnd:], castagnoli)
	copy(b, h.encode())
	s, _, err := parse("foreign", b)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, s.read(make([]int32, 1), 0), "foreign", "byte 148", "id 259", "259")
}

func TestManifestRefuses(t *testing.T) {
	dir, _ := preparedShard(t)
	path := filepath.Join(dir, manifestName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for from, c := range map[string]struct{ to, want string }{
		`"calm corpus"`:       {`"other"`, "format"},
		`"version": 1`:        {`"version": 2`, "version 2"},
		`"vocab_size": 259`:   {`"vocab_size": 258`, "special ids"},
		`"pad_token_id": 258`: {`"pad_token_id": 3`, "corpus.json lists"},
		`"000000.tokens"`:     {`"../../x"`, "shard 0"},
		`"documents": 30`:     {`"documents": 31`, "corpus.json lists"},
		"{":                   {"[", "corpus.json"},
	} {
		bad := strings.Replace(string(good), from, c.to, 1)
		if bad == string(good) {
			t.Fatalf("%q is not in %s", from, good)
		}
		if err := os.WriteFile(path, []byte(bad), 0o666); err != nil {
			t.Fatal(err)
		}
		wantError(t, use(dir), dir, c.want)
	}
}

func TestVerify(t *testing.T) {
	dir, b := preparedShard(t)
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var done, total int64
	if err := c.Verify(context.Background(), func(d, n int64) { done, total = d, n }); err != nil {
		t.Fatal(err)
	}
	if done != total || total != 2*c.All().Tokens() {
		t.Errorf("%d of %d bytes", done, total)
	}
	b[3000] ^= 1
	if err := os.WriteFile(filepath.Join(dir, shardName(0)), b, 0o666); err != nil {
		t.Fatal(err)
	}
	c2, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c2.Close()
	wantError(t, c2.Verify(context.Background(), nil), "bytes 128 to", "damaged")
}

// A damaged file stops training with an error and does not change the position.
func TestDamageInTraining(t *testing.T) {
	dir, b := preparedShard(t)
	b[3000] ^= 1
	if err := os.WriteFile(filepath.Join(dir, shardName(0)), b, 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	blocks, err := c.Train().Blocks(Layout{Language, 4, 16})
	if err != nil {
		t.Fatal(err)
	}
	batches, err := blocks.Shuffled(1, 4)
	if err != nil {
		t.Fatal(err)
	}
	before := batches.Position()
	wantError(t, batches.Next(make([]int32, 64)), shardName(0), "damaged")
	if batches.Position() != before {
		t.Errorf("position %+v", batches.Position())
	}
}

func FuzzShard(f *testing.F) {
	_, b := preparedShard(f)
	f.Add(b)
	f.Add(b[:headerSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		// The checksums are right, so that the content is checked.
		if len(b) >= headerSize {
			if h, err := decodeHeader(sealed(b), int64(len(b))); err == nil {
				at := h.layout()
				h.table = crc32.Checksum(b[at.tokensEnd:], castagnoli)
				copy(b, h.encode())
			}
		}
		s, h, err := parse("fuzz", b)
		if err != nil {
			return
		}
		c := &Corpus{vocab: s.vocab, shards: []*shard{s}, tokenizer: h.tokenizer}
		if c.index() != nil {
			return
		}
		blocks, err := c.Train().Blocks(Layout{Autoencoder, 2, 6})
		if err != nil {
			return
		}
		if batches, err := blocks.Shuffled(1, 1); err == nil {
			batches.Next(make([]int32, 6))
		}
		blocks.Fill(0, make([]int32, 6*min(blocks.Len(), 1000)))
	})
}

// sealed returns the bytes with the right checksum in the header.
func sealed(b []byte) []byte {
	b = append([]byte{}, b...)
	binary.LittleEndian.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
	return b
}

func FuzzManifest(f *testing.F) {
	dir, _ := preparedShard(f)
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { parseManifest(b) })
}
