package head

// Follow runs a sampler of many steps without the final check for divergence. It calls see for every evaluation of the
// network, with its number, time, input and output. It returns the latent vectors.
func Follow(s Sampler, hidden, noise []float32, see func(k int, t float32, x, out []float32)) ([]float32, error) {
	var d *denoiser
	var solve func(hidden, noise []float32) error
	switch s := s.(type) {
	case *flowSampler:
		d, solve = s.denoiser, s.solve
	case *diffusionSampler:
		d, solve = s.denoiser, s.solve
	}
	d.evaluateAt = func(k int, x []float32) ([]float32, error) {
		out, err := d.evaluate(k, x)
		if err == nil {
			see(k, d.times[k], x, out)
		}
		return out, err
	}
	err := solve(hidden, noise)
	return d.latents, err
}
