//go:build unix

// Command hostile attacks the command calm at random and counts what it survives. run.sh builds and starts it.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// attacks lists the kinds of attack. Each makes one round.
var attacks = map[string]func(*round){
	"kill a training":     killTraining,
	"kill another verb":   killVerb,
	"full disk, training": fillTraining,
	"full disk, verb":     fillVerb,
	"damage a run":        damageRun,
	"damage an input":     damageInput,
	"little memory":       squeeze,
	"lying hub":           lie,
}

// tally counts the rounds of one kind of attack.
type tally struct {
	rounds, faults, refused, failed int
	maxMB                           int64
}

// round is one attack, with its own random numbers.
type round struct {
	*soak
	*rand.Rand
	name  string
	seed  uint64
	dir   string // an empty directory, removed after the round
	count *tally
}

// fault counts an event that the attack caused: a signal, a full disk, a damaged byte.
func (r *round) fault() { r.count.faults++ }

// fail reports that calm did something wrong.
func (r *round) fail(format string, args ...any) {
	r.count.failed++
	fmt.Printf("FAILED seed %d, %s: %s\n", r.seed, r.name, fmt.Sprintf(format, args...))
}

func main() {
	calm := flag.String("calm", "", "the command to attack")
	work := flag.String("work", "", "a directory to make, and to remove")
	minutes := flag.Float64("minutes", 10, "minutes of attacks")
	seed := flag.Uint64("seed", 0, "the first round's seed; 0 for one of the clock")
	only := flag.String("only", "", "the only kind of attack")
	flag.Parse()
	if *calm == "" || *work == "" {
		fmt.Fprintln(os.Stderr, "hostile: start it with recipes/hostile/run.sh")
		os.Exit(2)
	}
	names := slices.Sorted(maps.Keys(attacks))
	if *only != "" {
		if attacks[*only] == nil {
			fmt.Fprintf(os.Stderr, "hostile: no attack %q: want one of %q\n", *only, names)
			os.Exit(2)
		}
		names = []string{*only}
	}
	first := cmp.Or(*seed, uint64(time.Now().UnixNano())%1_000_000_000)
	s, err := prepare(*calm, *work)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
	fmt.Printf("first seed %d\n", first)
	counts := map[string]*tally{}
	for _, name := range names {
		counts[name] = &tally{}
	}
	begun, rounds := time.Now(), 0
	for ; time.Since(begun).Minutes() < *minutes; rounds++ {
		seed := first + uint64(rounds)
		rnd := rand.New(rand.NewPCG(seed, 0))
		name := names[rnd.IntN(len(names))]
		r := &round{soak: s, Rand: rnd, name: name, seed: seed, dir: filepath.Join(s.dir, fmt.Sprint("round-", seed)), count: counts[name]}
		if err := os.Mkdir(r.dir, 0o777); err != nil {
			fmt.Fprintln(os.Stderr, "hostile:", err)
			os.Exit(1)
		}
		r.count.rounds++
		attacks[name](r)
		if err := os.RemoveAll(r.dir); err != nil {
			fmt.Fprintln(os.Stderr, "hostile:", err)
			os.Exit(1)
		}
	}
	os.Exit(report(names, counts, time.Since(begun)))
}

// report prints the table, and returns the exit status.
func report(names []string, counts map[string]*tally, took time.Duration) int {
	fmt.Printf("\n%.1f minutes\n\n", took.Minutes())
	fmt.Println("| attack | rounds | faults | refused or ended with a sentence | failures | max memory, MB |\n|---|---|---|---|---|---|")
	var all tally
	for _, name := range names {
		c := counts[name]
		fmt.Printf("| %s | %d | %d | %d | %d | %d |\n", name, c.rounds, c.faults, c.refused, c.failed, c.maxMB)
		all.rounds, all.faults, all.refused, all.failed = all.rounds+c.rounds, all.faults+c.faults, all.refused+c.refused, all.failed+c.failed
		all.maxMB = max(all.maxMB, c.maxMB)
	}
	fmt.Printf("| all | %d | %d | %d | %d | %d |\n", all.rounds, all.faults, all.refused, all.failed, all.maxMB)
	if all.failed > 0 {
		return 1
	}
	return 0
}
