package kernel

// Rotary rotates one head of even size d in the half-split layout: the pairs are (x[i], x[i+d/2]) and
//
//	dst[i]     = x[i] * cos[i] - x[i+d/2] * sin[i]
//	dst[i+d/2] = x[i+d/2] * cos[i] + x[i] * sin[i]
//
// with cos and sin of length d/2. dst may be x. The backward pass is the inverse rotation: the same with -sin.
func (s ISA) Rotary(dst, x, cos, sin []float32) {
	checkLen("Rotary", "x", len(x), len(dst))
	checkLen("Rotary", "dst", len(dst), 2*len(cos))
	checkLen("Rotary", "sin", len(sin), len(cos))
	h := len(cos)
	switch s {
	case AVX512:
		rotaryAVX512(dst[:h], dst[h:], x[:h], x[h:], cos, sin)
	case AVX2:
		rotaryAVX2(dst[:h], dst[h:], x[:h], x[h:], cos, sin)
	default:
		rotaryGo(dst[:h], dst[h:], x[:h], x[h:], cos, sin)
	}
}

func rotaryGo(dst1, dst2, x1, x2, cos, sin []float32) {
	n := len(dst1)
	dst2, x1, x2, cos, sin = dst2[:n], x1[:n], x2[:n], cos[:n], sin[:n]
	for i := range dst1 {
		a, b := x1[i], x2[i]
		dst1[i] = a*cos[i] - b*sin[i]
		dst2[i] = b*cos[i] + a*sin[i]
	}
}
