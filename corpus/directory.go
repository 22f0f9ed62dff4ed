package corpus

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A directory collects the results of a walk through a directory and those that links in it lead to. Each directory and each
// file is taken once, however many links lead to it; so a link to a directory above ends.
type directory struct {
	files []file
	notes Notes

	links   []string        // paths of links to directories, not followed yet
	walked  map[string]bool // real paths of directories
	entered string          // the path that the walk in progress began at, and its real path
	real    string
	found   map[string]found // by real path
}

// found is a name of a file.
type found struct {
	file
	link bool
}

// walk lists the text files below a directory, sorted by path.
func walk(root string) (*directory, error) {
	d := &directory{walked: map[string]bool{}, found: map[string]found{}, links: []string{root}}
	for len(d.links) > 0 { // real directories first: their names stay when links to them come
		slices.Sort(d.links)
		links := d.links
		d.links = nil
		for _, link := range links {
			if err := d.enter(link); err != nil {
				return nil, err
			}
		}
	}
	listed := slices.SortedFunc(maps.Values(d.found), func(a, b found) int { return strings.Compare(a.path, b.path) })
	for _, f := range listed {
		reason, err := f.notText()
		if err != nil {
			return nil, err
		}
		if reason != "" {
			d.notes.skip(f.path, reason)
			continue
		}
		d.files = append(d.files, f.file)
	}
	return d, nil
}

// enter walks through a directory, unless its files are listed already.
func (d *directory) enter(path string) (err error) {
	if d.real, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	if d.walked[d.real] {
		d.notes.skip(path, "links to directories that are read already")
		return nil
	}
	d.entered = path
	return filepath.WalkDir(d.real, func(real string, entry fs.DirEntry, err error) error {
		return d.visit(filepath.Join(d.entered, strings.TrimPrefix(real, d.real)), real, entry, err)
	})
}

// visit adds a file to found or to notes, and a link to a directory to links. path is its name below the root.
func (d *directory) visit(path, real string, entry fs.DirEntry, err error) error {
	switch hidden := strings.HasPrefix(entry.Name(), ".") && real != d.real; {
	case err != nil:
		return err
	case hidden && entry.IsDir():
		d.notes.skip(path, "hidden")
		return fs.SkipDir
	case entry.IsDir() && d.walked[real]: // a link has led here
		return fs.SkipDir
	case entry.IsDir():
		d.walked[real] = true
		return nil
	case isShardName(entry.Name()) && IsPrepared(filepath.Dir(path)):
		return fmt.Errorf("%s is a prepared corpus: it has tokens, not text; name it alone", filepath.Dir(path))
	case isShardName(entry.Name()):
		return fmt.Errorf("%s: %w", filepath.Dir(path), errUnfinished)
	case hidden:
		d.notes.skip(path, "hidden")
		return nil
	}
	info, err := os.Stat(real)
	link := entry.Type()&fs.ModeSymlink != 0
	switch {
	case link && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP)):
		d.notes.skip(path, "links to nothing")
	case err != nil:
		return err
	case info.IsDir():
		d.links = append(d.links, path)
	case !info.Mode().IsRegular():
		d.notes.skip(path, "neither files nor directories")
	default:
		if link {
			if real, err = filepath.EvalSymlinks(real); err != nil {
				return err
			}
		}
		d.add(real, found{fileOf(path, info.Size()), link})
	}
	return nil
}

// add adds a name of a file. Of several names that links give it, the best is kept: one that says how the file holds
// documents, then one that is not a link, then the first.
func (d *directory) add(real string, f found) {
	had, again := d.found[real]
	if again {
		better := cmp.Or(boolean(f.format != formatUnknown)-boolean(had.format != formatUnknown),
			boolean(had.link)-boolean(f.link), strings.Compare(had.path, f.path))
		if better < 0 {
			f, had = had, f
		}
		d.notes.skip(had.path, "other names of files that are read")
	}
	d.found[real] = f
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}
