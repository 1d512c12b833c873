package train

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/recipe"
)

// FuzzDescribe holds of whatever a checkpoint from elsewhere says of itself: it is refused with a fault, or it leaves a
// recipe within all bounds that decides nothing but network and images, and values of one sample that can be held.
func FuzzDescribe(f *testing.F) {
	c := Defaults()
	doc, err := recipe.Describe(&c)
	if err != nil {
		f.Fatal(err)
	}
	const input, classes, set = `{"C":3,"H":32,"W":32}`, `["a","b"]`, `{"Name":"x","Mean":[0,0,0],"Std":[1,1,1]}`
	f.Add(string(doc), input, classes, set)
	f.Add("", input, classes, set)
	f.Add("data: {dir: /, workers: 256, batch: 65536}\nthreads: 1024\ndevice: cuda:3\n", input, classes, set)
	f.Add("model: {width: 9223372036854775807}\n", `{"C":4611686018427387904,"H":4,"W":4}`, `[]`, `{}`)
	f.Add("method: {cuts: [auto]}\n", `{"C":-1}`, `null`, `{"Mean":[1e308],"Std":[1e-320]}`)
	f.Add("base: x\n", `{"C":1,"H":0,"W":5,"Tokens":-7}`, `["\u001b[2J"]`, `[]`)
	f.Fuzz(func(t *testing.T, doc, input, classes, set string) {
		m := Trained{Path: "x.safetensors"}
		in, c, err := m.describe(map[string]string{metaRecipe: doc, metaInput: input, metaClasses: classes, metaDataset: set})
		if err != nil {
			if !fault.Is(err) {
				t.Fatalf("%v is no fault", err)
			}
			return
		}
		own := Defaults()
		if c.Data.Dir != "" || c.Data.Workers != own.Data.Workers || c.Threads != own.Threads || c.Device != own.Device || c.Method.Spill != "" || c.Method.Resident != 0 {
			t.Errorf("the file decides: %+v", c)
		}
		if err := recipe.Validate(&c); err != nil {
			t.Errorf("accepted, but %v", err)
		}
		values := float64(in.C) * math.Max(1, float64(in.H)) * math.Max(1, float64(in.W))
		if !(values >= 1 && values <= mostValues) || c.Data.Batch > 1 && 4*values*float64(c.Data.Batch) > batchBytes {
			t.Errorf("%v in batches of %d", in, c.Data.Batch)
		}
		if len(m.Classes) == 0 || len(m.set.Mean) != len(m.set.Std) || len(m.set.Mean) != 0 && len(m.set.Mean) != in.C {
			t.Errorf("classes %v, means %v, deviations %v", m.Classes, m.set.Mean, m.set.Std)
		}
	})
}

// FuzzProgress holds of whatever a state's file says of a run's position: refused, or such that a run can go on from it.
func FuzzProgress(f *testing.F) {
	f.Add(`{"Step":3,"Total":20,"Epoch":0,"Batch":3,"Sums":{"Steps":3,"SGR":[{"N":1,"Sum":0.5},{},{}]}}`)
	f.Add(`{"Step":-1}`)
	f.Add(`{"Step":9223372036854775807,"Total":9223372036854775807,"Epoch":9223372036854775807}`)
	f.Add(`{"Sums":{"Busy":[{"N":1}],"Wait":[]},"Batch":6,"Lowest":{"Step":1e3}}`)
	f.Fuzz(func(t *testing.T, text string) {
		const perEpoch, modules = 5, 3
		var p progress
		if json.Unmarshal([]byte(text), &p) != nil || p.check(perEpoch, modules) != nil {
			return
		}
		if p.Step < 0 || p.Batch < 0 || p.Batch > perEpoch || p.Epoch < 0 || p.Total*modules < 0 {
			t.Errorf("%+v", p)
		}
		for _, each := range []*[]mean{&p.Sums.SGR, &p.Sums.Cos, &p.Sums.Busy, &p.Sums.Wait} {
			addEach(each, make([]float64, modules))
			values(*each)
		}
		if l := p.Lowest.at(p.Step); l.Since != (mean{}) {
			t.Errorf("%+v: what came since a checkpoint outlasts it", l)
		}
	})
}
