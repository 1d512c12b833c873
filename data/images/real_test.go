package images

import (
	"errors"
	"io/fs"
	"math"
	"slices"
	"testing"

	"github.com/locus-learn/locus/data"
)

// Each set that the machine has is read once, because under the race detector that takes seconds.
func TestRealSets(t *testing.T) {
	for _, tt := range []struct {
		set     string
		classes []string // the first two
	}{
		{"fashion-mnist", []string{"T-shirt/top", "Trouser"}},
		{"mnist", []string{"0", "1"}},
		{"cifar10", []string{"airplane", "automobile"}},
		{"cifar100", []string{"apple", "aquarium_fish"}},
	} {
		t.Run(tt.set, func(t *testing.T) {
			set, err := openSet(options(tt.set), 1, nil)
			if errors.Is(err, fs.ErrNotExist) {
				t.Skipf("%s is not on this machine: set %s", tt.set, data.EnvDir)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(set.Classes[:2], tt.classes) {
				t.Errorf("classes are %q", set.Classes)
			}
			checkCounts(t, set)
			checkMoments(t, set)
			checkResume(t, set.Train)
		})
	}
}

// checkCounts wants every class, and in a complete set of all but MNIST the same number of images in each.
func checkCounts(t *testing.T, set *testSet) {
	for _, m := range []Images{set.Train, set.Test} {
		count := make([]int, len(set.Classes))
		for _, label := range m.Labels {
			count[label]++
		}
		even := m.Len() / len(count)
		for class, n := range count {
			if n == 0 || n != even && !set.Subset && set.Name != "mnist" {
				t.Errorf("class %d has %d of %d images", class, n, m.Len())
			}
		}
	}
}

// checkMoments wants the published mean and deviation to be those of the pixels.
func checkMoments(t *testing.T, set *testSet) {
	tolerance := 1e-4
	if set.Subset {
		tolerance = 1e-2
	}
	for c := range set.Train.Shape.C {
		mean, std := moments(set.Train, c)
		if math.Abs(mean-set.Mean[c]) > tolerance || math.Abs(std-set.Std[c]) > tolerance {
			t.Errorf("channel %d has mean %.5f and std %.5f, published are %g and %g", c, mean, std, set.Mean[c], set.Std[c])
		}
	}
}

// moments returns mean and standard deviation of channel c, of pixels in [0, 1].
func moments(m Images, c int) (mean, std float64) {
	var count [256]int
	for i := c; i < len(m.Pixels); i += m.Shape.C {
		count[m.Pixels[i]]++
	}
	var sum, square float64
	for v, k := range count {
		x := float64(v) / 255
		sum += float64(k) * x
		square += float64(k) * x * x
	}
	n := float64(len(m.Pixels) / m.Shape.C)
	mean = sum / n
	return mean, math.Sqrt(square/n - mean*mean)
}

// checkResume wants an epoch that goes on at its last batch to yield that batch.
func checkResume(t *testing.T, train Images) {
	o := loaderOptions{Batch: 128, Workers: 2, Transform: Transform{Augment: data.AugmentCropFlip}, Shuffle: true, Seed: 1}
	all := drain(t, limit(train, 2000), o)
	o.Start = len(all) - 1
	rest := drain(t, limit(train, 2000), o)
	if last := all[o.Start]; len(rest) != 1 || !slices.Equal(rest[0].Bytes, last.Bytes) || !slices.Equal(rest[0].Labels, last.Labels) {
		t.Error("a resumed epoch differs")
	}
}
