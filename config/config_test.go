package config

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Sizes and Example are a configuration with a key of every supported type.
type Sizes struct {
	HiddenSize int     `json:"hidden_size"`
	Layers     int32   `json:"num_hidden_layers"`
	Eps        float64 `json:"rms_norm_eps"`
}

type Example struct {
	Sizes
	Name     string    `json:"name"`
	Tied     bool      `json:"tied"`
	Seed     uint64    `json:"seed"`
	Rate     float32   `json:"learning_rate"`
	Noise    []float64 `json:"noise"`
	Words    []string  `json:"words"`
	PadToken *int      `json:"pad_token_id"`
	derived  int
}

func (e Example) Validate() error {
	var p Problems
	Within(&p, "hidden_size", e.HiddenSize, 1, MaxWidth)
	Positive(&p, "rms_norm_eps", e.Eps, 1)
	Within(&p, "learning_rate", e.Rate, 0, 1)
	OneOf(&p, "name", e.Name, "energy", "diffusion", "flow")
	p.Check(len(e.Noise) < 3, "noise", e.Noise, "want at most 2")
	return p.Err()
}

func preset() Example {
	pad := 7
	return Example{Sizes: Sizes{64, 2, 1e-6}, Name: "energy", Noise: []float64{.1, .3}, PadToken: &pad, derived: 1}
}

// TestBad composes the preset with each testdata/NAME.bad.json, with the reference's keys ignored, and compares the error
// with NAME.bad.txt.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		want, err := os.ReadFile(strings.TrimSuffix(path, ".json") + ".txt")
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := Compose(preset(), path, nil, Reference())
		if _, ok := errors.AsType[*Error](err); !ok || err.Error() != strings.TrimSuffix(string(want), "\n") {
			t.Errorf("%s\n got %v\nwant %s", path, err, want)
		}
		if !reflect.DeepEqual(got, preset()) {
			t.Errorf("%s: the preset came back changed: %+v", path, got)
		}
	}
}

func TestDecode(t *testing.T) {
	over := preset()
	got, err := Decode(over, "x", []byte(` {"hidden_size": 128, "noise": [0.5], "words": [], "pad_token_id": null,
		"seed": 18446744073709551615, "learning_rate": 1e-3, "name": "fl\u006fw", "tied": true} `))
	want := Example{Sizes: Sizes{128, 2, 1e-6}, Name: "flow", Tied: true, Seed: math.MaxUint64, Rate: 1e-3,
		Noise: []float64{.5}, Words: []string{}, derived: 1}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if !reflect.DeepEqual(over, preset()) {
		t.Errorf("lists of the preset were written into: %+v", over)
	}
}

func TestDecodeReference(t *testing.T) {
	data := []byte(`{"hidden_size": 8, "architectures": ["EnergyTransformer"], "torch_dtype": "bfloat16",
		"transformers_version": "4.43.0", "rope_scaling": null, "attention_dropout": 0.0, "pretraining_tp": 1}`)
	if got, err := Decode(preset(), "x", data, Reference()); err != nil || got.HiddenSize != 8 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Decode(preset(), "x", data); err == nil || strings.Count(err.Error(), "unknown key") != 6 {
		t.Errorf("without a list of keys to ignore: %v", err)
	}
}

