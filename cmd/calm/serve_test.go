package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serving is a running calm serve.
type serving struct {
	cmd    *exec.Cmd
	url    string
	said   string // on standard output, from its start
	errOut *bytes.Buffer
}

// startServe starts calm serve at a free port, and waits until it has said how to use it.
func startServe(t *testing.T, args ...string) *serving {
	t.Helper()
	s := &serving{cmd: calmProcess(t, append([]string{"serve", "--addr", "127.0.0.1:0", "--threads", "1"}, args...)...), errOut: &bytes.Buffer{}}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = s.errOut
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() }) // where the test has not ended it
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		s.said += lines.Text() + "\n"
		if _, url, ok := strings.Cut(lines.Text(), "listens on "); ok {
			s.url = url
		}
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			return s
		}
	}
	t.Fatalf("it says %q, %v", s.said, s.cmd.Wait())
	return nil
}

// stop sends a signal and checks that the server ends with a status.
func (s *serving) stop(t *testing.T, signal os.Signal, status int) {
	t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait() // ProcessState has the status
	if got := s.cmd.ProcessState.ExitCode(); got != status {
		t.Errorf("the server ended with status %d, want %d: %s", got, status, s.errOut)
	}
}

// wordsOf splits a line as a shell does, with variables.
func wordsOf(line string) (words []string) {
	word, begun, quote := "", false, rune(0)
	for _, c := range line {
		switch {
		case quote == 0 && (c == '\'' || c == '"'):
			quote, begun = c, true
		case c == quote:
			quote = 0
		case quote == 0 && (c == ' ' || c == '\n'):
			if begun {
				words = append(words, word)
			}
			word, begun = "", false
		default:
			word, begun = word+string(c), true
		}
	}
	if begun {
		words = append(words, word)
	}
	return words
}

// curl does what a curl command line does.
func curl(t *testing.T, line string) (status int, body string) {
	t.Helper()
	words := wordsOf(os.ExpandEnv(line))
	if len(words) < 2 || words[0] != "curl" {
		t.Fatalf("%q is no curl command", line)
	}
	method, data, header := "GET", "", http.Header{}
	for i := 2; i+1 < len(words); i += 2 {
		switch words[i] {
		case "-d":
			method, data = "POST", words[i+1]
		case "-H":
			name, value, _ := strings.Cut(words[i+1], ": ")
			header.Set(name, value)
		default:
			t.Fatalf("%q: the option %s", line, words[i])
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, words[1], strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	all, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, string(all)
}

// TestServe starts the server as a user does, uses it as it says, compares its texts with those of calm generate, and ends it
// with a signal.
func TestServe(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	r := tinyRuns(t)
	t.Setenv(keyVariable, "secret")
	s := startServe(t, r.lm, r.ar)
	for _, want := range []string{"calm serve listens on http://127.0.0.1:", "model lm: " + r.lm, "model ar: " + r.ar, `-H "Authorization: Bearer $CALM_API_KEY"`} {
		if !strings.Contains(s.said, want) {
			t.Errorf("it does not say %q: %s", want, s.said)
		}
	}
	_, line, _ := strings.Cut(s.said, "Try it:\n  ")
	line, _, _ = strings.Cut(line, "\n")
	if status, body := curl(t, line); status != 200 || !strings.Contains(body, `"text_completion"`) {
		t.Errorf("%s: status %d, %s", line, status, body)
	}
	if status, _ := curl(t, strings.Replace(line, "$CALM_API_KEY", "wrong", 1)); status != 401 {
		t.Errorf("with a wrong key: status %d", status)
	}
	for _, c := range []struct {
		fields string
		flags  []string
	}{
		{`"model":"lm","prompt":"Call me","seed":7,"max_tokens":40`, []string{r.lm, "--prompt", "Call me", "--seed", "7", "--max-tokens", "40"}},
		{`"model":"lm","prompt":"Call me","seed":7,"n":3`, []string{r.lm, "--prompt", "Call me", "--seed", "7", "-n", "3"}},
		{`"model":"lm","prompt":"the whale","temperature":0.5,"draws":9,"sampler":"batch"`, []string{r.lm, "--prompt", "the whale", "--temperature", "0.5", "--draws", "9", "--sampler", "batch"}},
		{`"model":"lm","temperature":0,"max_tokens":30,"stop":["e"],"context":16`, []string{r.lm, "--temperature", "0", "--max-tokens", "30", "--stop", "e", "--context", "16"}},
		{`"model":"ar","prompt":"the whale","temperature":0.7`, []string{r.ar, "--prompt", "the whale", "--temperature", "0.7"}},
	} {
		if !strings.Contains(c.fields, "seed") {
			c.fields += `,"seed":0`
		}
		status, body := curl(t, fmt.Sprintf(`curl %s/v1/completions -H "Authorization: Bearer secret" -d '{%s}'`, s.url, c.fields))
		var got struct{ Choices []struct{ Text string } }
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
			t.Fatalf("%s: status %d, %s", c.fields, status, body)
		}
		var texts []string
		for _, choice := range got.Choices {
			texts = append(texts, choice.Text)
		}
		var want []string
		for line := range strings.Lines(must(t, append([]string{"generate", "--json", "--threads", "1"}, c.flags...)...).out) {
			want = append(want, object(t, line)["text"].(string))
		}
		if fmt.Sprintf("%q", texts) != fmt.Sprintf("%q", want) {
			t.Errorf("%s: %q, calm generate writes %q", c.fields, texts, want)
		}
	}
	s.stop(t, syscall.SIGTERM, exitDone)
	if s.errOut.Len() > 0 {
		t.Errorf("it says %q", s.errOut)
	}
}

// TestServeSecondSignal checks that a second signal ends a server that waits for a request.
func TestServeSecondSignal(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := startServe(t, tinyRuns(t).lm, "--drain", "1m")
	got, err := http.Post(s.url+"/v1/completions", "application/json", strings.NewReader(`{"stream":true,"max_tokens":30000}`))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		health, err := http.Get(s.url + "/health")
		if err != nil {
			break // it has ended: the text was short
		}
		health.Body.Close()
		if health.StatusCode == 503 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not drain")
		}
	}
	begun := time.Now()
	_ = s.cmd.Process.Signal(os.Interrupt) // it may have ended
	_ = s.cmd.Wait()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v to end", took)
	}
}

