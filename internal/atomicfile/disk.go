package atomicfile

import (
	"os"
	"runtime"

	"github.com/calm-go/calm/internal/nofollow"
)

// Op is an operation that changes the disk.
type Op string

// The operations a Disk performs.
const (
	OpCreate  Op = "create"
	OpWrite   Op = "write"
	OpSync    Op = "sync"
	OpMkdir   Op = "mkdir"
	OpLink    Op = "link"
	OpRename  Op = "rename"
	OpRemove  Op = "remove"
	OpSyncDir Op = "sync directory"
)

// Disk performs the operations that change the disk. The zero value performs them on the operating system's files.
type Disk struct {
	// Fault, if not nil, is called before each operation. If it returns an error, the operation fails with it and has no
	// effect, except that a write first writes the given number of bytes. Tests use it for full disks and killed writers.
	Fault func(op Op, path string, size int) (written int, err error)
}

func (d *Disk) fault(op Op, path string) error {
	if d.Fault == nil {
		return nil
	}
	_, err := d.Fault(op, path, 0)
	return err
}

// Mkdir creates one directory.
func (d *Disk) Mkdir(path string) error {
	if err := d.fault(OpMkdir, path); err != nil {
		return err
	}
	return os.Mkdir(path, 0o777)
}

// Rename moves a file or directory.
func (d *Disk) Rename(from, to string) error {
	if err := d.fault(OpRename, to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// Link gives a file a second name.
func (d *Disk) Link(from, to string) error {
	if err := d.fault(OpLink, to); err != nil {
		return err
	}
	return os.Link(from, to)
}

// RemoveAll removes a file, or a directory with its content. A path that does not exist is not an error.
func (d *Disk) RemoveAll(path string) error {
	if err := d.fault(OpRemove, path); err != nil {
		return err
	}
	return removed(os.RemoveAll(path))
}

// SyncDir syncs a directory, so that renames and new files in it are durable.
func (d *Disk) SyncDir(path string) error {
	if err := d.fault(OpSyncDir, path); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be opened there; its file system journals names
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// File is an open file whose writes and syncs may fail by its disk's Fault.
type File struct {
	*os.File
	disk *Disk
}

func (d *Disk) create(path string) (*File, error) {
	if err := d.fault(OpCreate, path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	return &File{f, d}, nil
}

// Append opens a file for adding to its end, creating it where it is missing. A link is an error.
func (d *Disk) Append(path string) (*File, error) {
	if err := d.fault(OpCreate, path); err != nil {
		return nil, err
	}
	f, err := nofollow.Open(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	return &File{f, d}, nil
}

// Write is os.File.Write.
func (f *File) Write(p []byte) (int, error) {
	if f.disk.Fault == nil {
		return f.File.Write(p)
	}
	n, err := f.disk.Fault(OpWrite, f.Name(), len(p))
	if err == nil {
		return f.File.Write(p)
	}
	n, werr := f.File.Write(p[:min(n, len(p))])
	if werr != nil {
		return n, werr
	}
	return n, err
}

// Sync is os.File.Sync.
func (f *File) Sync() error {
	if err := f.disk.fault(OpSync, f.Name()); err != nil {
		return err
	}
	return f.File.Sync()
}
