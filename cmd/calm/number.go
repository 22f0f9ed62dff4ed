package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// numberFlag adds a flag with a decimal number. The flags of pflag take 010 for 8, and 0x10 and 1_0 for numbers too.
func numberFlag[T int | uint64 | float64](fl *pflag.FlagSet, p *T, name string, value T, usage string) {
	numberFlagP(fl, p, name, "", value, usage)
}

// numberFlagP is numberFlag with a letter that stands for the name.
func numberFlagP[T int | uint64 | float64](fl *pflag.FlagSet, p *T, name, letter string, value T, usage string) {
	*p = value
	fl.VarP(numberValue[T]{p}, name, letter, usage)
}

// numberListFlag adds a flag with decimal numbers, with commas between them.
func numberListFlag(fl *pflag.FlagSet, p *[]int, name string, value []int, usage string) {
	*p = value
	fl.Var(&numbersValue{p: p}, name, usage)
}

// parseNumber parses a decimal number: no other base, and no underscores.
func parseNumber[T int | uint64 | float64](text string) (T, error) {
	var (
		v   T
		err error
	)
	switch p := any(&v).(type) {
	case *int:
		*p, err = strconv.Atoi(text)
	case *uint64:
		*p, err = strconv.ParseUint(text, 10, 64)
	case *float64:
		if strings.ContainsAny(text, "xX_") {
			return v, strconv.ErrSyntax
		}
		*p, err = strconv.ParseFloat(text, 64)
	}
	return v, err
}

// numberValue is the value of a flag, a pointer to where it is stored.
type numberValue[T int | uint64 | float64] struct{ p *T }

// Set parses the flag's argument.
func (v numberValue[T]) Set(text string) (err error) {
	*v.p, err = parseNumber[T](text)
	return err
}

// String returns the present value.
func (v numberValue[T]) String() string {
	if v.p == nil { // pflag calls it on a zero value
		return ""
	}
	if f, ok := any(*v.p).(float64); ok {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return fmt.Sprint(*v.p)
}

// Type returns the name that pflag and flagError know the type by.
func (v numberValue[T]) Type() string { return fmt.Sprintf("%T", *new(T)) }

// numbersValue is numberValue for a list. The first use of the flag replaces the default, further ones append.
type numbersValue struct {
	p   *[]int
	set bool
}

func (v *numbersValue) Set(text string) error {
	var list []int
	for part := range strings.SplitSeq(text, ",") {
		n, err := parseNumber[int](strings.TrimSpace(part))
		if err != nil {
			return err
		}
		list = append(list, n)
	}
	if v.set {
		list = append(*v.p, list...)
	}
	*v.p, v.set = list, true
	return nil
}

func (v *numbersValue) String() string {
	if v.p == nil {
		return ""
	}
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(*v.p), "[]"), " ", ",")
}

func (v *numbersValue) Type() string { return "intSlice" }
