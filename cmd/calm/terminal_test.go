package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/creack/pty"
	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/calm-go/calm/internal/terminal"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/train"
)

// openTerminal returns the two ends of a pseudo-terminal: bytes written to tty can be read from screen.
func openTerminal(t *testing.T, columns int) (screen, tty *os.File) {
	t.Helper()
	screen, tty, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { screen.Close(); tty.Close() })
	if _, err := term.MakeRaw(int(tty.Fd())); err != nil { // otherwise a line break becomes two characters
		t.Fatal(err)
	}
	resize(t, screen, columns)
	t.Setenv("TERM", "xterm")
	return screen, tty
}

func resize(t *testing.T, screen *os.File, columns int) {
	t.Helper()
	if err := pty.Setsize(screen, &pty.Winsize{Rows: 24, Cols: uint16(columns)}); err != nil {
		t.Fatal(err)
	}
}

// onTerminal runs the command with all output going to a terminal, and returns that output.
func onTerminal(t *testing.T, columns int, in string, args ...string) (status int, seen string) {
	t.Helper()
	screen, tty := openTerminal(t, columns)
	all := make(chan string)
	go func() {
		var b bytes.Buffer
		_, _ = io.Copy(&b, screen) // returns an error when the other end is closed
		all <- b.String()
	}()
	status = execute(args, strings.NewReader(in), tty, tty)
	tty.Close()
	return status, <-all
}

// own removes the control sequences of a line of progress.
var own = strings.NewReplacer("\r\x1b[J", "", "\r", "", "\x1b[K", "")

// obeyed returns the first control character that is not part of calm's own sequences.
func obeyed(seen string) (rune, bool) {
	for _, r := range own.Replace(seen) {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return r, true
		}
	}
	return 0, false
}

