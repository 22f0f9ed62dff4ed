package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Shape is a Chooser: kind chooses between the keys of a circle and those of a box.
type Shape struct {
	Kind string `json:"kind"`
	Size int    `json:"size"`
	Keys any
}

type circle struct {
	Radius float64 `json:"radius"`
	Colour string  `json:"colour"`
}

type box struct {
	Colour string  `json:"colour"`
	Width  float64 `json:"width"`
	Radius int     `json:"radius"` // a circle's is a float64
}

func (Shape) Choices() (string, []Choice) {
	return "kind", []Choice{
		{Name: "circle", Keys: circle{Radius: 1, Colour: "red"}, Ignored: Ignored{"width": "0"}},
		{Name: "box", Keys: box{Colour: "blue", Width: 3, Radius: 2}},
	}
}

type drawing struct {
	Shape
	Title string `json:"title"`
}

func (d drawing) Validate() error {
	var p Problems
	OneOf(&p, "kind", d.Kind, "circle", "box")
	if c, ok := d.Keys.(circle); ok {
		p.Check(c.Radius > 0, "radius", c.Radius, "want more than 0")
	}
	return p.Err()
}

func aCircle() drawing {
	return drawing{Shape{"circle", 5, circle{Radius: 2, Colour: "green"}}, "x"}
}

func compose(t *testing.T, over drawing, file string, sets ...string) (drawing, error) {
	t.Helper()
	path := ""
	if file != "" {
		path = filepath.Join(t.TempDir(), "my.json")
		if err := os.WriteFile(path, []byte(file), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Compose(over, path, sets)
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", ""))
	}
	return got, err
}

func TestChoice(t *testing.T) {
	for name, c := range map[string]struct {
		over drawing
		file string
		sets []string
		want any
	}{
		"as it is":                 {over: aCircle(), want: circle{2, "green"}},
		"set":                      {over: aCircle(), sets: []string{"radius=7"}, want: circle{7, "green"}},
		"another one":              {over: aCircle(), sets: []string{"width=9", "kind=box"}, want: box{"green", 9, 2}},
		"of nothing":               {file: `{"width": 4, "kind": "box"}`, want: box{"blue", 4, 2}},
		"file, then set":           {file: `{"kind": "box", "width": 4, "colour": "c"}`, sets: []string{"kind=circle"}, want: circle{1, "c"}},
		"the file's, kind set":     {file: `{"radius": 4}`, sets: []string{"kind=circle"}, want: circle{4, "red"}},
		"ignored":                  {file: `{"kind": "circle", "width": 0}`, want: circle{1, "red"}},
		"ignored by the file's":    {file: `{"kind": "circle", "width": 0, "colour": "c"}`, sets: []string{"kind=box", "width=1"}, want: box{"c", 1, 2}},
		"the last of several sets": {over: aCircle(), sets: []string{"kind=box", "kind=circle", "radius=3"}, want: circle{3, "green"}},
	} {
		got, err := compose(t, c.over, c.file, c.sets...)
		if err != nil || got.Keys != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got.Keys, err, c.want)
		}
	}
}

func TestChoiceRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		sets []string
		want string
	}{
		"another's key, set":     {"", []string{"width=3"}, "--set: width: no such key with kind = circle, only with box"},
		"another's key, in file": {`{"kind": "box", "width": 1, "radius": 1.5}`, nil, "my.json:1: radius = 1.5: want a whole number"},
		"ignored, of value":      {`{"width": 2}`, nil, "my.json:1: width = 2: want 0, the only value supported"},
		"key of no choice":       {`{"with": 2}`, nil, "my.json:1: with: unknown key"},
		"no such choice":         {"", []string{"kind=bo", "width=1"}, `--set: kind = "bo": want one of circle, box; did you mean "box"?`},
		"no text":                {`{"kind": 3}`, nil, "my.json:1: kind = 3: want a string"},
		"validated":              {`{"radius": -1}`, nil, "my.json:1: radius = -1: want more than 0"},
	} {
		over := aCircle()
		got, err := compose(t, over, c.file, c.sets...)
		if err == nil || err.Error() != c.want || got != over {
			t.Errorf("%s: %+v, %v; want %s", name, got, err, c.want)
		}
	}
}

func TestChoiceIsWritten(t *testing.T) {
	text, err := Encode(&drawing{Shape{"box", 1, box{"b", 2, 3}}, "t"})
	const want = `{
  "kind": "box",
  "size": 1,
  "colour": "b",
  "width": 2,
  "radius": 3,
  "title": "t"
}
`
	if diff := cmp.Diff(want, string(text)); err != nil || diff != "" {
		t.Errorf("%v, (-want +got)\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{"kind", "size", "radius", "colour", "title"}, Keys(aCircle())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"kind", "size", "title"}, Keys(drawing{})); diff != "" {
		t.Error(diff)
	}
}

// clash has a key "width", which a choice of its Chooser has as well.
type clash struct {
	Shape
	Width int `json:"width"`
}

func TestChoiceClashes(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	_, _ = Set(clash{}, []string{"kind=box"})
}

// TestChosenKeysAreFound checks that the fields of a value include those of its choice.
func TestChosenKeysAreFound(t *testing.T) {
	v := reflect.ValueOf(aCircle())
	f, ok := find(fieldsIn(v), "radius")
	if !ok || f.in(v).Float() != 2 {
		t.Errorf("%+v, %v", f, ok)
	}
}

// FuzzChoice checks that no text makes Decode panic, and that an accepted value survives Encode and Decode.
func FuzzChoice(f *testing.F) {
	for _, s := range []string{`{"kind":"box","width":1}`, `{"kind":"circle","width":0,"radius":2}`, `{"kind":"\u0062ox","radius":2}`, `{"kind":3,"width":1}`, `{"kind":"box","kind":"circle"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, over := range []drawing{{}, aCircle()} {
			got, err := Decode(over, "x", data)
			if err != nil || got.Kind != "circle" && got.Kind != "box" { // validation refuses other kinds
				continue
			}
			text, err := Encode(got)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := Decode(drawing{}, "x", text); err != nil || again != got {
				t.Errorf("%s reads back as %+v, %v; want %+v", text, again, err, got)
			}
		}
	})
}
