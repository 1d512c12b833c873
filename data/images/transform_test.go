package images

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/picture"
)

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// Every operation of RandAugment is torchvision's, at the strength that torchvision gives to its magnitude: the bytes of
// testdata/golden.json.
func TestRandAugmentGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		W, H  int
		Pix   []byte
		Cases []struct {
			Name          string
			Op, Magnitude int
			Sign          float64
			Want          []byte
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	var s recolourer
	seen := map[int]bool{}
	for _, c := range golden.Cases {
		seen[c.Op] = true
		p := picture.Of(bytes.Clone(golden.Pix), golden.W, golden.H, 3)
		s.operate(p, c.Op, c.Sign, c.Magnitude)
		differ := 0
		for i, v := range p.Pix {
			if v != c.Want[i] {
				differ++
			}
		}
		if differ > 0 {
			t.Errorf("%s, magnitude %d, sign %g: %d of %d bytes differ", c.Name, c.Magnitude, c.Sign, differ, len(c.Want))
		}
	}
	if len(seen) != ops {
		t.Errorf("the golden values have %d operations, want %d", len(seen), ops)
	}
}

// Areas and shapes are uniform in the ranges asked for, and the part lies in the image.
func TestCropDraw(t *testing.T) {
	o := data.CropOptions{Scale: []float64{0.2, 0.4}, Ratio: []float64{0.5, 2}}
	r := random()
	const n = 20_000
	var area, logRatio float64
	for range n {
		p := draw(&o, 640, 480, r)
		if p.x < 0 || p.y < 0 || p.w < 1 || p.h < 1 || p.x+p.w > 640 || p.y+p.h > 480 {
			t.Fatalf("part %+v leaves the image", p)
		}
		area += float64(p.w*p.h) / (640 * 480) / n
		logRatio += math.Log(float64(p.w)/float64(p.h)) / n
	}
	if math.Abs(area-0.3) > 0.002 || math.Abs(logRatio) > 0.02 {
		t.Errorf("mean area %.4f and log ratio %.4f, want 0.3 and 0", area, logRatio)
	}
	for _, tt := range []struct{ w, h, wantW, wantH int }{{1000, 10, 20, 10}, {10, 1000, 10, 20}, {1, 1, 1, 1}, {3000, 1, 2, 1}} {
		one := data.CropOptions{Scale: []float64{1, 1}, Ratio: o.Ratio}
		if p := draw(&one, tt.w, tt.h, r); p.w != tt.wantW || p.h != tt.wantH || p.x != (tt.w-tt.wantW)/2 || p.y != (tt.h-tt.wantH)/2 {
			t.Errorf("%d×%d: the whole of a forbidden shape gives %+v, want the centred %d×%d", tt.w, tt.h, p, tt.wantW, tt.wantH)
		}
	}
}

// A part decoded smaller is nearly the part decoded whole and scaled.
func TestShrunkPart(t *testing.T) {
	isolate(t)
	files := photoFiles(t, 1)
	dir := writeFolder(t, files)
	big := photo(400, 300, 1)
	name := "train/ant/00.jpg"
	write(t, dir, name, encoded(t, name, big))
	o := photoOptions("folder")
	o.Batch = 1
	set := openPhotos(t, o, dir)
	var l reader
	defer l.close()
	w, h, err := l.load(set.Train.photos, 0)
	if err != nil || w != 400 || h != 300 {
		t.Fatalf("got %d×%d, %v", w, h, err)
	}
	part := place{x: 51, y: 33, w: 300, h: 202}
	if got := shrinkFor(part.w, part.h, set.Train.Shape); got != 8 {
		t.Errorf("a part of %d×%d for 24×24 is decoded at 1/%d, want 1/8", part.w, part.h, got)
	}
	scaled := func(shrink int) []byte {
		p, used, err := l.decode(shrink)
		if err != nil || used != shrink {
			t.Fatalf("1/%d: %v, used 1/%d", shrink, err, used)
		}
		out := picture.New(24, 24, 3)
		part.scale(out, p, shrink, picture.Bilinear, &l.resizer)
		return out.Pix
	}
	want := scaled(1)
	for _, shrink := range []int{2, 4, 8} {
		var sum float64
		for i, v := range scaled(shrink) {
			sum += math.Abs(float64(v) - float64(want[i]))
		}
		if mean := sum / float64(len(want)); mean > 6 {
			t.Errorf("at 1/%d pixels are %.1f off on average", shrink, mean)
		}
	}
}

