package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// eachFlag calls f for every flag of every command, with its path.
func eachFlag(f func(path string, flag *pflag.Flag)) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) { f(cmd.CommandPath()+" --"+flag.Name, flag) })
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(newRoot())
}

// TestNumbersAreDecimal checks every flag that takes a number: leading zeros change nothing, and other bases are refused.
func TestNumbersAreDecimal(t *testing.T) {
	kinds := map[string]int{}
	eachFlag(func(path string, flag *pflag.Flag) {
		kind := flag.Value.Type()
		if !slices.Contains([]string{"int", "uint64", "float64", "intSlice"}, kind) {
			if numeric := strings.Contains(kind, "int") || strings.Contains(kind, "float") || kind == "count"; numeric {
				t.Errorf("%s has a value of type %s: add it with numberFlag", path, kind)
			}
			return
		}
		if own := reflect.TypeOf(flag.Value).String(); !strings.HasPrefix(own, "main.number") && !strings.HasPrefix(own, "*main.number") {
			t.Errorf("%s is a %s: add it with numberFlag", path, own)
		}
		kinds[kind]++
		for _, text := range []string{"010", "10", "0010"} {
			if kind == "intSlice" {
				flag.Value = reflect.New(reflect.TypeOf(flag.Value).Elem()).Interface().(pflag.Value)
				reflect.ValueOf(flag.Value).Elem().Set(reflect.ValueOf(numbersValue{p: new([]int)}))
			}
			if err := flag.Value.Set(text); err != nil || flag.Value.String() != "10" {
				t.Errorf("%s %s is %s, %v", path, text, flag.Value, err)
			}
		}
		for _, text := range []string{"0x10", "0b10", "0o10", "1_0", "0x1p4", "", " 10", "ten", "1e"} {
			if err := flag.Value.Set(text); err == nil && !(kind == "intSlice" && text == " 10") {
				t.Errorf("%s accepts %q as %s", path, text, flag.Value)
			}
		}
		whole := flag.Value.Set("1.5") != nil
		if float := kind == "float64"; whole == float {
			t.Errorf("%s: 1.5 is an error: %v", path, whole)
		}
	})
	if len(kinds) < 4 || kinds["int"] < 10 {
		t.Errorf("flags found: %v", kinds)
	}
	for _, args := range [][]string{{"bench", "generate", "--steps", "2,0x4"}, {"eval", "run", "--noise", "0x1p-2"}, {"quickstart", "--steps", "0x3,3"},
		{"info", "--preset", "quickstart", "--model", "ae", "--set", "learning_rate=0x1p-7"}, {"info", "--preset", "quickstart", "--model", "ae", "--set", "max_steps=0x10"}} {
		if got := calmRun(args...); got.status != exitUsage {
			t.Errorf("calm %s: want status 2: %v", strings.Join(args, " "), got)
		}
	}
	if got := object(t, must(t, "info", "--preset", "quickstart", "--model", "ae", "--set", "max_steps=010", "--json").out)["config"].(map[string]any)["max_steps"]; fmt.Sprint(got) != "10" {
		t.Errorf("--set max_steps=010 is %v", got)
	}
}

// TestNumberList: a repeated flag of a list appends, and the first use replaces the default.
func TestNumberList(t *testing.T) {
	fl, list := pflag.NewFlagSet("x", pflag.ContinueOnError), []int(nil)
	numberListFlag(fl, &list, "n", []int{1}, "numbers")
	if err := fl.Parse([]string{"--n", "2, 03", "--n=4"}); err != nil || !slices.Equal(list, []int{2, 3, 4}) {
		t.Errorf("%v, %v", list, err)
	}
}
