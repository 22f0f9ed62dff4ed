package plural

import "testing"

func TestCount(t *testing.T) {
	for _, c := range []struct {
		n           int64
		thing, want string
	}{
		{0, "document", "0 documents"}, {1, "document", "1 document"}, {2, "document", "2 documents"},
		{2, "patch", "2 patches"}, {1, "patch", "1 patch"}, {3, "vocabulary", "3 vocabularies"}, {3, "key", "3 keys"},
		{2, "block of text", "2 blocks of text"}, {1, "block of text", "1 block of text"},
	} {
		if got := Count(c.n, c.thing); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
