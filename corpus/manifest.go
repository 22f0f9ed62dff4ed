package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/tokenizer"
)

// manifestName is the name of the manifest. It is written last: a directory of shards with a manifest is a prepared corpus.
const manifestName = "corpus.json"

// tokenizerName is the name of the tokenizer's file in a prepared corpus.
const tokenizerName = "tokenizer.json"

const (
	manifestFormat  = "calm corpus"
	manifestVersion = 1
)

// errUnfinished is returned for a directory that has shards but no manifest.
var errUnfinished = errors.New("the directory holds the beginning of a prepared corpus: run the same `calm data prepare` again to finish it")

// A manifest is the content of corpus.json (docs/formats.md).
type manifest struct {
	Format      string           `json:"format"`
	Version     int              `json:"version"`
	Fingerprint Fingerprint      `json:"fingerprint"`
	Tokenizer   Fingerprint      `json:"tokenizer"`
	VocabSize   int              `json:"vocab_size"`
	BOS         int32            `json:"bos_token_id"`
	EOS         int32            `json:"eos_token_id"`
	PAD         int32            `json:"pad_token_id"`
	NoBOS       bool             `json:"no_bos,omitempty"`
	AddsEOS     bool             `json:"adds_eos,omitempty"`
	Documents   int64            `json:"documents"`
	Tokens      int64            `json:"tokens"`
	Shards      []manifestShard  `json:"shards"`
	Sources     []manifestSource `json:"sources"`
}

type manifestShard struct {
	File   string `json:"file"`
	Tokens int64  `json:"tokens"`
}

// IsPrepared reports whether dir has the manifest of a prepared corpus. It does not check its content.
func IsPrepared(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, manifestName))
	return err == nil
}

// Open opens a directory that [Prepare] has filled. It verifies everything except the tokens, which are verified when they are
// first read, or by [Corpus.Verify].
func Open(dir string) (*Corpus, error) {
	m, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	c := &Corpus{
		dir: dir, vocab: m.VocabSize, special: specials{m.BOS, m.EOS, m.PAD, m.NoBOS, m.AddsEOS},
		tokenizer: m.Tokenizer,
	}
	if err := c.openShards(m); err != nil {
		c.Close()
		return nil, fmt.Errorf("open corpus: %w", err)
	}
	return c, nil
}

// PreparedTokenizer returns the tokenizer that a directory was prepared with.
func PreparedTokenizer(dir string) (*tokenizer.Tokenizer, error) {
	m, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.Load(filepath.Join(dir, tokenizerName))
	if err != nil {
		return nil, fmt.Errorf("open corpus: %w", err)
	}
	if TokenizerFingerprint(tok) != m.Tokenizer {
		return nil, fmt.Errorf("open corpus: %s is not the tokenizer that %s was prepared with", filepath.Join(dir, tokenizerName), dir)
	}
	return tok, nil
}

func (c *Corpus) openShards(m manifest) error {
	for i, want := range m.Shards {
		path := filepath.Join(c.dir, shardName(i))
		s, h, err := openShard(path)
		if err != nil {
			return err
		}
		c.shards = append(c.shards, s)
		if h.index != uint32(i) || h.tokens != want.Tokens || int(h.vocab) != m.VocabSize || h.tokenizer != m.Tokenizer {
			return fmt.Errorf("%s is not the shard that %s lists: prepare the corpus again", path, manifestName)
		}
	}
	if err := c.index(); err != nil {
		return fmt.Errorf("%s: %w", c.dir, err)
	}
	if c.data != m.Fingerprint || c.all.documents != m.Documents || c.all.tokens != m.Tokens {
		return fmt.Errorf("%s: the shards are not those that %s lists: prepare the corpus again", c.dir, manifestName)
	}
	return nil
}

func readManifest(dir string) (manifest, error) {
	path := filepath.Join(dir, manifestName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		entries, _ := os.ReadDir(dir)
		if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return isShardName(e.Name()) }) {
			return manifest{}, fmt.Errorf("open corpus: %s: %w", dir, errUnfinished)
		}
		return manifest{}, fmt.Errorf("open corpus: %s is not a prepared corpus: it has no %s", dir, manifestName)
	}
	if err != nil {
		return manifest{}, fmt.Errorf("open corpus: %w", err)
	}
	m, err := parseManifest(b)
	if err != nil {
		return manifest{}, fmt.Errorf("open corpus: %s: %w", path, err)
	}
	return m, nil
}

func parseManifest(b []byte) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return m, err
	}
	switch inside := func(id int32) bool { return id >= 0 && int(id) < m.VocabSize }; {
	case m.Format != manifestFormat:
		return m, fmt.Errorf("format is %q, not %q", m.Format, manifestFormat)
	case m.Version != manifestVersion:
		return m, fmt.Errorf("version %d of the format; this calm reads version %d", m.Version, manifestVersion)
	case !inside(m.BOS) || !inside(m.EOS) || !inside(m.PAD):
		return m, fmt.Errorf("special ids %d, %d, %d in a vocabulary of %d", m.BOS, m.EOS, m.PAD, m.VocabSize)
	}
	for i, s := range m.Shards {
		if s.File != shardName(i) {
			return m, fmt.Errorf("shard %d is %q, not %q", i, s.File, shardName(i))
		}
	}
	return m, nil
}

// write writes the manifest to dir, which makes dir a prepared corpus.
func (m manifest) write(dir string) error {
	return new(atomicfile.Disk).WriteFile(filepath.Join(dir, manifestName), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(m)
	})
}
