package serve_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// page returns docs/serving.md.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/serving.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocumentedRequests sends every curl command of docs/serving.md to a server, which must answer it.
func TestDocumentedRequests(t *testing.T) {
	s := start(t, all)
	n := 0
	for _, m := range regexp.MustCompile(`(?m)^curl http://127\.0\.0\.1:8080(\S+)(?: -H "[^"]*")?(?: -d '([^']*)')?$`).FindAllStringSubmatch(page(t), -1) {
		method := "GET"
		if m[2] != "" {
			method = "POST"
		}
		if got := s.do(method, m[1], m[2]); got.status != 200 {
			t.Errorf("%s: status %d, %s", m[0], got.status, got.body)
		}
		n++
	}
	if want := strings.Count(page(t), "\ncurl "); n != want || n < 10 {
		t.Errorf("%d of %d commands were tried", n, want)
	}
}

// TestDocumentedMetrics checks that docs/serving.md lists all metrics of the server's own, and no others.
func TestDocumentedMetrics(t *testing.T) {
	s := start(t, nil)
	ok[texts](s, "/v1/completions", `{"max_tokens":8}`)
	documented, served := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile("`(calm_\\w+)`").FindAllStringSubmatch(page(t), -1) {
		documented[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (calm_\w+)`).FindAllStringSubmatch(s.do("GET", "/metrics", "").body, -1) {
		served[m[1]] = true
		if !documented[m[1]] {
			t.Errorf("docs/serving.md does not have %s", m[1])
		}
	}
	for name := range documented {
		if !served[name] {
			t.Errorf("docs/serving.md has %s, which is not served", name)
		}
	}
}
