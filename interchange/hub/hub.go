// Package hub brings models from a hub of Hugging Face's kind into the cache that its Python library has too.
//
// What is there and under which revision, small files, and the layout of the cache are
// github.com/gomlx/go-huggingface's. Large files are downloaded here: that library begins anew where a connection was
// cut, takes a short answer for a whole file, and compares no checksum.
package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	hf "github.com/gomlx/go-huggingface/hub"

	"github.com/calm-go/calm/checkpoint/atomicfile"
	"github.com/calm-go/calm/internal/filelock"
)

// name is org/name, optionally @revision.
var name = regexp.MustCompile(`^([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w][\w./-]*))?$`)

// IsName reports whether s could be the name of a model on the hub: org/name or org/name@revision.
func IsName(s string) bool { return name.MatchString(s) && !strings.Contains(s, "..") }

// model is what is to be fetched.
type model struct {
	id, revision string
	root, cache  string // of all models, of this one
	token        string
	log          func(string)
	patience     time.Duration // how long the hub may be silent
}

// patience is how long the hub may be silent; for small files, which the library brings, smallFiles times as long.
const (
	patience   = time.Minute
	smallFiles = 10
)

// Fetch returns a directory with the configuration, the weights and the tokenizer of a model, downloading what the
// cache lacks. The environment says how: HF_ENDPOINT, HF_HOME or HF_HUB_CACHE, HF_TOKEN, HF_HUB_OFFLINE. What a killed
// or failed download left is gone on with. log is told of each large file.
//
// Where the hub cannot be reached, what the cache has is taken and log told; without that, the error says how to bring
// the files by hand.
func Fetch(ctx context.Context, s string, log func(string)) (string, error) {
	m, err := newModel(s, log)
	if err != nil {
		return "", err
	}
	return m.get(ctx)
}

func newModel(s string, log func(string)) (model, error) {
	parts := name.FindStringSubmatch(s)
	if parts == nil || !IsName(s) {
		return model{}, fmt.Errorf("%q is no name on the hub: want org/name or org/name@revision", s)
	}
	m := model{id: parts[1], revision: parts[2], token: os.Getenv("HF_TOKEN"), log: log, patience: patience}
	if m.revision == "" {
		m.revision = "main"
	}
	m.root = cacheDir()
	m.cache = filepath.Join(m.root, "models--"+strings.ReplaceAll(m.id, "/", "--"))
	return m, nil
}

// get is Fetch of the model.
func (m model) get(ctx context.Context) (string, error) {
	if offline() {
		if dir, ok := m.cached(); ok {
			return dir, nil
		}
		return "", m.byHand(errors.New("HF_HUB_OFFLINE is set, and the cache does not have it"))
	}
	repo := hf.New(m.id).WithAuth(m.token).WithRevision(m.revision).WithCacheDir(m.root).WithProgressBar(false)
	repo.Verbosity, repo.MaxParallelDownload = 0, 4
	files, err := m.list(ctx, repo)
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if dir, ok := m.cached(); ok {
			m.log(fmt.Sprintf("%s: the hub does not list its files (%v): taking what was downloaded before", m.id, err))
			return dir, nil
		}
		m.forget()
		return "", m.byHand(err)
	}
	dir, err := m.fetch(ctx, repo, files)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w; what was downloaded is kept, the same command goes on", ctx.Err())
	}
	return dir, err
}

// byHand says what can be done where a model cannot be downloaded.
func (m model) byHand(err error) error {
	return fmt.Errorf("%s cannot be downloaded: %w. Bring it by hand: where there is a network run `huggingface-cli download %s --revision %s --local-dir DIR`"+
		" (or git clone it, with git-lfs), copy DIR here, and name DIR instead", m.id, err, m.id, m.revision)
}

// cacheDir is where downloads of all models are kept.
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

// commit and digest are what may become part of a path.
var (
	commit = regexp.MustCompile(`^[0-9a-f]{6,64}$`)
	digest = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// cached returns the directory that an earlier Fetch of the same revision, or Python's library, completed.
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

// forget removes the directories that asking for a model made, where the hub does not have it.
func (m model) forget() {
	for _, dir := range []string{filepath.Join(m.cache, "info"), m.cache} {
		_ = os.Remove(dir) // one that holds something stays
	}
}

// list asks the hub what there is. The library's request knows no context; one that is given up ends by itself.
func (m model) list(ctx context.Context, repo *hf.Repo) ([]*hf.FileInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answer := make(chan error, 1)
	go func() { answer <- repo.DownloadInfo(true) }()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(m.patience):
		return nil, fmt.Errorf("there is no answer after %v", m.patience)
	case err := <-answer:
		if err != nil {
			return nil, m.explain(err)
		}
	}
	if !commit.MatchString(repo.Info().CommitHash) {
		return nil, fmt.Errorf("the hub says that its commit is %q", repo.Info().CommitHash)
	}
	return choose(repo.Info().Siblings)
}

