package nntest

import "slices"

// cases returns all cases, one line for each operation of package nn and one for graphs of several.
func cases() []Case {
	return slices.Concat(
		argMaxCases(),
		attentionCases(),
		cachedAttentionCases(),
		categoricalCases(),
		clampedKLCases(),
		crossEntropyCases(),
		diffusionLossCases(),
		embeddingCases(),
		energyScoreCases(),
		flowLossCases(),
		gatedAddCases(),
		layerNormCases(),
		linearCases(),
		meanSquaredErrorCases(),
		modulateCases(),
		mulCases(),
		noisyTargetCases(),
		prefixAttentionCases(),
		reparameterizeCases(),
		rmsNormCases(),
		rotaryCases(),
		sinusoidalEmbeddingCases(),
		swiGLUCases(),
		tokenMaskCases(),
		weightedSumCases(),
		sharingCases(),
	)
}

// Cases returns the suite: every operation at odd shapes, at 1 and beyond a block, and operations that share tensors.
func Cases() []Case {
	return slices.DeleteFunc(cases(), func(c Case) bool { return c.Benchmark })
}

// benchmarks are operations at the sizes of the preset lm-bytes.
func benchmarks() []Case {
	return slices.DeleteFunc(cases(), func(c Case) bool { return !c.Benchmark })
}
