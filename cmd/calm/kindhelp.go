package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/docs"
	"github.com/calm-go/calm/run"
)

// configKey is a key of a configuration with its value in a preset and its documentation.
type configKey struct {
	name, value string // value is JSON, "" where the preset does not have the key
	documented
}

// documented is the documentation of a key: a row of a table in docs/formats.md.
type documented struct{ typ, values, heads, meaning string }

// sections lists, for each kind, the sections of docs/formats.md that document its keys. The second is the kind's own.
var sections = map[run.Kind][]string{run.AE: {"Training", "Autoencoder"}, run.LM: {"Training", "Language model"}, run.AR: {"Training", "Baseline", "Language model"}}

// configKeys lists the keys that --set takes for a new run of a kind, with their values in a preset changed by assignments.
func configKeys(kind run.Kind, preset string, set []string) ([]configKey, error) {
	m, err := run.Shape(preset, kind, true, set)
	if err != nil {
		return nil, err
	}
	data, err := config.Encode(m.Config())
	if err != nil {
		return nil, err
	}
	var tables []table
	for _, section := range sections[kind] {
		tables = append(tables, keyTable(section))
	}
	var keys []configKey
	for name, value := range members(data) {
		for _, t := range tables {
			if row, ok := t.rows[name]; ok {
				keys = append(keys, configKey{name, value, row})
				break
			}
		}
	}
	for _, name := range tables[1].names {
		if !slices.ContainsFunc(keys, func(k configKey) bool { return k.name == name }) {
			keys = append(keys, configKey{name, "", tables[1].rows[name]})
		}
	}
	return keys, nil
}

// members iterates over the keys and values of a JSON object in order.
func members(data []byte) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		d := jsontext.NewDecoder(bytes.NewReader(data))
		if _, err := d.ReadToken(); err != nil {
			return
		}
		for d.PeekKind() == '"' {
			name, errName := d.ReadToken()
			key := name.String() // the token is invalid after the next read
			value, errValue := d.ReadValue()
			if errName != nil || errValue != nil || !yield(key, string(value)) {
				return
			}
		}
	}
}

// table contains the keys of a section of docs/formats.md.
type table struct {
	names []string
	rows  map[string]documented
}

var inBackticks = regexp.MustCompile("`([^`]*)`")

// keyTable reads the tables of a section. The first row of a table names its columns.
func keyTable(section string) table {
	t := table{rows: map[string]documented{}}
	_, text, _ := strings.Cut(docs.Formats, "\n### "+section+"\n")
	text, _, _ = strings.Cut(text, "\n#")
	var columns []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[0] == "key" {
			columns = cells
			continue
		}
		cell := func(name string) string {
			if i := slices.Index(columns, name); i >= 0 && i < len(cells) {
				return cells[i]
			}
			return ""
		}
		row := documented{cell("type"), cell("range"), cell("heads"), cell("meaning")}
		for _, m := range inBackticks.FindAllStringSubmatch(cells[0], -1) {
			t.names, t.rows[m[1]] = append(t.names, m[1]), row
		}
	}
	return t
}

// options lists the values of a key that is one of a few words.
func (d documented) options() (list []string) {
	for _, m := range inBackticks.FindAllStringSubmatch(d.values, -1) {
		list = append(list, m[1])
	}
	if d.typ != "string" {
		return nil
	}
	return list
}

var link = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)

// brief returns the first sentence of a key's documentation, without Markdown.
func (d documented) brief() string {
	text := strings.ReplaceAll(link.ReplaceAllString(d.meaning, "$1"), "`", "")
	text, _, _ = strings.Cut(text, ". ")
	if list := d.options(); len(list) > 1 {
		text += " [" + strings.Join(list, ", ") + "]"
	}
	if d.heads != "" && d.heads != "every head" {
		text += " (" + d.heads + ")"
	}
	return text
}

// writeKeys prints the keys of a kind, as a part of its --help.
func writeKeys(w io.Writer, kind run.Kind, preset string, set []string) error {
	keys, err := configKeys(kind, preset, set)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nKeys for --set and --config, with the values of the preset %s (docs/formats.md has their ranges):\n", preset)
	const column = 36
	for _, k := range keys {
		assignment := k.name + "=" + strings.Trim(k.value, `"`)
		if k.value == "" {
			assignment = k.name + " (absent)"
		}
		if len(assignment) >= column-3 {
			fmt.Fprintf(w, "  %s\n", assignment)
			assignment = ""
		}
		fmt.Fprintf(w, "  %-*s %s\n", column-3, assignment, wrapped(k.brief(), 118-column, column))
	}
	return nil
}

// wrapped breaks text into lines of at most width bytes. All but the first are indented.
func wrapped(text string, width, indent int) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n"+strings.Repeat(" ", indent))
}
