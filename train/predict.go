package train

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/data/images"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
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

// products guards the number of threads of a matrix product, which is one for the whole process and must not change while
// somebody computes. Who computes with all threads holds it; classifiers, which need it at one, are counted.
var products struct {
	sync.Mutex
	classifiers int
}

// Predict classifies the image in a JPEG, PNG, GIF or WebP file, cropped and scaled to the network's input as the images
// are that the model is evaluated on. The first head whose best class reaches confidence answers, the last one otherwise;
// at confidence 0 or below, always the last. Classes are sorted, most probable first.
//
// It takes all threads for one image. Calls from several goroutines wait for each other; [Trained.Classify] computes beside
// itself, which is faster for many images.
func (t *Trained) Predict(path string, confidence float64) (Prediction, error) {
	if err := t.answers(); err != nil {
		return Prediction{}, err
	}
	pixels, err := images.Read(t.Config.Data, path, t.sample())
	if err != nil {
		return Prediction{}, err
	}
	products.Lock()
	defer products.Unlock()
	defer torch.Pin()()
	all, err := t.predict([][]byte{pixels}, confidence)
	if err != nil {
		return Prediction{}, err
	}
	return all[0], nil
}

// answers returns a fault if the model has no classes to predict, or does not take images.
func (t *Trained) answers() error {
	if t.Views() > 1 {
		return fault.New("%s was trained without labels by method.name %s: it has features and no classes to predict",
			t.Path, t.Config.Method.Name)
	}
	if len(t.set.Mean) == 0 {
		return fault.New("%s was trained on numbers, of %s, and not on images: a program gives it its numbers by local.Chain's Predict",
			show.Name(t.Path), show.Name(t.set.Name))
	}
	return nil
}

// sample is the shape of the images that the network takes.
func (t *Trained) sample() data.Shape {
	in := t.Net.Input
	return data.Shape{C: in.C, H: in.H, W: in.W}
}

// predict runs the network on the pixels [H, W, C] of some images, on the calling thread and its team.
func (t *Trained) predict(pixels [][]byte, confidence float64) ([]Prediction, error) {
	in := t.Net.Input
	s := torch.NewScopeOn(t.Device(), torch.NoGrad)
	defer s.Close()
	x := s.FromImages(t.Config.dtype(), slices.Concat(pixels...), len(pixels), in.H, in.W, in.C, float32s(t.set.Mean), float32s(t.set.Std)).Keep()
	answers, err := t.Chain.Predict(x, confidence)
	if err != nil {
		return nil, err
	}
	var all []Prediction
	for _, a := range answers {
		p := Prediction{Module: a.Module}
		if slices.ContainsFunc(a.Probabilities, math.IsNaN) {
			return nil, fault.New("the answer of module %d is not finite: the image's values or the weights of %s are too large for the precision", a.Module, show.Name(t.Path))
		}
		for i, v := range a.Probabilities[:min(len(a.Probabilities), len(t.Classes))] {
			p.Classes = append(p.Classes, ClassProbability{t.Classes[i], v})
		}
		slices.SortStableFunc(p.Classes, func(a, b ClassProbability) int { return cmp.Compare(b.Probability, a.Probability) })
		all = append(all, p)
	}
	return all, nil
}
