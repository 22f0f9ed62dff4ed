// Package flow solves the differential equation of the flow head, dx/dt = v(x, t) from noise at t = 0 to a sample at t
// = 1, in a fixed number of steps (docs/spec.md, section 3.3). It does not depend on the network.
package flow

// Solver is a method of integration.
type Solver string

const (
	Midpoint Solver = "midpoint" // of second order, two evaluations a step
	Euler    Solver = "euler"    // of first order, one evaluation a step
)

// Times returns the time of each evaluation of the velocity in that many steps, in the order in which Solve makes them.
func (s Solver) Times(steps int) []float32 {
	var times []float32
	half := .5 / float32(steps)
	for i := range steps {
		t := float32(i) / float32(steps)
		times = append(times, t)
		if s == Midpoint {
			times = append(times, t+half)
		}
	}
	return times
}

// Solve moves x from time 0 to 1 in that many steps. velocity gives evaluation k, at time number k of Times; it may
// return the same memory each time. middle is memory of the size of x; Euler does not need it. Solve stops at the first
// error of velocity and returns it.
func (s Solver) Solve(steps int, x, middle []float32, velocity func(k int, x []float32) ([]float32, error)) error {
	dt := 1 / float32(steps)
	k := 0
	for range steps {
		v, err := velocity(k, x)
		k++
		if err == nil && s == Midpoint {
			for i, v := range v {
				middle[i] = x[i] + v*(dt/2)
			}
			v, err = velocity(k, middle)
			k++
		}
		if err != nil {
			return err
		}
		for i, v := range v {
			x[i] += v * dt
		}
	}
	return nil
}
