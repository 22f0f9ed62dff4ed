// Package hub downloads models from the Hugging Face hub, or one like it, into the cache that Hugging Face's Python library uses.
//
// The types of the hub's answers and the place of the cache are from github.com/gomlx/go-huggingface. The requests are made here,
// since that library waits without a timeout, follows redirects without a limit, starts again after a cut connection, accepts a
// short answer as a whole file, checks no checksum, and makes directories for models that do not exist.
package hub

import (
	"context"
	"crypto/sha1" // git's
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	hf "github.com/gomlx/go-huggingface/hub"

	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/internal/filelock"
)

// name is org/name, optionally @revision.
var name = regexp.MustCompile(`^([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w][\w./-]*))?$`)

// IsName reports whether s has the form of a model's name on the hub: org/name or org/name@revision.
func IsName(s string) bool { return name.MatchString(s) && !strings.Contains(s, "..") }

// model is the model to be fetched.
type model struct {
	id, revision string
	root, cache  string // of all models, of this one
	web          web
	log          func(string)
}

// Fetch returns a directory with the configuration, the weights and the tokenizer of a model. It downloads the files that the cache
// lacks, and continues interrupted downloads. It uses the environment variables HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN and
// HF_HUB_OFFLINE. log is called with a line about each large file.
//
// If the hub does not return the list of files, Fetch uses those in the cache, if it has the model, and log says so. Errors of the
// hub and the network say how to download the files by hand.
func Fetch(ctx context.Context, s string, log func(string)) (string, error) {
	m, err := parse(s)
	if err != nil {
		return "", err
	}
	m.log = log
	return m.fetch(ctx)
}

// parse reads a name and the environment.
func parse(s string) (m model, err error) {
	parts := name.FindStringSubmatch(s)
	if parts == nil || !IsName(s) {
		return m, fmt.Errorf("%q is not a name on the hub: want org/name or org/name@revision", s)
	}
	m = model{id: parts[1], revision: parts[2], root: cacheDir(), web: web{token: os.Getenv("HF_TOKEN"), silence: silence, pause: pause}}
	if m.revision == "" {
		m.revision = "main"
	}
	m.cache = filepath.Join(m.root, m.folder())
	return m, nil
}

// folder returns the name of the model's directory in the cache.
func (m model) folder() string { return "models--" + strings.ReplaceAll(m.id, "/", "--") }

func (m model) fetch(ctx context.Context) (string, error) {
	if offline() {
		if dir, ok := m.cached(); ok {
			return dir, nil
		}
		return "", m.byHand(errors.New("HF_HUB_OFFLINE is set, and the cache does not have it"))
	}
	sha, files, err := m.list(ctx)
	if _, hubs := errors.AsType[*hubError](err); hubs && ctx.Err() == nil {
		if dir, ok := m.cached(); ok {
			m.log(fmt.Sprintf("%s: %v: taking what was downloaded before", m.id, err))
			return dir, nil
		}
	}
	dir := ""
	if err == nil {
		dir, err = m.download(ctx, sha, files)
	}
	switch _, hubs := errors.AsType[*hubError](err); {
	case err == nil:
		return dir, nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("the download of %s: %w; what was downloaded is kept: run the same command to continue", m.id, ctx.Err())
	case hubs:
		return "", m.byHand(err)
	}
	return "", fmt.Errorf("%s: %w", m.id, err)
}

// byHand returns the error for a model that cannot be downloaded, with advice how to download it by hand.
func (m model) byHand(err error) error {
	return fmt.Errorf("%s cannot be downloaded: %w. Download it by hand: on a machine with network access run `huggingface-cli download %s --revision %s --local-dir DIR`"+
		" (or git clone it, with git-lfs), copy DIR here, and name DIR instead", m.id, err, m.id, m.revision)
}

// cacheDir returns the cache's directory, for all models.
func cacheDir() string {
	if dir := os.Getenv("HF_HUB_CACHE"); dir != "" {
		return dir
	}
	if dir := os.Getenv("HF_HOME"); dir != "" {
		return filepath.Join(dir, "hub")
	}
	return hf.DefaultCacheDir()
}

func offline() bool {
	return slices.Contains([]string{"1", "true", "yes", "on"}, strings.ToLower(os.Getenv("HF_HUB_OFFLINE")))
}

// commit, digest (a SHA-256) and object (git's SHA-1) match strings from the hub that may become part of a path.
var (
	commit = regexp.MustCompile(`^[0-9a-f]{6,64}$`)
	digest = regexp.MustCompile(`^[0-9a-f]{64}$`)
	object = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// cached returns the directory that an earlier Fetch of the same revision, or Hugging Face's Python library, completed.
func (m model) cached() (dir string, ok bool) {
	hash := m.revision
	if data, err := os.ReadFile(filepath.Join(m.cache, "refs", filepath.FromSlash(m.revision))); err == nil {
		hash = strings.TrimSpace(string(data))
	}
	if !commit.MatchString(hash) {
		return "", false
	}
	dir = filepath.Join(m.cache, "snapshots", hash)
	_, err := os.Stat(filepath.Join(dir, "config.json"))
	return dir, err == nil
}

// endpoint returns the hub's URL.
func endpoint() string {
	if url := os.Getenv("HF_ENDPOINT"); url != "" {
		return strings.TrimSuffix(url, "/")
	}
	return "https://huggingface.co"
}

// maxList is the largest size of the hub's answer in bytes, enough for thousands of files.
const maxList = 16 << 20

// list asks the hub which commit the revision is, and which of its files an import reads.
func (m model) list(ctx context.Context) (sha string, files []*hf.FileInfo, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience*m.web.silence, errSlow)
	defer cancel()
	body, err := m.web.get(ctx, fmt.Sprintf("%s/api/models/%s/revision/%s?blobs=true", endpoint(), m.id, url.PathEscape(m.revision)), 0)
	if err != nil {
		return "", nil, err
	}
	defer body.Close()
	var answer struct {
		Commit string         `json:"sha"`
		Files  []*hf.FileInfo `json:"siblings"`
	}
	if err := json.NewDecoder(io.LimitReader(body, maxList)).Decode(&answer); err != nil {
		return "", nil, &hubError{err: fmt.Errorf("the hub's list of files: %w", err)}
	}
	if !commit.MatchString(answer.Commit) {
		return "", nil, fmt.Errorf("the hub says that its commit is %q", answer.Commit)
	}
	files, err = choose(answer.Files)
	return answer.Commit, files, err
}

