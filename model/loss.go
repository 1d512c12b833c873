package model

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
)

// LossOptions is the `loss` section of a recipe: how much classes and samples count in the loss of every head. Evaluation
// tells the plain cross-entropy whatever it says.
type LossOptions struct {
	Name    string   `recipe:"name" default:"cross-entropy" oneof:"cross-entropy focal bce" doc:"of every head; bce = binary cross-entropy, for images that have any number of classes; focal counts a sample by (1 − p)^gamma, p being the probability of its class, so that easy samples count less"`
	Gamma   int      `recipe:"gamma" default:"2" min:"1" max:"8" doc:"focal: how much less easy samples count"`
	Weights []string `recipe:"class_weights" default:"" doc:"how much each class counts: balanced = inversely to its number of training samples, or a number a class, in the order of the classes; empty = all alike. With bce it is the images that have the class which count, as pos_weight in PyTorch, and balanced = images without it over images with it"`
}

// balanced is the value of loss.class_weights that asks the data.
const balanced = "balanced"

// bce is the loss for samples that have any number of classes, and for no others.
const bce = "bce"

// MultiLabel reports whether the loss is for samples that have any number of classes.
func (o LossOptions) MultiLabel() bool { return o.Name == bce }

// matches returns a fault where the loss is not for samples such as the data's.
func (o LossOptions) matches(in Input) error {
	name := cmp.Or(o.Name, "cross-entropy")
	switch {
	case in.MultiLabel && !o.MultiLabel():
		return fault.New("loss.name is %s: must be bce, since the images of this data have any number of classes", name)
	case !in.MultiLabel && o.MultiLabel():
		return fault.New("loss.name is bce: must be cross-entropy or focal, since each image of this data has one class; " +
			"data.set=csv has several where train.csv begins with path,labels, or with path and a column a class, and so has data.set=multi-folder")
	}
	return nil
}

// apply has a method's rule count classes and samples as the options say.
func (o LossOptions) apply(rule *local.Rule, m method.Method, in Input) error {
	s := local.Scores{MultiLabel: in.MultiLabel}
	if o.Name == "focal" {
		s.Gamma = o.Gamma
	}
	err := o.matches(in)
	if err != nil {
		return err
	}
	if s.Weights, err = o.weights(in); err != nil {
		return err
	}
	if s.Gamma == 0 && len(s.Weights) == 0 && !s.MultiLabel {
		return nil
	}
	chooser, ok := rule.Objective.(local.Chooser)
	key := "loss.class_weights is " + strings.Join(o.Weights, ",")
	if s.Gamma > 0 {
		key = "loss.name is focal"
	}
	if s.MultiLabel {
		key = "loss.name is " + bce
	}
	if !ok || rule.Closed || rule.Needs.Error || s.MultiLabel && !local.TakesSoftTargets(rule.Objective) {
		return fault.New("%s: must be left out with method.name %s, which does not learn by the cross-entropy of its heads; "+
			"fits bp, layerwise, sgr and others that do", key, m.Name)
	}
	rule.Objective = chooser.Choose(s)
	return nil
}

// weights returns those of the classes, none where all count alike.
func (o LossOptions) weights(in Input) (all []float64, err error) {
	if len(o.Weights) == 0 {
		return nil, nil
	}
	if len(o.Weights) == 1 && o.Weights[0] == balanced {
		if len(in.Counts) != in.Classes {
			return nil, fault.New("loss.class_weights is balanced: the data set does not tell the classes of its samples before it reads them; must be a number a class")
		}
		if in.MultiLabel {
			return local.BalancedPositives(in.Counts, in.Samples), nil
		}
		return local.Balanced(in.Counts), nil
	}
	if len(o.Weights) != in.Classes {
		return nil, fault.New("loss.class_weights has %d values: must be balanced, or %d numbers, one a class", len(o.Weights), in.Classes)
	}
	for _, text := range o.Weights {
		w, err := strconv.ParseFloat(text, 64)
		if err != nil || !local.PossibleWeight(w) {
			return nil, fault.New("loss.class_weights holds %q: must be balanced alone, or numbers from 1e-6 to 1e6", text)
		}
		all = append(all, w)
	}
	return all, nil
}
