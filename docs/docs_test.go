package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const root = ".."

// walk calls visit with the content of every file of the repository whose name ends in suffix. Names are relative to the root.
func walk(t *testing.T, suffix string, visit func(name, text string)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(e.Name(), ".") && path != root:
			return fs.SkipDir
		case e.IsDir() || !strings.HasSuffix(e.Name(), suffix):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		n++
		visit(filepath.ToSlash(name), string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 10 {
		t.Errorf("only %d files end in %s", n, suffix)
	}
}

// prose returns a page without its code blocks.
func prose(page string) string {
	var b strings.Builder
	code := false
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "```") {
			code = !code
			continue
		}
		if !code {
			b.WriteString(line)
		}
	}
	return b.String()
}

// anchors returns the anchors of a page's headings, as GitHub makes them.
func anchors(page string) (list []string) {
	for line := range strings.Lines(prose(page)) {
		title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !ok || line[0] != '#' {
			continue
		}
		list = append(list, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title)))
	}
	return list
}

var (
	link   = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	source = regexp.MustCompile("`([a-z_./]+/[A-Za-z0-9_./-]+\\.(?:go|sh|py|md|s|txt))`")
)

// TestLinks: every link to a file of the repository names one that exists, and an anchor that is a heading there. So does
// every path of a source file in a page.
func TestLinks(t *testing.T) {
	links := 0
	walk(t, ".md", func(name, page string) {
		text := prose(page)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			path, anchor, anchored := strings.Cut(m[1], "#")
			target := filepath.Join(root, filepath.Dir(name), path)
			if path == "" {
				target = filepath.Join(root, name)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s: %v", name, m[1], err)
				continue
			}
			if !anchored {
				continue
			}
			linked, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s: the link %s: %v", name, m[1], err)
			} else if list := anchors(string(linked)); !slices.Contains(list, anchor) {
				t.Errorf("%s: the link %s: no heading has this anchor, of %v", name, m[1], list)
			}
		}
		if name == "docs/log.md" || strings.HasPrefix(name, "corpus/") { // these have names of another time and place
			return
		}
		for _, m := range source.FindAllStringSubmatch(text, -1) {
			if strings.HasSuffix(m[1], "/name.go") { // a placeholder
				continue
			}
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s names a file that does not exist: %v", name, err)
			}
		}
	})
	if links < 60 {
		t.Errorf("only %d links were found", links)
	}
}

// TestSections: every section of docs/spec.md that the code or a page cites exists.
func TestSections(t *testing.T) {
	spec, err := os.ReadFile("spec.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^##+ ([0-9](?:\.[0-9])?)\.? `).FindAllStringSubmatch(string(spec), -1) {
		sections[m[1]] = true
	}
	cited := 0
	citation := regexp.MustCompile(`docs/spec\.md,\s+(?://\s+)?sections?\s+(?://\s+)?([0-9](?:\.[0-9])?)`)
	for _, suffix := range []string{".go", ".md"} {
		walk(t, suffix, func(name, text string) {
			for _, m := range citation.FindAllStringSubmatch(text, -1) {
				cited++
				if !sections[m[1]] {
					t.Errorf("%s cites section %s of docs/spec.md, which does not exist", name, m[1])
				}
			}
		})
	}
	if cited < 50 || len(sections) != 11 {
		t.Errorf("%d citations, sections %v", cited, sections)
	}
}

// TestNamedTests: every test that docs/golden.md names exists.
func TestNamedTests(t *testing.T) {
	page, err := os.ReadFile("golden.md")
	if err != nil {
		t.Fatal(err)
	}
	exist := map[string]bool{}
	test := regexp.MustCompile(`(?m)^func (TestGolden\w+)\(`)
	walk(t, "_test.go", func(_, text string) {
		for _, m := range test.FindAllStringSubmatch(text, -1) {
			exist[m[1]] = true
		}
	})
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`TestGolden\w+(\.\.\.)?`).FindAllStringSubmatch(string(page), -1) {
		name := strings.TrimSuffix(m[0], "...")
		named[name] = true
		found := exist[name]
		for other := range exist {
			found = found || m[1] != "" && strings.HasPrefix(other, name)
		}
		if !found {
			t.Errorf("docs/golden.md names %s, which does not exist", m[0])
		}
	}
	for name := range exist {
		if !named[name] && !strings.HasPrefix(name, "TestGoldenTokenizer") {
			t.Errorf("docs/golden.md does not name %s", name)
		}
	}
}