// Jitter draws each factor from its range; what is 0 changes nothing.
func TestJitter(t *testing.T) {
	r := random()
	level := func(j data.JitterOptions) []byte {
		p := picture.Of([]byte{100, 100, 100, 100, 100, 100}, 2, 1, 3)
		jitter(&j, p, r)
		return p.Pix
	}
	low, high := byte(255), byte(0)
	for range 2000 {
		v := level(data.JitterOptions{Brightness: 0.4})[0]
		low, high = min(low, v), max(high, v)
	}
	if low < 60 || low > 62 || high > 140 || high < 138 {
		t.Errorf("brightness 0.4 of 100 gives %d to %d, want 60 to 140", low, high)
	}
	if got := level(data.JitterOptions{}); got[0] != 100 {
		t.Errorf("no jitter gives %v", got)
	}
	if got := level(data.JitterOptions{Contrast: 2, Saturation: 2, Hue: 0.5}); got[0] != 100 {
		t.Errorf("contrast, saturation and hue change an even grey to %v", got)
	}
}

// The rectangle has the mean colour and an area in the range; the rest is untouched.
func TestErase(t *testing.T) {
	e := data.EraseOptions{P: 1, Scale: []float64{0.1, 0.2}, Ratio: []float64{0.3, 3.3}}
	r := random()
	var sum float64
	const n = 500
	for range n {
		p := picture.Of(bytes.Repeat([]byte{255}, 64*64*3), 64, 64, 3)
		erase(&e, p, []float64{0.485, 0.456, 0.406}, r)
		erased := 0
		for i := 0; i < len(p.Pix); i += 3 {
			switch {
			case bytes.Equal(p.Pix[i:i+3], []byte{124, 116, 104}):
				erased++
			case !bytes.Equal(p.Pix[i:i+3], []byte{255, 255, 255}):
				t.Fatalf("a pixel is %v", p.Pix[i:i+3])
			}
		}
		part := float64(erased) / (64 * 64)
		if part < 0.09 || part > 0.21 {
			t.Fatalf("%.3f of the area is erased", part)
		}
		sum += part / n
	}
	if math.Abs(sum-0.15) > 0.005 {
		t.Errorf("%.3f of the area is erased on average, want 0.15", sum)
	}
}

// The mixed image is the weighted sum of an image and the one before it, and the weights are Beta's.
func TestMixup(t *testing.T) {
	images := fakeImages(6, 6, data.Shape{C: 3, H: 4, W: 4})
	var mean, square float64
	const n = 4000
	for epoch := range n {
		b := drain(t, images, loaderOptions{Batch: 6, Epoch: epoch, Transform: Transform{Mixup: 0.4}})[0]
		mean, square = mean+b.Weight/n, square+b.Weight*b.Weight/n
		if !slices.Equal(b.Labels, []int64{0, 1, 2, 3, 4, 5}) || !slices.Equal(b.Partners, []int64{5, 0, 1, 2, 3, 4}) {
			t.Fatalf("labels %v with partners %v", b.Labels, b.Partners)
		}
		if epoch > 20 {
			continue
		}
		for k := range b.N {
			for i, v := range b.Bytes[k*48 : (k+1)*48] {
				own, other := float64(images.Image(k)[i]), float64(images.Image((k + 5) % 6)[i])
				if want := b.Weight*own + (1-b.Weight)*other; math.Abs(float64(v)-want) > 0.5001 {
					t.Fatalf("image %d at %d is %d, want %.2f", k, i, v, want)
				}
			}
		}
	}
	// Beta(α, α) has the mean ½ and the variance 1/(4(2α+1)).
	if variance := square - mean*mean; math.Abs(mean-0.5) > 0.02 || math.Abs(variance-1/(4*1.8)) > 0.01 {
		t.Errorf("weights have mean %.3f and variance %.4f, want 0.5 and %.4f", mean, variance, 1/(4*1.8))
	}
}

func TestBeta(t *testing.T) {
	r := random()
	for _, alpha := range []float64{0.01, 0.2, 1, 1.5, 8} {
		var mean, square float64
		const n = 40_000
		for range n {
			v := beta(r, alpha)
			if !(v >= 0 && v <= 1) {
				t.Fatalf("Beta(%g) gives %g", alpha, v)
			}
			mean, square = mean+v/n, square+v*v/n
		}
		want := 1 / (4 * (2*alpha + 1))
		if variance := square - mean*mean; math.Abs(mean-0.5) > 0.01 || math.Abs(variance/want-1) > 0.03 {
			t.Errorf("Beta(%g) has mean %.3f and variance %.4f, want 0.5 and %.4f", alpha, mean, variance, want)
		}
	}
}

