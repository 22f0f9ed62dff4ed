//go:build unix

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// endings are the signals that end a process. SIGKILL comes most often, since it leaves no time to save.
var endings = []syscall.Signal{syscall.SIGKILL, syscall.SIGKILL, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}

// moment returns a random moment of a command that takes about that long.
func (r *round) moment(whole time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(whole) + int64(time.Millisecond)))
}

// next returns the command that goes on with a training that ended early: the same, or resuming it where it is a run.
func (r *round) next(kind, out string) []string {
	if _, err := os.Stat(filepath.Join(out, "config.json")); err != nil {
		return r.training(kind, out)
	}
	return []string{"train", "--resume", out, "--threads", fmt.Sprint(1 + r.IntN(2))}
}

// finish trains to the end. The weights must be those of a training that nothing disturbed.
func (r *round) finish(kind, out string) {
	if !r.must(r.next(kind, out)...) {
		return
	}
	if weights(out, steps) != r.whole[kind] {
		r.fail("the %s has other weights than one that was not disturbed", kind)
	}
	if left := leftovers(r.dir); len(left) > 0 {
		r.fail("%v are left over", left)
	}
}

// killTraining ends a training several times.
func killTraining(r *round) {
	kind, out := kinds[r.IntN(len(kinds))], filepath.Join(r.dir, "run")
	for range 1 + r.IntN(5) {
		r.do(command{args: r.next(kind, out), signal: endings[r.IntN(len(endings))], after: r.moment(r.took[kind])})
	}
	r.finish(kind, out)
}

// again runs a verb a second time, after it was disturbed. It must make what an undisturbed one makes.
func (r *round) again(name, out string) {
	e := r.do(command{args: r.verbs(out)[name]})
	complete := maps.Equal(tree(out), r.made[name])
	if e.status != 0 && !(complete && strings.Contains(e.text, "in the way")) {
		r.fail("%s again: status %d: %.2000s", name, e.status, e.text)
	} else if !complete {
		r.fail("%s again made other files", name)
	}
	if left := leftovers(r.dir); len(left) > 0 {
		r.fail("%s: %v are left over", name, left)
	}
}

// verb returns the name of one of the verbs.
func (r *round) verb() string {
	names := slices.Sorted(maps.Keys(r.verbs("")))
	return names[r.IntN(len(names))]
}

// killVerb ends another verb than a training.
func killVerb(r *round) {
	name, out := r.verb(), filepath.Join(r.dir, "made")
	r.do(command{args: r.verbs(out)[name], signal: endings[r.IntN(len(endings))], after: r.moment(r.took[name])})
	r.again(name, out)
}
