package corpus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

// readParquet calls each with the rows of a column. It reads the pages of this column only, one at a time. It keeps read at the
// estimated number of bytes of the file that are read.
func readParquet(path string, column field, read *int64, each func(Document) error) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	at := rows{}
	var fromEach error // the last result of each: its errors are returned unchanged
	guarded := func(d Document) error {
		*read = int64(float64(info.Size()) * float64(at.row) / float64(at.of)) // other columns are counted too
		fromEach = each(d)
		return fromEach
	}
	err = scanParquet(file, info.Size(), path, column, &at, guarded)
	if err != nil && fromEach == nil {
		if at.row > 0 {
			return fmt.Errorf("%s: row %d: %w", path, at.row, err)
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	return err
}

// rows is a position in a file: row of a number of rows.
type rows struct{ row, of int64 }

// scanParquet calls each with the rows of a column of a file of size bytes. It keeps at at the present row.
func scanParquet(r io.ReaderAt, size int64, path string, name field, at *rows, each func(Document) error) (err error) {
	calling := false
	defer func() { // the library panics on some damaged files
		if p := recover(); p != nil {
			if calling {
				panic(p)
			}
			err = fmt.Errorf("a damaged Parquet file: %v", p)
		}
	}()
	f, column, err := openParquet(r, size, name)
	if err != nil {
		return err
	}
	at.of = f.NumRows()
	var values [64]parquet.Value
	for _, group := range f.RowGroups() {
		err := scanPages(group.ColumnChunks()[column].Pages(), values[:], func(text []byte) error {
			at.row++
			calling = true
			err := each(Document{Text: text, Source: path, Line: int(at.row)})
			calling = false
			return err
		})
		if err != nil {
			return err
		}
	}
	if at.row != at.of {
		return fmt.Errorf("the file ends after %d of %d rows", at.row, at.of)
	}
	return nil
}

// openParquet returns the file and the index of the named column among its leaf columns.
func openParquet(r io.ReaderAt, size int64, name field) (f *parquet.File, column int, err error) {
	if err := checkFooter(r, size); err != nil {
		return nil, 0, err
	}
	f, err = parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, 0, fmt.Errorf("not a readable Parquet file: %w", err)
	}
	text, ok := f.Schema().Lookup(name.path()...)
	switch {
	case !ok:
		var names []string
		for _, path := range f.Schema().Columns() {
			names = append(names, strings.Join(path, "."))
		}
		return nil, 0, fmt.Errorf("no column %q; the columns are %s%s", name, listed(names), chooseField)
	case text.MaxRepetitionLevel > 0:
		return nil, 0, fmt.Errorf("the column %q holds lists; expected strings", name)
	case text.Node.Type().Kind() != parquet.ByteArray:
		return nil, 0, fmt.Errorf("the column %q holds %v; expected strings", name, text.Node)
	}
	for _, group := range f.Metadata().RowGroups {
		// The library's LZ4 decoder doubles its buffer until the data fit. With damaged data it never ends.
		if group.Columns[text.ColumnIndex].MetaData.Codec == parquetformat.Lz4Raw {
			return nil, 0, fmt.Errorf("the column %q is compressed with LZ4, which calm does not read: write it with zstd, snappy, gzip or brotli", name)
		}
	}
	return f, text.ColumnIndex, nil
}

// checkFooter checks the magic at both ends of the file, and the length of the footer
// in its last eight bytes. The library allocates that length without a check.
func checkFooter(r io.ReaderAt, size int64) error {
	const mark = "PAR1"
	var first [4]byte
	var last [8]byte
	if size < int64(len(first)+len(last)) {
		return fmt.Errorf("not a Parquet file: it has %d bytes", size)
	}
	if _, err := r.ReadAt(first[:], 0); err != nil {
		return err
	}
	if _, err := r.ReadAt(last[:], size-8); err != nil {
		return err
	}
	if string(first[:]) != mark {
		return fmt.Errorf("not a Parquet file: it begins with %q, not %q", first, mark)
	}
	if string(last[4:]) != mark {
		return fmt.Errorf("byte %d: a Parquet file ends with %q, this one with %q: it is cut off", size-4, mark, last[4:])
	}
	if n := int64(binary.LittleEndian.Uint32(last[:])); n > size-12 {
		return fmt.Errorf("byte %d: a footer of %d bytes in a file of %d", size-8, n, size)
	}
	return nil
}

// scanPages calls each with the texts of a column's pages, and closes the pages.
func scanPages(pages parquet.Pages, values []parquet.Value, each func([]byte) error) error {
	defer pages.Close()
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = scanPage(page, values, each)
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
}

// scanPage calls each with copies of a page's texts, nil for null.
func scanPage(page parquet.Page, values []parquet.Value, each func([]byte) error) error {
	r := page.Values()
	for {
		n, err := r.ReadValues(values)
		for _, v := range values[:n] {
			var text []byte
			if !v.IsNull() {
				text = append(text, v.ByteArray()...)
			}
			if err := each(text); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrNoProgress
		}
	}
}
