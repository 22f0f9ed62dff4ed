//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// filled runs f in a directory whose disk is full after some KiB, and then, with room again, after. As root, the disk is sometimes a
// small file system. Otherwise no file may grow beyond the limit.
func (r *round) filled(kib int, f func(dir, limit string), after func(dir string)) {
	disk := r.path("disk")
	mounted := os.Geteuid() == 0 && r.IntN(2) == 0 && os.MkdirAll(disk, 0o777) == nil &&
		exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dk", kib), "hostile", disk).Run() == nil
	if !mounted {
		f(r.dir, fmt.Sprintf("-f %d", kib))
		after(r.dir)
		return
	}
	f(disk, "")
	if err := exec.Command("mount", "-o", "remount,size=1g", disk).Run(); err != nil {
		r.fail("remount: %v", err)
	}
	after(disk)
	if err := exec.Command("umount", disk).Run(); err != nil {
		r.fail("umount: %v", err)
	}
}

// fillTraining fills the disk during a training.
func fillTraining(r *round) {
	kind := kinds[r.IntN(len(kinds))]
	r.filled(4+r.IntN(400), func(dir, limit string) {
		for range 2 {
			out := filepath.Join(dir, "run")
			if e := r.do(command{args: r.next(kind, out), limit: limit}); e.status != 0 {
				r.fault()
			}
		}
	}, func(dir string) { r.finish(kind, filepath.Join(dir, "run")) })
}

// fillVerb fills the disk during another verb.
func fillVerb(r *round) {
	name := r.verb()
	r.filled(4+r.IntN(120), func(dir, limit string) {
		if e := r.do(command{args: r.verbs(filepath.Join(dir, "made"))[name], limit: limit}); e.status != 0 {
			r.fault()
		}
	}, func(dir string) { r.again(name, filepath.Join(dir, "made")) })
}
