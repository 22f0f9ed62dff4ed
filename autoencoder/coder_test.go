package autoencoder_test

import (
	"testing"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// TestCoder: any number of patches gives what one graph over all of them gives. Once the programs are compiled, only
// the result is allocated.
func TestCoder(t *testing.T) {
	m := autoencoder.New(testkit.TinyAutoencoder(), nn.NewParams(), "")
	m.Params.Initialize(3)
	k, z := m.Config.PatchSize, m.Config.LatentSize
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		c := m.NewCoder(e)
		for _, patches := range []int{0, 1, 7, 8, 9, 64, 73, 130} {
			ids := make([]int32, patches*k)
			for i := range ids {
				ids[i] = int32(i * 7 % m.Config.VocabSize)
			}
			latents, err := c.Encode(nil, ids)
			if err != nil || len(latents) != patches*z {
				t.Fatalf("%d patches: %d numbers, %v", patches, len(latents), err)
			}
			back, err := c.Decode(nil, latents)
			if err != nil || len(back) != patches*k {
				t.Fatalf("%d patches: %d tokens, %v", patches, len(back), err)
			}
			if patches == 0 {
				continue
			}
			g := nn.NewGraph()
			in := g.Ints("ids", patches, k)
			mean := m.Encode(g, in).Mean
			g.Output(mean)
			p := e.Compile(g, cpu.Inference)
			copy(p.Ints(in), ids)
			if err := p.Forward(); err != nil {
				t.Fatal(err)
			}
			testkit.Compare(t, "latents", latents, p.Floats(mean), 1e-5)
		}
		ids, latents := make([]int32, 73*k), make([]float32, 0, 73*z)
		if n := testing.AllocsPerRun(5, func() {
			if _, err := c.Encode(latents, ids); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("Encode allocates %v times", n)
		}
	})
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	if _, err := m.NewCoder(e).Encode(nil, make([]int32, k+1)); err == nil {
		t.Error("a part of a patch was encoded")
	}
	if _, err := m.NewCoder(e).Decode(nil, make([]float32, z+1)); err == nil {
		t.Error("a part of a latent vector was decoded")
	}
}