// maxFiles is the largest number of files of a model.
const maxFiles = 1000

// choose returns the files that an import reads. If there are weights in several formats, it prefers safetensors to pickles.
func choose(all []*hf.FileInfo) (files []*hf.FileInfo, err error) {
	named := map[string]*hf.FileInfo{}
	for _, f := range all {
		if f != nil {
			named[f.Name] = f
		}
	}
	add := func(names ...string) bool {
		found := false
		for _, n := range names {
			if f := named[n]; f != nil {
				files, found = append(files, f), true
			}
		}
		return found
	}
	if !add("config.json") {
		return nil, errors.New("it has no config.json: it is not a model of the reference")
	}
	add("tokenizer.json", "tokenizer.model")
	for _, form := range []struct{ single, ext string }{{"model", ".safetensors"}, {"pytorch_model", ".bin"}} {
		if add(form.single + form.ext) {
			return files, nil
		}
		if add(form.single + form.ext + ".index.json") {
			shard := regexp.MustCompile(`^` + form.single + `-\d{1,9}-of-\d{1,9}\` + form.ext + `$`)
			for _, f := range all {
				if f != nil && shard.MatchString(f.Name) {
					files = append(files, f)
				}
			}
			if len(files) > maxFiles {
				return nil, fmt.Errorf("the hub lists %d files of weights: want at most %d", len(files), maxFiles)
			}
			return files, nil
		}
	}
	return nil, errors.New("it has no weights: neither model.safetensors nor pytorch_model.bin, nor the index of either")
}

// download downloads a commit's files and returns their directory.
func (m model) download(ctx context.Context, sha string, files []*hf.FileInfo) (string, error) {
	dir := filepath.Join(m.cache, "snapshots", sha)
	for _, d := range []string{dir, filepath.Join(m.cache, "blobs")} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			return "", err
		}
	}
	for _, f := range files {
		if err := m.file(ctx, sha, f, dir); err != nil {
			return "", fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	// Like Hugging Face's Python library, note which commit the revision is.
	ref := filepath.Join(m.cache, "refs", filepath.FromSlash(m.revision))
	if err := os.MkdirAll(filepath.Dir(ref), 0o777); err != nil {
		return "", err
	}
	return dir, os.WriteFile(ref, []byte(sha), 0o666)
}

// checksum returns the size of a file and the checksum that the hub and the cache use: for a large file the SHA-256 of Git LFS,
// else git's SHA-1.
func checksum(f *hf.FileInfo) (size int64, want string, sum hash.Hash, err error) {
	form := digest
	if f.LFS != nil {
		size, want, sum = f.LFS.Size, f.LFS.SHA256, sha256.New()
	} else {
		size, want, sum, form = f.Size, f.BlobID, sha1.New(), object
		fmt.Fprintf(sum, "blob %d\x00", size)
	}
	if !form.MatchString(want) || size < 0 {
		err = fmt.Errorf("the hub says that it has %d bytes and the checksum %q", size, want)
	}
	return size, want, sum, err
}

// file downloads a file, unless the cache has it, and links it into dir.
func (m model) file(ctx context.Context, sha string, f *hf.FileInfo, dir string) error {
	size, want, sum, err := checksum(f)
	if err != nil {
		return err
	}
	link := filepath.Join(dir, f.Name)
	if info, err := os.Stat(link); err == nil && info.Size() == size {
		return nil
	}
	d := download{web: m.web, url: fmt.Sprintf("%s/%s/resolve/%s/%s", endpoint(), m.id, sha, f.Name),
		to: filepath.Join(m.cache, "blobs", want), size: size, sum: sum, want: want}
	if err := m.once(ctx, d, f); err != nil {
		return err
	}
	temp := atomicfile.TempName(link) // two downloads may be here at once
	if err := os.Symlink(filepath.Join("..", "..", "blobs", want), temp); err != nil {
		return err
	}
	if err := os.Rename(temp, link); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

// once runs a download unless the cache has the file. If another process downloads the file, it waits for that one.
func (m model) once(ctx context.Context, d download, f *hf.FileInfo) error {
	there := func() bool {
		info, err := os.Stat(d.to)
		return err == nil && info.Size() == d.size
	}
	if there() {
		return nil
	}
	path := filepath.Join(m.root, ".locks", m.folder(), d.want+".lock") // where Python's library has its own
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	lock, err := filelock.Acquire(path)
	for said := false; errors.Is(err, filelock.ErrHeld); lock, err = filelock.Acquire(path) {
		if !said {
			m.log(fmt.Sprintf("waiting for another download of %s: %v", f.Name, err))
			said = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * m.web.pause):
		}
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if there() {
		return nil
	}
	if f.LFS != nil {
		m.log(fmt.Sprintf("downloading %s of %s, %d MB", f.Name, m.id, d.size>>20))
	}
	return d.run(ctx)
}
