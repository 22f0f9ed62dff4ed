package random

import "math"

// The logarithm: u = 2^e m with m in [sqrt(1/2), sqrt(2)) and f = m - 1, then ln m = f - f^2/2 + f^3 P(f), P minimax in
// relative error (3.5e-8). Sine and cosine: of 2 pi t with |t| <= 1/8, minimax (3e-9 relative, 3e-8 absolute). The
// logarithm's coefficients are multiplied by -2, which is what the radius sqrt(-2 ln u) wants. The generator of
// internal/kernel's assembly reads the constants from this file.
const (
	logRootHalf = 0x3F3504F3 // bits of sqrt(1/2)
	logE        = -1.38629436
	logC0       = -2 * 0.3333404
	logC1       = 2 * 0.25000769
	logC2       = -2 * 0.19957143
	logC3       = 2 * 0.16594796
	logC4       = -2 * 0.15002501
	logC5       = 2 * 0.14146441
	logC6       = -2 * 0.0826213

	sinC1 = 6.2831855
	sinC3 = -41.34166
	sinC5 = 81.592346
	sinC7 = -75.3933
	cosC2 = -19.739168
	cosC4 = 64.923225
	cosC6 = -83.66557
)

// boxMuller makes two independent normal numbers of 64 random bits: x gives the radius, y the angle.
func boxMuller(x, y uint32) (n0, n1 float32) {
	u := float32(float32(int32(x>>1))*0x1p-31) + 0x1p-32 // (0, 1]
	e := int32(math.Float32bits(u)-logRootHalf) >> 23
	f := math.Float32frombits(math.Float32bits(u)-uint32(e)<<23) - 1
	p := (((((logC6*f+logC5)*f+logC4)*f+logC3)*f+logC2)*f+logC1)*f + logC0
	square := (p*f+1)*(f*f) + (float32(e)*logE - 2*f)
	radius := float32(math.Sqrt(float64(square)))

	// The nearest quarter turn is the top two bits of y + 1/8 turn; what remains lies within 1/8 turn.
	q := y + 1<<29
	t := float32(int32(y-q&^(1<<30-1))) * 0x1p-32
	z := t * t
	sin := (((sinC7*z+sinC5)*z+sinC3)*z + sinC1) * t
	cos := ((cosC6*z+cosC4)*z+cosC2)*z + 1
	if q>>30&1 != 0 {
		sin, cos = cos, sin
	}
	sin = math.Float32frombits(math.Float32bits(sin) ^ q&(1<<31))
	cos = math.Float32frombits(math.Float32bits(cos) ^ (q+1<<30)&(1<<31))
	return radius * cos, radius * sin
}