// TestNothingSteersTheTerminal checks that control characters in generated text, names, prompts, keys and texts reach a terminal only
// in a visible form. So they reach a pipe, which may lead to a file that somebody looks at; only generated text and JSON reach it
// unchanged.
func TestNothingSteersTheTerminal(t *testing.T) {
	r, work := tinyRuns(t), t.TempDir()
	const bad = "\x1b[2J\a\u009b1m"
	t.Chdir(work)
	lm := filepath.Join(work, bad+"lm")
	if err := os.Rename(r.lm, lm); err != nil {
		t.Fatal(err)
	}
	text := bad + ".txt"
	if err := os.WriteFile(text, []byte(strings.Repeat(bad+" a whale\n", 200)), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HF_ENDPOINT", rudeServer(t, "HTTP/1.1 503 "+bad+"\r\nContent-Length: 5\r\n\r\n\x1b[2J"+"\n"))
	t.Setenv("HF_HOME", t.TempDir())
	must(t, "export", r.ae, "good")
	for name, change := range map[string]func(map[string]any){
		"key":   func(keys map[string]any) { keys[bad] = 1 },
		"value": func(keys map[string]any) { keys["hidden_act"] = bad },
		"class": func(keys map[string]any) { keys["architectures"] = []string{bad} },
	} {
		data, err := os.ReadFile("good/config.json")
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]any
		if err := json.Unmarshal(data, &keys); err != nil {
			t.Fatal(err)
		}
		change(keys)
		data, err = json.Marshal(keys)
		if err = errors.Join(err, os.CopyFS(name, os.DirFS("good")), os.WriteFile(name+"/config.json", data, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS("tensor", os.DirFS("good")); err != nil {
		t.Fatal(err)
	}
	surplus(t, "tensor/model.safetensors", []string{bad, bad + "2"})
	controls := 0
	for _, c := range []struct {
		in   string
		args []string
	}{
		{"", []string{"generate", r.ar, "--prompt", "a", "--seed", "1"}}, {"", []string{"generate", r.ar, "--prompt", "a", "--seed", "2"}},
		{"", []string{"generate", r.ar, "--prompt", bad}}, {bad, []string{"generate", lm, "--prompt", "-"}},
		{"", []string{"generate", r.ar, "--prompt", bad + strings.Repeat("long", 10)}}, {"", []string{"generate", r.ar, "--prompt", bad, "-n", "2", "--max-tokens", "70"}},
		{"", []string{"generate", r.ar, "--prompt", bad, "--json"}}, {"", []string{"generate", r.ar, "--prompt-file", text}}, {"", []string{"generate", r.ar, "--stop", "\xff" + bad}},
		{"", []string{"generate", r.ar, "--context-full", bad}}, {"", []string{"generate", r.ar, "--prompt-file", bad}},
		{"27 91 50 74 155", []string{"tokenizer", "decode"}},
		{"", []string{"eval", lm}}, {"", []string{"eval", r.ar, "--data", text}}, {"", []string{"info", lm}}, {"", []string{"info", bad}},
		{"", []string{"train", "--resume", lm}}, {"", trainTiny("ae", bad+"ae", text, "--steps", "3")},
		{"", trainTiny("ae", "x", bad)}, {"", trainTiny("ae", "x", text, "--set", bad+"=3")}, {"", trainTiny("ae", "x", text, "--tokenizer", bad)},
		{"", []string{"data", "info", text}}, {"", []string{"data", "prepare", "--data", text, "--out", bad + "out"}},
		{"", []string{"tokenizer", "train", "--data", text, "--out", bad + ".json", "--vocab", "262"}},
		{"", []string{"export", lm, bad + "exported"}}, {"", []string{"import", bad + "exported", bad + "back"}}, {"", []string{"import", bad, "x"}},
		{"", []string{"import", "key", "x"}}, {"", []string{"import", "value", "x"}}, {"", []string{"import", "class", "x"}}, {"", []string{"import", "tensor", "x"}},
		{"", []string{"import", "org/rude", "x"}}, {"", trainTiny("ae", "x", text, "--config", "key/config.json")},
		{"", []string{bad}}, {"", []string{"train", "--" + bad}}, {"", []string{"eval", lm, "--blocks", bad}}, {"", []string{"bench", "generate", lm, "--seconds", "0.001", "--prompt", "4"}},
	} {
		_, seen := onTerminal(t, 80, c.in, c.args...)
		if r, is := obeyed(seen); is {
			t.Errorf("calm %q: the terminal gets %q in\n%q", c.args, r, seen)
		}
		piped := calmWith(c.in, c.args...)
		if r, is := obeyed(piped.errOut); is {
			t.Errorf("calm %q: standard error has %q in\n%q", c.args, r, piped.errOut)
		}
		if r, is := obeyed(piped.out); is && c.args[0] != "generate" && c.args[1] != "decode" {
			t.Errorf("calm %q: a pipe gets %q in\n%q", c.args, r, piped.out)
		}
		if c.args[0] != "generate" {
			continue
		}
		for line := range strings.Lines(terminal.Visible(piped.out)) { // what standard error says stands between lines
			if !strings.Contains(seen, line) && !slices.Contains(c.args, "--json") { // which says how many seconds it took
				t.Errorf("calm %q: the terminal gets\n%q, a pipe\n%q", c.args, seen, piped.out)
			}
		}
		if _, is := obeyed(piped.out); is {
			controls++
		}
	}
	if controls < 4 {
		t.Errorf("only %d pipes got control characters: the test needs more", controls)
	}
	if _, seen := onTerminal(t, 80, "27 91 50 74", "tokenizer", "decode"); seen != "␛[2J" {
		t.Errorf("an escape is shown as %q", seen)
	}
}

// TestDecodeToPipe checks that tokenizer decode writes every byte unchanged to a pipe.
func TestDecodeToPipe(t *testing.T) {
	var ids, want strings.Builder
	for b := range 256 {
		fmt.Fprintf(&ids, "%d ", b)
		want.WriteByte(byte(b))
	}
	got := calmWith(ids.String(), "tokenizer", "decode")
	if got.status != exitDone || got.out != want.String() {
		t.Errorf("%v", got)
	}
}

// event returns the event of a training step with all values set.
func event(step int) train.Event {
	e := train.Event{Kind: train.EventStep, Report: train.Report{Step: step, Loss: 123.456789}, Total: 123456, Remaining: 7384, TokensPerSec: 123456}
	for _, name := range []string{"energy_loss", "token_loss", "token_brier_1", "token_brier_2", "anchor_loss", "diffusion_mse", "diffusion_vb"} {
		e.Metrics = append(e.Metrics, metric.Metric{Name: name, Value: 12.3456})
	}
	return e
}

// TestProgressOnTerminal shows progress on a pseudo-terminal whose width changes. After each refresh the screen must have one
// line, with step, loss and time left first.
func TestProgressOnTerminal(t *testing.T) {
	screen, tty := openTerminal(t, 80)
	p := newProgress(terminal.New(tty), "language model")
	shown := testkit.NewScreen(80, true)
	// read reads the output since the last call, which must end with end, and shows it on the simulated screen.
	read := func(end string) {
		t.Helper()
		const mark = 0
		if _, err := tty.Write([]byte{mark}); err != nil { // marks the end of the output
			t.Fatal(err)
		}
		var b []byte
		for buf := make([]byte, 4096); len(b) == 0 || b[len(b)-1] != mark; {
			n, err := screen.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, buf[:n]...)
		}
		if b = b[:len(b)-1]; !bytes.HasSuffix(b, []byte(end)) {
			t.Fatalf("the terminal gets %q, want an end of %q", b, end)
		}
		_, _ = shown.Write(b)
	}
	var widths []int
	for w := 20; w <= 200; w++ {
		widths = append(widths, w)
	}
	widths = append(widths, 80, 79, 40, 200, 100, 99, 20, 60, 120)
	for i, w := range widths {
		resize(t, screen, w)
		shown.Resize(w)
		for j := range 3 {
			p.shown = time.Time{} // the next line is due
			p.event(event(1000*i + j))
			read("\x1b[K")
		}
		rows := shown.Rows()
		if len(rows) != 1 || runewidth.StringWidth(rows[0]) >= w {
			t.Fatalf("%d columns show %q", w, rows)
		}
		for k, part := range []string{"step ", "loss 123.5", "2h3m4s left"} {
			at := len("language model step 123456/123456  loss 123.5  2h3m4s left") + 1
			if !strings.Contains(rows[0], part) && (k == 0 || w > at) {
				t.Errorf("%d columns: no %q in %q", w, part, rows[0])
			}
		}
	}
	p.event(train.Event{Kind: train.EventMeasured, Report: train.Report{Step: 10}, Measured: []metric.Metric{{Name: metric.BrierLM, Value: math.NaN()}, {Name: "brier_1", Value: 3}}})
	read("\n")
	p.shown = time.Time{}
	p.event(event(10))
	read("\x1b[K")
	if rows := shown.Rows(); len(rows) != 2 || rows[0] != "language model step 10, held out: brier lm not measurable, brier 1 3" {
		t.Errorf("a measurement is shown as %q", rows)
	}
	p.End()
	read("\x1b[K")
	if rows := shown.Rows(); len(rows) != 1 {
		t.Errorf("at the end the screen has %q", rows)
	}
}

// TestVerbsShowProgress checks that slow commands show their progress on a terminal, and remove it at the end.
func TestVerbsShowProgress(t *testing.T) {
	r := tinyRuns(t)
	for _, c := range []struct {
		want string // in the line of progress, and not on the screen at the end
		args []string
	}{
		{"step 1/2", trainTiny("ar", filepath.Join(t.TempDir(), "ar"), r.text, "--steps", "2")},
		{"eval block ", []string{"eval", r.ae}}, {"eval block ", []string{"eval", r.lm}}, {"eval block ", []string{"eval", r.ar}},
	} {
		status, seen := onTerminal(t, 60, "", c.args...)
		shown := testkit.NewScreen(60, true)
		_, _ = shown.Write([]byte(seen))
		if left := strings.Join(shown.Rows(), "\n"); status != exitDone || strings.Contains(left, c.want) || left == "" {
			t.Errorf("calm %q: status %d, at the end the screen has\n%s", c.args, status, left)
		}
		during := false
		for _, line := range strings.FieldsFunc(seen, func(r rune) bool { return r == '\r' || r == '\n' }) {
			line, over := strings.CutSuffix(line, "\x1b[K")
			during = during || over && strings.Contains(line, c.want)
			if over && runewidth.StringWidth(line) >= 60 {
				t.Errorf("calm %q: a line of more than 60 columns, %q", c.args, line)
			}
		}
		if !during {
			t.Errorf("calm %q: no %q in %q", c.args, c.want, seen)
		}
	}
}

// TestNotMeasurable checks that all commands show a BrierLM without a value as "not measurable".
func TestNotMeasurable(t *testing.T) {
	r, lm := tinyRuns(t), filepath.Join(t.TempDir(), "lm")
	trained := must(t, trainTiny("lm", lm, r.text, "--ae", r.ae, "--steps", "1")...)
	for what, text := range map[string]string{"train": trained.out, "progress": trained.errOut, "eval": must(t, "eval", lm).out} {
		want := "not measurable: a Brier score is not above 0\n"
		if what == "progress" {
			want = "brier lm not measurable, "
		}
		if !strings.Contains(text, want) || strings.Contains(text, "brier lm 0") {
			t.Errorf("%s: no %q in\n%s", what, want, text)
		}
	}
}

// rudeServer answers every request with the same bytes, and returns its address.
func rudeServer(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, answer)
			c.Close()
		}
	}()
	return "http://" + l.Addr().String()
}
