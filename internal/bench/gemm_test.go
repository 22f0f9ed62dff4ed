package bench

import (
	"slices"
	"testing"
)

func TestGemm(t *testing.T) {
	o, list := collect()
	o.Seconds = .001
	if err := Gemm(t.Context(), GemmOptions{Options: o, Cube: 1024}); err != nil {
		t.Fatal(err)
	}
	if len(*list) != 6 {
		t.Fatalf("%d results", len(*list))
	}
	for i, r := range *list {
		more := "flops gflops peak_gflops fraction_of_peak"
		if i%2 == 1 {
			more += " speedup"
			near(t, "speedup", r.Speedup, (*list)[i-1].MSMedian/r.MSMedian)
		}
		wantKeys(t, r, more)
		if r.Threads != 1+i%2 || r.Shape != "1024x1024x1024" || r.FLOPs != 2<<30 {
			t.Errorf("%+v", r)
		}
	}
}

// TestWeights: products of 1, 4 and 16 rows with weights of each format, of the same number of bytes.
func TestWeights(t *testing.T) {
	o, list := collect()
	o.Seconds = .001
	if err := (GemmOptions{Options: o}).measureWeights(t.Context(), o.engine(1), 1<<18); err != nil {
		t.Fatal(err)
	}
	if len(*list) != 9 {
		t.Fatalf("%d results", len(*list))
	}
	for i, r := range *list {
		wantKeys(t, r, "bytes_per_step gb_per_s peak_gb_per_s")
		want := []string{"64x1024 float32", "128x1024 bfloat16", "256x1024 int8"}[i%3]
		if bytes := []float64{1 << 18, 1 << 18, 1<<18 + 4*256}[i%3]; r.Shape != []string{"1x", "4x", "16x"}[i/3]+want || r.BytesPerStep != bytes {
			t.Errorf("%+v", r)
		}
	}
}

// TestProducts checks that the products of lm-bytes include those of a linear map of its MLP, and that none is listed twice.
func TestProducts(t *testing.T) {
	o, _ := collect()
	list, err := GemmOptions{Options: o, Presets: []string{"lm-bytes"}}.products()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []product{{124, 320, 128, "nt"}, {124, 128, 320, "nn"}, {320, 128, 124, "tn"}} {
		if !slices.Contains(list, want) {
			t.Errorf("%v is not in %v", want, list)
		}
	}
	for i, p := range list {
		if slices.Contains(list[:i], p) {
			t.Errorf("%v twice", p)
		}
	}
	all, err := GemmOptions{Options: o}.products()
	if err != nil || len(all) <= len(list) {
		t.Errorf("%d products of all presets, %v", len(all), err)
	}
}
