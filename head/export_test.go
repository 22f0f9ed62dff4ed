package head

// Trace lets see follow a sampler of many steps: evaluation k of the network, at which time, on what, with what result.
func Trace(s Sampler, see func(k int, t float32, x, out []float32)) {
	var d *denoiser
	switch s := s.(type) {
	case *flowSampler:
		d = s.denoiser
	case *diffusionSampler:
		d = s.denoiser
	}
	d.evaluateAt = func(k int, x []float32) ([]float32, error) {
		out, err := d.evaluate(k, x)
		if err == nil {
			see(k, d.times[k], x, out)
		}
		return out, err
	}
}