// TestServeNewest checks that without a run the newest one under runs/ that can write is served.
func TestServeNewest(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	r, work := tinyRuns(t), t.TempDir()
	t.Chdir(work)
	for i, from := range []string{r.lm, r.ar, r.ae} { // an autoencoder is newer, and cannot write
		dir := filepath.Join("runs", filepath.Base(from))
		if i == 1 {
			dir = filepath.Join("runs", "deep", "ar")
		}
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(time.Duration(i-10) * time.Minute)
		if err := os.Chtimes(filepath.Join(dir, "model.safetensors"), when, when); err != nil {
			t.Fatal(err)
		}
	}
	s := startServe(t)
	if !strings.Contains(s.said, "model ar: "+filepath.Join("runs", "deep", "ar")) {
		t.Errorf("it says %q", s.said)
	}
	s.stop(t, os.Interrupt, exitDone)
}

// TestServeMistakes checks that mistakes give one sentence and status 2.
func TestServeMistakes(t *testing.T) {
	r := tinyRuns(t)
	t.Chdir(t.TempDir())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	none := file(t, "keys", "# none\n\n")
	for want, args := range map[string][]string{
		"no run under runs/":         nil,
		"quickstart":                 nil,
		"gone":                       {"gone"},
		"given twice":                {r.lm, r.lm + "/"},
		"--max-loaded 0":             {r.lm, "--max-loaded", "0"},
		"--max-streams 0":            {r.lm, "--max-streams", "0"},
		"--queue -1":                 {r.lm, "--queue", "-1"},
		"--max-tokens 0":             {r.lm, "--max-tokens", "0"},
		"--max-body 0":               {r.lm, "--max-body", "0"},
		"--timeout 0s":               {r.lm, "--timeout", "0"},
		"a time such as 90s":         {r.lm, "--timeout", "soon"},
		"--drain -1s":                {r.lm, "--drain", "-1s"},
		"--temperature 1.5":          {r.lm, "--temperature", "1.5"},
		`--sampler "nucleus"`:        {r.lm, "--sampler", "nucleus"},
		"--draws 10001":              {r.lm, "--draws", "10001"},
		"--api-key is empty":         {r.lm, "--api-key", ""},
		"choose one":                 {r.lm, "--api-key", "a", "--api-key-file", none},
		"there is no key in it":      {r.lm, "--api-key-file", none},
		"no such file":               {r.lm, "--api-key-file", "nokeys"},
		"address already in use":     {r.lm, "--addr", taken.Addr().String()},
		"--addr nowhere":             {r.lm, "--addr", "nowhere"},
		"good.example":               {r.lm, "--addr", "127.0.0.1:0", "--cors", "good.example"},
		"only these keys can be set": {r.lm, "--addr", "127.0.0.1:0", "--set", "hidden_size=3"},
	} {
		got := calmRun(append([]string{"serve"}, args...)...)
		if got.status != exitUsage {
			t.Errorf("calm serve %q: want status 2: %v", args, got)
		}
		checkSentence(t, got, want)
	}
	t.Setenv(keyVariable, " ")
	checkSentence(t, calmRun("serve", r.lm), keyVariable+" is empty")
}
