package corpus

import "encoding/binary"

// A record describes a piece in a shard. It has 16 bytes, little endian: the content hash of the piece's document, then the
// number of tokens in 62 bits and the role in the upper two bits.
type record struct {
	hash   uint64
	tokens int64
	role   role
}

const (
	recordSize = 16
	roleShift  = 62
	maxTokens  = 1<<roleShift - 1
)

func appendRecord(dst []byte, r record) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, r.hash)
	return binary.LittleEndian.AppendUint64(dst, uint64(r.tokens)|uint64(r.role)<<roleShift)
}

// recordAt reads record i of a table.
func recordAt(table []byte, i int) record {
	b := table[i*recordSize : (i+1)*recordSize]
	word := binary.LittleEndian.Uint64(b[8:])
	return record{
		hash:   binary.LittleEndian.Uint64(b),
		tokens: int64(word & maxTokens),
		role:   role(word >> roleShift),
	}
}
