package host

import "testing"

func TestThreads(t *testing.T) {
	for _, c := range []struct {
		set   string
		cores int
		want  int
	}{
		{"", 4, 4}, {"2", 4, 2}, {"2,1", 4, 2}, {" 3 ", 4, 3}, {"64", 4, 4}, {"0", 4, 4}, {"-1", 4, 4}, {"all", 4, 4}, {"1", 1, 1},
	} {
		t.Setenv("OMP_NUM_THREADS", c.set)
		if got := Threads(c.cores); got != c.want {
			t.Errorf("OMP_NUM_THREADS=%q on %d cores: %d threads, want %d", c.set, c.cores, got, c.want)
		}
	}
}

func TestKernel(t *testing.T) {
	none, avx2, avx512 := Features{}, Features{AVX2: true}, Features{AVX2: true, AVX512: true}
	for _, c := range []struct {
		running string
		has     Features
		want    string
		slow    bool
	}{
		{"Prescott", avx512, "SkylakeX", true}, // OpenBLAS 0.3.21 on a Xeon of family 6, model 207
		{"Prescott", avx2, "Haswell", true},
		{"Prescott", none, "", false}, // it can do no better
		{"Core2", avx2, "Haswell", true},
		{"Nehalem", avx512, "SkylakeX", true},
		{"Sandybridge", avx2, "Haswell", true},
		{"Sandybridge", none, "", false},
		{"Barcelona", avx2, "Haswell", true},
		{"Haswell", avx2, "", false},
		{"Haswell", avx512, "SkylakeX", false},
		{"Zen", avx2, "", false},
		{"Zen", avx512, "SkylakeX", false},
		{"SkylakeX", avx512, "", false},
		{"Cooperlake", avx512, "", false},
		{"cooperlake", avx512, "", false},
		{"SapphireRapids", avx512, "", false},
		{"armv8", none, "", false},
		{"", avx512, "", false}, // another BLAS
	} {
		if got := Kernel(c.running, c.has); got != c.want {
			t.Errorf("%s on %+v: kernel %q, want %q", c.running, c.has, got, c.want)
		}
		if got := Slow(c.running, c.has); got != c.slow {
			t.Errorf("%s on %+v: slow is %v", c.running, c.has, got)
		}
	}
}

func TestFavourLeavesTheUsersChoice(t *testing.T) {
	f := Features{AVX2: true, AVX512: true}
	t.Setenv(CoreType, "Prescott")
	if got := Favour("Prescott", f); got != "" {
		t.Errorf("with %s set: %q, want nothing", CoreType, got)
	}
}
