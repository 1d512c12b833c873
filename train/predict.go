package train

import (
	"cmp"
	"slices"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/data/images"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
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

// Predict classifies the image in a JPEG, PNG, GIF or WebP file, cropped and scaled to the network's input as the images
// are that the model is evaluated on. The first head whose best class reaches confidence answers, the last one otherwise;
// at confidence 0 or below, always the last. Classes are sorted, most probable first.
func (t *Trained) Predict(path string, confidence float64) (Prediction, error) {
	if t.Views() > 1 {
		return Prediction{}, fault.New("%s was trained without labels by method.name %s: it has features and no classes to predict",
			t.Path, t.Config.Method.Name)
	}
	defer torch.Pin()()
	in := t.Net.Input
	pixels, err := images.Read(t.Config.Data, path, data.Shape{C: in.C, H: in.H, W: in.W})
	if err != nil {
		return Prediction{}, err
	}
	s := torch.NewScopeOn(t.Device(), torch.NoGrad)
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