// closed matches the library's errors about what only some may read.
var closed = regexp.MustCompile(`(status code |")(401|403)\b`)

// explain adds what to do to an error of the hub's.
func (m model) explain(err error) error {
	refused, _ := errors.AsType[*refusedError](err)
	if closed.MatchString(err.Error()) || refused != nil && (refused.code == http.StatusUnauthorized || refused.code == http.StatusForbidden) {
		return fmt.Errorf("%w (if it is not public, set HF_TOKEN to a token that may read it)", err)
	}
	return err
}

// choose picks the files that an import reads: weights in one form, safetensors rather than pickles.
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
			shard := regexp.MustCompile(`^` + form.single + `-\d+-of-\d+\` + form.ext + `$`)
			for _, f := range all {
				if f != nil && shard.MatchString(f.Name) {
					files = append(files, f)
				}
			}
			return files, nil
		}
	}
	return nil, errors.New("it has no weights: neither model.safetensors nor pytorch_model.bin, nor the index of either")
}

// fetch completes the directory of the revision's files.
func (m model) fetch(ctx context.Context, repo *hf.Repo, files []*hf.FileInfo) (string, error) {
	hash := repo.Info().CommitHash
	dir := filepath.Join(m.cache, "snapshots", hash)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	var small []string
	for _, f := range files {
		if f.LFS == nil {
			small = append(small, f.Name)
			continue
		}
		if err := m.large(ctx, repo, f, dir); err != nil {
			return "", fmt.Errorf("%s of %s: %w", f.Name, m.id, err)
		}
	}
	limited, cancel := context.WithTimeout(ctx, smallFiles*m.patience)
	defer cancel()
	if _, err := repo.DownloadFilesCtx(limited, small...); err != nil {
		return "", m.byHand(m.explain(err))
	}
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		info, err := os.Stat(path)
		if err != nil || f.LFS == nil && f.Size > 0 && info.Size() != f.Size {
			if target, lerr := filepath.EvalSymlinks(path); lerr == nil {
				_ = os.Remove(target)
			}
			_ = os.Remove(path)
			return "", fmt.Errorf("%s of %s did not arrive whole: run the same command again", f.Name, m.id)
		}
	}
	// What Python's library writes too: which commit the revision was when it was last asked for.
	ref := filepath.Join(m.cache, "refs", filepath.FromSlash(m.revision))
	if err := os.MkdirAll(filepath.Dir(ref), 0o777); err != nil {
		return "", err
	}
	return dir, os.WriteFile(ref, []byte(hash), 0o666)
}

// large downloads a file of git-lfs, unless the cache has it, and links it into dir.
func (m model) large(ctx context.Context, repo *hf.Repo, f *hf.FileInfo, dir string) error {
	if !digest.MatchString(f.LFS.SHA256) || f.LFS.Size < 0 {
		return fmt.Errorf("the hub says that its SHA-256 is %q", f.LFS.SHA256)
	}
	link := filepath.Join(dir, f.Name)
	if info, err := os.Stat(link); err == nil && info.Size() == f.LFS.Size {
		return nil
	}
	blobs := filepath.Join(m.cache, "blobs")
	if err := os.MkdirAll(blobs, 0o777); err != nil {
		return err
	}
	blob := filepath.Join(blobs, f.LFS.SHA256)
	if info, err := os.Stat(blob); err != nil || info.Size() != f.LFS.Size {
		url, err := repo.FileURL(f.Name)
		if err != nil {
			return err
		}
		m.log(fmt.Sprintf("downloading %s of %s, %d MB", f.Name, m.id, f.LFS.Size>>20))
		d := download{url: url, token: m.token, to: blob, sha256: f.LFS.SHA256, size: f.LFS.Size, patience: m.patience}
		if err := m.download(ctx, d); err != nil {
			return err
		}
	}
	temp := link + atomicfile.Suffix
	_ = os.Remove(temp)
	if err := os.Symlink(filepath.Join("..", "..", "blobs", f.LFS.SHA256), temp); err != nil {
		return err
	}
	return os.Rename(temp, link)
}

// download runs d, unless another process has brought the file in the meantime. Where one is at it, it is waited for.
func (m model) download(ctx context.Context, d download) error {
	path := filepath.Join(m.root, ".locks", filepath.Base(m.cache), d.sha256+".lock") // where Python's library has its own
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	lock, err := filelock.Acquire(path)
	for said := false; errors.Is(err, filelock.ErrHeld); lock, err = filelock.Acquire(path) {
		if !said {
			m.log(fmt.Sprintf("waiting for another download of it: %v", err))
			said = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if info, err := os.Stat(d.to); err == nil && info.Size() == d.size {
		return nil
	}
	err = d.run(ctx)
	refused, _ := errors.AsType[*refusedError](err)
	failed, _ := errors.AsType[*failedError](err)
	if refused != nil || failed != nil {
		return m.byHand(m.explain(err))
	}
	return err
}
