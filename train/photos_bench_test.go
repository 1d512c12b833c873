package train_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/torch"
)

// BenchmarkPhotos delivers the training images of the folder that $LOCUS_DATA names as random resized crops of 224, with
// two workers: as the loader's bytes, and as the normalised tensors that a step starts from. bench/peers/loader.py runs it.
func BenchmarkPhotos(b *testing.B) {
	set, err := data.Open(data.Options{
		Set: "folder", Batch: 64, Workers: 2, Augment: data.AugmentResizedCrop, Flip: 0.5,
		Crop: data.CropOptions{Scale: []float64{0.08, 1}, Ratio: []float64{3.0 / 4, 4.0 / 3}},
	}, 1, nil)
	if errors.Is(err, fs.ErrNotExist) {
		b.Skipf("no folder with train/ and val/: set %s", data.EnvDir)
	}
	if err != nil {
		b.Fatal(err)
	}
	mean, std := []float32{0.485, 0.456, 0.406}, []float32{0.229, 0.224, 0.225}
	for _, as := range []string{"bytes", "tensors"} {
		b.Run(as, func(b *testing.B) {
			n, epoch := 0, 0
			for b.Loop() {
				l := set.Part(data.Train).Batches(data.BatchOptions{
					Batch: 64, Workers: 2, Shuffle: true, Epoch: epoch, Augment: true, KeepLast: true,
				})
				epoch++
				for batch, err := l.Next(b.Context()); err == nil; batch, err = l.Next(b.Context()) {
					n += batch.N
					if as == "tensors" {
						s := torch.NewScope(torch.NoGrad)
						s.FromImages(torch.Float32, batch.Bytes, batch.N, 224, 224, 3, mean, std)
						s.Close()
					}
				}
				l.Close()
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
