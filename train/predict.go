package train

import (
	"cmp"
	"image"
	_ "image/gif" // formats that predict reads
	_ "image/jpeg"
	_ "image/png"
	"os"
	"slices"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Prediction is what a model says of one image.
type Prediction struct {
	Module  int // whose head answered, from 1
	Classes []ClassProbability
}

// ClassProbability is one class with its probability in [0, 1].
type ClassProbability struct {
	Class       string
	Probability float64
}

// Predict classifies the image in a JPEG, PNG, GIF or WebP file: its largest centred square, resized to the network's
// input. The first head whose best class reaches confidence answers, the last one otherwise; at confidence 0 or below,
// always the last. Classes are sorted, most probable first.
func (t *Trained) Predict(path string, confidence float64) (Prediction, error) {
	defer torch.Pin()()
	pixels, err := readImage(path, t.Net.Input)
	if err != nil {
		return Prediction{}, err
	}
	in := t.Net.Input
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	x := s.FromImages(t.Config.dtype(), pixels, 1, in.H, in.W, in.C, float32s(t.set.Mean), float32s(t.set.Std)).Keep()
	module, probabilities, err := local.Predict(t.Learner.Modules(), x, t.Config.dtype(), confidence)
	if err != nil {
		return Prediction{}, err
	}
	p := Prediction{Module: module}
	for i, v := range probabilities[:min(len(probabilities), len(t.Classes))] {
		p.Classes = append(p.Classes, ClassProbability{t.Classes[i], v})
	}
	slices.SortStableFunc(p.Classes, func(a, b ClassProbability) int { return cmp.Compare(b.Probability, a.Probability) })
	return p, nil
}

// maxPixels bounds an image's size before it is decoded: a small file can promise any dimensions.
const maxPixels = 100 << 20

// readImage returns the pixels [h, w, c] of the largest centred square in a file, resized to shape.
func readImage(path string, shape nn.Shape) ([]byte, error) {
	if shape.C != 1 && shape.C != 3 {
		return nil, fault.New("the network takes %d channels: predict reads images of 1 or 3", shape.C)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New("the image cannot be read: %w", err)
	}
	defer f.Close()
	head, _, err := image.DecodeConfig(f)
	if err != nil {
		return nil, fault.New("%s is no image that can be read: must be JPEG, PNG, GIF or WebP", path)
	}
	if head.Width*head.Height > maxPixels {
		return nil, fault.New("%s is %d×%d pixels: must be at most %d in all", path, head.Width, head.Height, maxPixels)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	img, _, err := image.Decode(f)
	if err != nil {
		return nil, fault.New("%s cannot be decoded: %w", path, err)
	}
	b := img.Bounds()
	side := min(b.Dx(), b.Dy())
	corner := b.Min.Add(image.Pt((b.Dx()-side)/2, (b.Dy()-side)/2))
	square := image.Rectangle{Min: corner, Max: corner.Add(image.Pt(side, side))}
	target := image.Rect(0, 0, shape.W, shape.H)
	if shape.C == 1 {
		grey := image.NewGray(target)
		draw.CatmullRom.Scale(grey, target, img, square, draw.Src, nil)
		return grey.Pix, nil
	}
	colour := image.NewRGBA(target)
	draw.CatmullRom.Scale(colour, target, img, square, draw.Src, nil)
	out := make([]byte, 0, 3*shape.H*shape.W)
	for i := 0; i < len(colour.Pix); i += 4 {
		out = append(out, colour.Pix[i:i+3]...)
	}
	return out, nil
}
