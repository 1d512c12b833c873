package main

import (
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/torch"
)

// sureness is a metric: the mean probability, in per cent, that answers give to the right class.
var sureness = local.Metric{
	Name: "sureness",
	Sum: func(s *torch.Scope, answers, y torch.Tensor) float64 {
		right := s.Mul(s.Softmax(answers), s.OneHot(y, int(answers.Shape()[1])))
		return s.Sum(right).Item()
	},
	Value: func(mean float64) float64 { return 100 * mean },
}

func init() {
	sgr, _, err := method.Lookup(method.Options{Name: "sgr", Modules: 2})
	if err != nil {
		panic(err)
	}
	compose := sgr.Compose
	sgr.Name, sgr.Doc = "sgr-sureness", "sgr, its heads measured by sureness, too"
	sgr.Compose = func(o method.Options) (local.Rule, local.Schedule) {
		rule, schedule := compose(o)
		rule.Metrics = append(rule.Metrics, sureness)
		return rule, schedule
	}
	method.Register(sgr)
}