// CutMix takes each pixel from the image or from the one before it, and its weight is the image's share.
func TestCutMix(t *testing.T) {
	s := data.Shape{C: 3, H: 16, W: 12}
	images := Images{Shape: s, Labels: []uint16{0, 1, 2}}
	for k := range 3 {
		images.Pixels = append(images.Pixels, bytes.Repeat([]byte{byte(10 + k)}, s.Size())...)
	}
	for epoch := range 200 {
		b := drain(t, images, loaderOptions{Batch: 3, Epoch: epoch, Transform: Transform{CutMix: 1}})[0]
		for k := range 3 {
			own := bytes.Count(b.Bytes[k*s.Size():(k+1)*s.Size()], []byte{byte(10 + k)})
			other := bytes.Count(b.Bytes[k*s.Size():(k+1)*s.Size()], []byte{byte(10 + (k+2)%3)})
			if own+other != s.Size() || math.Abs(float64(own)/float64(s.Size())-b.Weight) > 1e-9 {
				t.Fatalf("image %d has %d and %d bytes of %d, weight %g", k, own, other, s.Size(), b.Weight)
			}
		}
	}
}

// View 1 is always blurred and never solarized, view 2 blurred one time in ten and solarized one time in five.
func TestBarlowViews(t *testing.T) {
	var s recolourer
	r := random()
	const n = 2000
	var flat, dark [2]float64
	for range n {
		for view, v := range barlowViews {
			stripes := picture.New(8, 8, 3)
			for i := range stripes.Pix { // which jitter cannot flatten, and a blur of more than about 0.5 does
				stripes.Pix[i] = byte(60 + 60*(i/3%2))
			}
			s.barlow(stripes, barlowView{blur: v.blur}, r)
			if difference := max(stripes.Pix[96], stripes.Pix[99]) - min(stripes.Pix[96], stripes.Pix[99]); difference < 15 {
				flat[view] += 1.0 / n
			}
			white := picture.Of(bytes.Repeat([]byte{250}, 12), 2, 2, 3)
			s.barlow(white, barlowView{solarize: v.solarize}, r)
			if white.Pix[0] < 110 {
				dark[view] += 1.0 / n
			}
		}
	}
	if flat[0] < 0.5 || math.Abs(flat[1]/flat[0]-0.1) > 0.03 {
		t.Errorf("stripes are flattened in %.3f and %.3f of the views, want most and a tenth of that", flat[0], flat[1])
	}
	if dark[0] != 0 || math.Abs(dark[1]-0.2) > 0.03 {
		t.Errorf("%.3f and %.3f of the views are solarized, want 0 and 0.2", dark[0], dark[1])
	}
}

// A rectangle that rounds to nothing erases nothing, wherever it falls.
func TestEraseOfTinyImages(t *testing.T) {
	e := data.EraseOptions{P: 1, Scale: []float64{0.001, 0.01}, Ratio: []float64{0.01, 100}}
	r := random()
	for range 2000 {
		erase(&e, picture.New(5, 4, 3), []float64{0.5, 0.5, 0.5}, r)
	}
}

func TestTransformCheck(t *testing.T) {
	for _, tt := range []struct {
		change func(*data.Options)
		want   []string
	}{
		{func(o *data.Options) { o.Augment, o.Crop.Scale = data.AugmentResizedCrop, []float64{0.5} }, []string{"crop.scale is [0.5]", "two values"}},
		{func(o *data.Options) { o.Augment, o.Crop.Ratio = data.AugmentResizedCrop, []float64{2, 1} }, []string{"crop.ratio is [2 1]", "smaller one first"}},
		{func(o *data.Options) { o.Augment, o.Crop.Scale = data.AugmentBarlow, []float64{0.5, 2} }, []string{"crop.scale"}},
		{func(o *data.Options) { o.Flip = 2 }, []string{"flip is 2"}},
		{func(o *data.Options) { o.Jitter.Hue = 0.6 }, []string{"jitter.hue is 0.6", "at most 0.5"}},
		{func(o *data.Options) { o.RandAugment.Magnitude = 31 }, []string{"rand_augment.magnitude is 31"}},
		{func(o *data.Options) { o.Erase.P = 0.5 }, []string{"erase.scale is []"}},
		{func(o *data.Options) { o.Mixup = math.NaN() }, []string{"mixup is NaN"}},
		{func(o *data.Options) { o.Augment, o.RandAugment.Ops = data.AugmentBarlow, 2 }, []string{"barlow", "must be off"}},
		{func(o *data.Options) { o.Size = 64 }, []string{"size is 64", "cifar10 has images of 32×32"}},
		{func(o *data.Options) { o.Set, o.Size, o.Resize = "folder", 64, 32 }, []string{"resize is 32", "64"}},
		{func(o *data.Options) { o.Set, o.Size = "tar", 1<<20 }, []string{"size is 1048576"}},
		{func(o *data.Options) { o.Broken = -1 }, []string{"broken is -1"}},
	} {
		o := options("cifar10")
		tt.change(&o)
		t.Run(fmt.Sprint(tt.want), func(t *testing.T) { wantFault(t, o.Validate(), tt.want...) })
	}
}
