//go:build unix

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// damage changes one of the files below dir, and returns its name.
func (r *round) damage(dir string) string {
	names := slices.Sorted(maps.Keys(tree(dir)))
	name := names[r.IntN(len(names))]
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.Remove(path) // other files may be links to the same
	}
	if err != nil {
		r.fail("%v", err)
		return name
	}
	r.fault()
	switch at := r.IntN(len(data) + 1); r.IntN(8) {
	case 0:
		return name // it is missing
	case 1:
		data = data[:at]
	case 2:
		data = append(data, data[:at]...)
	case 3:
		clear(data[at:])
	case 4: // other bytes
		for i := at; i < min(len(data), at+1+r.IntN(64)); i++ {
			data[i] = byte(r.Uint32())
		}
	default: // one bit
		if at < len(data) {
			data[at] ^= 1 << r.IntN(8)
		}
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		r.fail("%v", err)
	}
	return name
}

// copyOf copies something that prepare made into the round's directory, beside the text that its runs name.
func (r *round) copyOf(name string) string {
	to := filepath.Join(r.dir, name)
	if err := os.CopyFS(to, os.DirFS(r.path(name))); err != nil {
		r.fail("%v", err)
	}
	return to
}

// seconds matches the time in the output of calm eval.
var seconds = regexp.MustCompile(`"seconds":[^,}]*`)

// damageRun damages a file of a run and reads the run with every command. Each says what is wrong, or its result is that of the
// undamaged run.
func damageRun(r *round) {
	kind := kinds[r.IntN(len(kinds))]
	dir := r.copyOf(kind)
	if err := os.Link(r.path("text.txt"), filepath.Join(r.dir, "text.txt")); err != nil {
		r.fail("%v", err)
	}
	name := r.damage(dir)
	for _, verb := range []string{"info", "generate", "eval"} {
		e := r.do(command{args: reading(verb, kind)})
		want := strings.ReplaceAll(strings.ReplaceAll(r.said[verb+" "+kind], "../"+kind, kind), r.path("text.txt"), filepath.Join(r.dir, "text.txt"))
		if e.status == 0 && seconds.ReplaceAllString(e.out, "") != seconds.ReplaceAllString(want, "") {
			r.fail("%s damaged, calm %s says %.500q, without damage %.500q", name, verb, e.out, want)
		}
	}
	// Where the newest checkpoint is damaged, the steps after the one before are made first, under the old number of steps.
	e := r.do(command{args: []string{"train", "--resume", kind}})
	if e.status == 0 {
		e = r.do(command{args: []string{"train", "--resume", kind, "--steps", fmt.Sprint(steps + further)}})
	}
	if e.status == 0 && weights(dir, steps+further) != r.longer[kind] {
		r.fail("%s damaged: the resumed run has other weights", name)
	}
}

// damageInput damages what a command reads that calm did not protect by checksums: texts, and models to import. Nothing may crash, and
// damaged weights and prepared texts are noticed.
func damageInput(r *round) {
	switch r.IntN(3) {
	case 0:
		from := r.copyOf("exported")
		name := r.damage(from)
		out := filepath.Join(r.dir, "imported")
		e := r.do(command{args: []string{"import", from, out}})
		if strings.HasSuffix(name, ".safetensors") && e.status == 0 && tree(out)["model.safetensors"] != r.made["import"]["model.safetensors"] {
			r.fail("%s damaged, and imported", name)
		}
	case 1:
		dir := r.copyOf("prepared")
		name := r.damage(dir)
		e := r.do(command{args: []string{"data", "info", dir}})
		if e.status == 0 && tree(dir)[name] != tree(r.path("prepared"))[name] && strings.HasSuffix(name, ".tokens") {
			r.fail("%s damaged, and verified", name)
		}
	default:
		texts := filepath.Join(r.dir, "texts")
		data, err := os.ReadFile(r.path("text.jsonl.gz"))
		if err == nil {
			err = os.Mkdir(texts, 0o777)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(texts, "text.jsonl.gz"), data, 0o666)
		}
		if err != nil {
			r.fail("%v", err)
		}
		r.damage(texts)
		r.do(command{args: []string{"data", "prepare", "--data", texts, "--out", filepath.Join(r.dir, "out")}})
	}
}

// squeeze gives a command little memory. It succeeds or ends, and a run can be continued afterwards.
func squeeze(r *round) {
	kind, out := kinds[r.IntN(len(kinds))], filepath.Join(r.dir, "run")
	limit := fmt.Sprintf("-v %d", 100_000+r.IntN(2_000_000))
	for range 2 {
		if e := r.do(command{args: r.next(kind, out), limit: limit, memory: true}); e.status != 0 {
			r.fault()
		}
	}
	r.do(command{args: reading("generate", r.path(kind)), limit: limit, memory: true})
	r.finish(kind, out)
}
