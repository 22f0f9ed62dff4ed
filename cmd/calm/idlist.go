package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// maxIDs is the largest length of a list of ids, which is in memory.
const maxIDs = 64 << 20

// readIDs reads a list of ids with spaces or commas between them, with or without brackets around it.
func readIDs(r io.Reader) ([]int32, error) {
	in := bufio.NewReader(r)
	var l idList
	for {
		c, _, err := in.ReadRune()
		if errors.Is(err, io.EOF) {
			return l.ids, l.end()
		}
		if err == nil {
			err = l.add(c)
		}
		if err != nil {
			return nil, err
		}
	}
}

// An idList is a list of ids of which the beginning is read.
type idList struct {
	ids          []int32
	word         []byte // being read
	open, closed bool   // the list began with a bracket, and ended with one
	commas       bool   // there was a comma
	since        int    // ids since the last comma
}

// add reads a character.
func (l *idList) add(c rune) error {
	switch begun := l.open || l.commas || len(l.ids)+len(l.word) > 0; {
	case unicode.IsSpace(c):
		return l.endWord()
	case c == '[' && !begun:
		l.open = true
		return nil
	case c == ']' && l.open && !l.closed:
		l.closed = true
		return l.endWord()
	case c == ',' && !l.closed:
		l.commas = true
		err := l.endPart()
		l.since = 0
		return err
	}
	if l.word = utf8.AppendRune(l.word, c); l.closed || len(l.word) > 40 {
		return l.notID()
	}
	return nil
}

// end checks the end of the list.
func (l *idList) end() error {
	if l.open && !l.closed {
		return errors.New("the list begins with [ and does not end with ]")
	}
	if !l.commas { // an empty text is an empty list
		return l.endWord()
	}
	return l.endPart()
}

// endPart ends what lies between two commas.
func (l *idList) endPart() error {
	err := l.endWord()
	if err == nil && l.since == 0 {
		err = errors.New("no id before or after a comma")
	}
	return err
}

func (l *idList) endWord() error {
	if len(l.word) == 0 {
		return nil
	}
	id, err := strconv.ParseInt(string(l.word), 10, 32)
	if err != nil {
		return l.notID()
	}
	if len(l.ids) == maxIDs {
		return fmt.Errorf("more than %d ids: decode them in parts", maxIDs)
	}
	l.ids = append(l.ids, int32(id))
	l.word = l.word[:0]
	l.since++
	return nil
}

func (l *idList) notID() error {
	return fmt.Errorf("%.40q is not an id: want whole numbers with spaces or commas between them, as in 791,42,1053", l.word)
}
