package corpus

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// readParquet calls each with the rows of a column. It keeps read at the estimated number of bytes of the file that are read.
func readParquet(ctx context.Context, path string, column field, read *int64, each func(Document) error) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: Parquet is read from a file, not from a pipe or a device", path)
	}
	file, info, err := openFile(ctx, path)
	if err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	defer file.Close()
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

// scanParquet calls each with the rows of a column of a file of size bytes. It keeps at at the present row. The library reads
// the file's footer. It does not read pages: it believes the sizes in damaged ones.
func scanParquet(r io.ReaderAt, size int64, path string, name field, at *rows, each func(Document) error) error {
	f, column, maxLevel, err := openParquet(r, size, name)
	if err != nil {
		return err
	}
	at.of = f.NumRows()
	for _, group := range f.Metadata().RowGroups {
		if column >= len(group.Columns) {
			return fmt.Errorf("a row group of %d columns", len(group.Columns))
		}
		chunk := &group.Columns[column].MetaData
		codec, err := newPageCodec(chunk.Codec, name)
		if err != nil {
			return err
		}
		begin := chunk.DataPageOffset
		if d := chunk.DictionaryPageOffset; d > 0 && d < begin {
			begin = d
		}
		if begin < 4 || begin > size {
			return fmt.Errorf("the column %q begins at byte %d of %d", name, begin, size)
		}
		pages := columnPages{in: bufio.NewReaderSize(io.NewSectionReader(r, begin, size-begin), 64<<10), codec: codec, maxLevel: maxLevel}
		err = pages.run(chunk.NumValues, func(text []byte) error {
			if at.row++; at.row > at.of {
				return fmt.Errorf("more than the %d rows that the file lists", at.of)
			}
			return each(Document{Text: text, Source: path, Line: int(at.row)})
		})
		codec.close()
		if err != nil {
			return err
		}
	}
	if at.row != at.of {
		return fmt.Errorf("the file ends after %d of %d rows", at.row, at.of)
	}
	return nil
}

// openParquet returns the file, the index of the named column among its leaf columns, and the definition level of its values.
func openParquet(r io.ReaderAt, size int64, name field) (f *parquet.File, column, maxLevel int, err error) {
	defer func() { // the library panics on some damaged footers
		if p := recover(); p != nil {
			err = fmt.Errorf("a damaged Parquet file: %v", p)
		}
	}()
	if err := checkFooter(r, size); err != nil {
		return nil, 0, 0, err
	}
	f, err = parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, 0, 0, fmt.Errorf("not a readable Parquet file: %w", err)
	}
	text, ok := f.Schema().Lookup(name.path()...)
	switch {
	case !ok:
		var names []string
		for _, path := range f.Schema().Columns() {
			names = append(names, strings.Join(path, "."))
		}
		return nil, 0, 0, fmt.Errorf("no column %q; the columns are %s%s", name, listed(names), chooseField)
	case text.MaxRepetitionLevel > 0:
		return nil, 0, 0, fmt.Errorf("the column %q holds lists; expected strings", name)
	case text.Node.Type().Kind() != parquet.ByteArray:
		return nil, 0, 0, fmt.Errorf("the column %q holds %v; expected strings", name, text.Node)
	}
	return f, text.ColumnIndex, text.MaxDefinitionLevel, nil
}

// maxFooter is the largest size of a footer in bytes. Those of files of text have some megabytes.
const maxFooter = 64 << 20

// checkFooter checks the magic at both ends of the file, and that the footer has what its sizes say: the library allocates
// before it reads.
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
	} else if n > maxFooter {
		return fmt.Errorf("byte %d: a footer of %d bytes; calm reads up to %d", size-8, n, maxFooter)
	} else {
		footer := &compact{in: bufio.NewReader(io.NewSectionReader(r, size-8-n, n))}
		if err := footer.skip(thriftStruct, 0); err != nil {
			return fmt.Errorf("bytes %d to %d: not a footer of Parquet: %w", size-8-n, size-8, noEnd(err))
		}
	}
	return nil
}