func TestSet(t *testing.T) {
	got, err := Set(preset(), []string{"hidden_size=1", "hidden_size= 96 ", "name=a=b c", "tied=true", "seed=3", "learning_rate=3e-4",
		"noise=0.1, 2", "words=a,b", "pad_token_id=null", "num_hidden_layers=-1"})
	want := Example{Sizes: Sizes{96, -1, 1e-6}, Name: "a=b c", Tied: true, Seed: 3, Rate: 3e-4,
		Noise: []float64{.1, 2}, Words: []string{"a", "b"}, derived: 1}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	got, err = Set(preset(), []string{"noise=", "words=[x]", "pad_token_id=9"})
	if err != nil || got.Noise == nil || len(got.Noise) != 0 || !cmp.Equal(got.Words, []string{"x"}) || *got.PadToken != 9 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSetRefuses(t *testing.T) {
	_, err := Set(preset(), []string{"hidden_size", "=3", "hiddensize=3", "zzz=1", "hidden_size=1.5", "hidden_size=99999999999999999999",
		"num_hidden_layers=3000000000", "tied=yes", "seed=-1", "learning_rate=NaN", "noise=1,,2", "pad_token_id=x", "rms_norm_eps="})
	want := `13 problems in the configuration:
  --set: "hidden_size": want key=value
  --set: "=3": want key=value
  --set: hiddensize: unknown key; did you mean hidden_size?
  --set: zzz: unknown key
  --set: hidden_size = 1.5: want a whole number
  --set: hidden_size = 99999999999999999999: want a whole number that fits 64 bits
  --set: num_hidden_layers = 3000000000: want a whole number that fits 32 bits
  --set: tied = yes: want true or false
  --set: seed = -1: want a whole number, 0 or more
  --set: learning_rate = NaN: want a number
  --set: noise = 1,,2: want a list of numbers, with commas between them
  --set: pad_token_id = x: want a whole number or null
  --set: rms_norm_eps = "": want a number`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestComposeTellsAll checks that one error lists the problems of the file, of --set and of the validation, each with its
// place.
func TestComposeTellsAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "my.json")
	if err := os.WriteFile(path, []byte("{\n\"hidden_size\": -3,\n\"tied\": 1,\n\"name\": \"enery\"}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	over := preset()
	over.Eps = math.NaN()
	_, err := Compose(over, path, []string{"learning_rate=7", "noise=x", "seeed=1"})
	want := `7 problems in the configuration:
  my.json:3: tied = 1: want true or false
  --set: noise = x: want a list of numbers, with commas between them
  --set: seeed: unknown key; did you mean seed?
  my.json:2: hidden_size = -3: want 1 to 131072
  rms_norm_eps = NaN: want more than 0, at most 1
  --set: learning_rate = 7: want 0 to 1
  my.json:4: name = "enery": want one of energy, diffusion, flow; did you mean "energy"?`
	if diff := cmp.Diff(want, strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", "")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// Validation saw the preset's value of a key that could not be read: its problem with that value is not reported.
	_, err = Compose(over, "", []string{"rms_norm_eps=x"})
	if want := "--set: rms_norm_eps = x: want a number"; err == nil || err.Error() != want {
		t.Errorf("%v; want %s", err, want)
	}
	got, err := Compose(preset(), "", nil)
	if err != nil || !reflect.DeepEqual(got, preset()) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Compose(preset(), filepath.Join(t.TempDir(), "none.json"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestEncodeReadsBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	want := preset()
	want.Words = []string{"<&>"}
	text, err := Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	expected := `{
  "hidden_size": 64,
  "num_hidden_layers": 2,
  "rms_norm_eps": 0.000001,
  "name": "energy",
  "tied": false,
  "seed": 0,
  "learning_rate": 0,
  "noise": [
    0.1,
    0.3
  ],
  "words": [
    "<&>"
  ],
  "pad_token_id": 7
}
`
	if diff := cmp.Diff(expected, string(text)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got, err := Load(Example{derived: 1}, path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := Encode(Example{Rate: float32(math.NaN())}); err == nil {
		t.Error("NaN was written")
	}
	kind, err := Peek[struct {
		Name string `json:"name"`
	}](path)
	if err != nil || kind.Name != "energy" {
		t.Errorf("Peek: %+v, %v", kind, err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte(" "), maxFileBytes+1), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(preset(), path); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a huge file: %v", err)
	}
}

func TestJoin(t *testing.T) {
	var p Problems
	p.Join(nil)
	if p.Err() != nil {
		t.Error("nothing was wrong")
	}
	bad := preset()
	bad.HiddenSize = 0
	p.Join(bad.Validate())
	p.Join(errors.New("and this"))
	want := "2 problems in the configuration:\n  hidden_size = 0: want 1 to 131072\n  and this"
	if err := p.Err(); err == nil || err.Error() != want {
		t.Errorf("%v; want %s", err, want)
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"hidden_size", "latent_size", "patch_size", "beta", "seed"}
	for name, want := range map[string]string{
		"hiden_size": "hidden_size", "HIDDEN_SIZE": "hidden_size", "hidden_szie": "hidden_size", "hiddenSize": "hidden_size",
		"path_size": "patch_size", "bata": "beta", "learning_rate": "", "x": "", "": "", strings.Repeat("x", 1000): "",
	} {
		if got := Nearest(name, keys); got != want {
			t.Errorf("Nearest(%q) = %q; want %q", name, got, want)
		}
	}
}

// keys lists the keys of a type.
func keys[T any]() []string { return keysOf(fieldsOf(reflect.TypeFor[T]()).list) }

func TestKeys(t *testing.T) {
	want := []string{"hidden_size", "num_hidden_layers", "rms_norm_eps", "name", "tied", "seed", "learning_rate", "noise", "words", "pad_token_id"}
	if diff := cmp.Diff(want, keys[Example]()); diff != "" {
		t.Error(diff)
	}
}

// TestProgrammersErrors checks that a type that cannot be a configuration panics at its first use.
func TestProgrammersErrors(t *testing.T) {
	for name, use := range map[string]func(){
		"no struct": func() { keys[int]() },
		"no key":    func() { keys[struct{ A int }]() },
		"twice": func() {
			keys[struct {
				Sizes
				H int `json:"hidden_size"`
			}]()
		},
		"type": func() {
			keys[struct {
				A map[string]int `json:"a"`
			}]()
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			use()
		}()
	}
}

// FuzzDecode checks that no text makes Decode panic, and that an accepted value survives Encode and Decode.
func FuzzDecode(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"hidden_size":1,"noise":[1e300],"name":"\ud83d\ude00","pad_token_id":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Decode(preset(), "x", data, Reference())
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || len(e.Problems) == 0 {
				t.Errorf("%v is not a list of problems", err)
			}
			return
		}
		text, err := Encode(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(preset(), "x", text)
		if second, _ := Encode(again); err != nil || !bytes.Equal(text, second) {
			t.Errorf("%s reads back as %s, %v", text, second, err)
		}
	})
}

// FuzzSet checks that no assignment makes Set panic, and that Encode can write what Set accepts.
func FuzzSet(f *testing.F) {
	for _, s := range []string{"hidden_size=3", "noise=[1,2]", "pad_token_id=null", "words=", "tied=true", "seed=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Set(preset(), []string{s})
		if err == nil && strings.ContainsRune(s, '\ufffd') {
			return
		}
		if err == nil {
			if _, err := Encode(got); err != nil && !strings.Contains(err.Error(), "UTF-8") {
				t.Errorf("%q gave what cannot be written: %v", s, err)
			}
		}
	})
}
