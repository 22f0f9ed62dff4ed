package corpus

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A preparation that is killed at any moment leaves a directory that does not count
// as prepared. The next one ends with the same files as one that was never stopped.
// The moments tested are between and within the writes of each file.
func TestPrepareAfterKill(t *testing.T) {
	texts := someTexts(60, 1)
	whole := t.TempDir()
	mustPrepare(t, whole, small, texts...)
	want := contents(t, whole)
	shards := 0
	for name := range want {
		if isShardName(name) {
			shards++
		}
	}
	if shards < 4 || len(want) != shards+2 {
		t.Fatalf("%d shards in %d files", shards, len(want))
	}

	moments := map[string]map[string]string{}
	for done := range shards + 1 {
		files := map[string]string{}
		for i := range done {
			files[shardName(i)] = want[shardName(i)]
		}
		at := func(what string, extra ...string) {
			m := maps.Clone(files)
			for i := 0; i < len(extra); i += 2 {
				m[extra[i]] = extra[i+1]
			}
			moments[fmt.Sprintf("%d shards, %s", done, what)] = m
		}
		at("nothing begun")
		if done == shards {
			at("tokenizer half", "."+tokenizerName+".1x.tmp", "{")
			at("tokenizer written", tokenizerName, want[tokenizerName])
			at("manifest half", tokenizerName, want[tokenizerName], "."+manifestName+".1x.tmp", want[manifestName][:40])
			at("manifest beside", tokenizerName, want[tokenizerName], "."+manifestName+".1x.tmp", want[manifestName])
			continue
		}
		next := want[shardName(done)]
		zeros := strings.Repeat("\x00", headerSize)
		for _, n := range []int{0, 50, headerSize, headerSize + 333, len(next) - 1} {
			begun := next[:n]
			if n > headerSize {
				begun = zeros + next[headerSize:n]
			}
			at(fmt.Sprint(n, " bytes"), shardName(done)+".tmp", begun)
			// Some file systems may rename a file before its data are written.
			at(fmt.Sprint(n, " bytes renamed"), shardName(done), next[:n])
		}
		at("whole beside", shardName(done)+".tmp", next)
		at("damaged", shardName(done), next[:500]+"\xff\xff"+next[502:])
	}
	if len(moments) < 40 {
		t.Fatalf("only %d moments", len(moments))
	}
	for name, files := range moments {
		dir := put(t, files)
		if _, err := Open(dir); err == nil || IsPrepared(dir) {
			t.Fatalf("%s: counts as prepared", name)
		} else if len(files) > 0 && slices.ContainsFunc(slices.Collect(maps.Keys(files)), isShardName) && !strings.Contains(err.Error(), "again to finish") {
			t.Errorf("%s: %v", name, err)
		}
		c, err := Prepare(context.Background(), given(texts...), bytesTokenizer, dir, small)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.Close()
		got := contents(t, dir)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: other files", name)
		}
	}
}

// TestMain prepares a corpus if TestPrepareKilled runs the test binary for that.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CALM_TEST_PREPARE"); dir != "" {
		if _, err := Prepare(context.Background(), slowly(someTexts(150, 1)), bytesTokenizer, dir, PrepareOptions{ShardBytes: 300000}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// slowly yields texts slowly, to leave time for a kill. Every tenth is long, so that
// jobs are filled.
func slowly(texts []string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for i, text := range killTexts(texts) {
			time.Sleep(500 * time.Microsecond)
			if !yield(Document{Text: []byte(text), Source: "test", Line: i + 1}, nil) {
				return
			}
		}
	}
}

func killTexts(texts []string) []string {
	texts = slices.Clone(texts)
	for i := 0; i < len(texts); i += 10 {
		texts[i] = strings.Repeat(texts[i], jobSize/len(texts[i])+1)
	}
	return texts
}

// A preparation that is killed again and again is completed at last.
func TestPrepareKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	want := mustTokenize(t, killTexts(someTexts(150, 1))...).Fingerprint()
	dir := t.TempDir()
	killed := 0
	for wait := 30 * time.Millisecond; ; wait += 30 * time.Millisecond {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), "CALM_TEST_PREPARE="+dir)
		stderr, err := command.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(wait, func() { command.Process.Kill() })
		said, _ := io.ReadAll(stderr)
		err = command.Wait()
		kill.Stop()
		if err == nil {
			break
		}
		if len(said) > 0 {
			t.Fatalf("%s", said)
		}
		killed++
	}
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Verify(context.Background(), nil); err != nil || c.Fingerprint() != want {
		t.Errorf("another corpus (%v)", err)
	}
	if killed == 0 {
		t.Error("it was never killed")
	}
	t.Logf("killed %d times", killed)
}
