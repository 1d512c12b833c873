package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/locus-learn/locus/internal/ranking"
)

// Ranking is what the heads of one trained network answer on samples that may have any number of classes.
type Ranking struct {
	Checkpoint string
	Set, Part  string
	Subset     bool // of the official set
	Classes    []string
	Has        []byte // samples × classes, 1 where a sample has a class
	Heads      []RankedHead
	Mistakes   []RankedMistake
}

// RankedHead is a module with its head.
type RankedHead struct {
	Module      int
	Blocks      string
	Body, Asked int64     // multiply-adds of a sample's way through the module's blocks, and through its head
	Loss        float64   // mean binary cross-entropy
	Logits      []float32 // samples × classes
}

// RankedMistake is an answer of the last head about a sample and a class that is far off.
type RankedMistake struct {
	Sample, Class int
	Title         string
	H, W, C       int
	Pixels        []byte // channels last; nil where there is no picture
}

func (e Ranking) samples() int { return len(e.Has) / len(e.Classes) }

func (e Ranking) last() RankedHead { return e.Heads[len(e.Heads)-1] }

// ways says what a way to the heads takes, all of which answer.
func (e Ranking) ways() Examination {
	var out Examination
	for _, h := range e.Heads {
		out.Heads = append(out.Heads, Head{Module: h.Module, Body: h.Body, Asked: h.Asked, Said: []Said{}})
	}
	return out
}

func (e Ranking) classesOf(logits []float32) []ranking.Class {
	return ranking.Answers{Logits: logits, Has: e.Has, Classes: len(e.Classes)}.All()
}

// probability is that of a logit.
func probability(logit float32) float64 { return 1 / (1 + math.Exp(-float64(logit))) }

// sure is how sure a head is of each sample: as of the class that it is least sure about.
func (e Ranking) sure(h RankedHead) []float64 {
	out := make([]float64, e.samples())
	for i := range out {
		out[i] = 1
		for _, z := range h.Logits[i*len(e.Classes) : (i+1)*len(e.Classes)] {
			p := probability(z)
			out[i] = min(out[i], max(p, 1-p))
		}
	}
	return out
}

// exits is the curve of mean average precision against computation; none where there is one head.
func (e Ranking) exits(thresholds []float64) (all []exit) {
	if len(e.Heads) < 2 {
		return nil
	}
	var sure [][]float64
	for _, h := range e.Heads {
		sure = append(sure, e.sure(h))
	}
	ways := e.ways()
	asked := ways.answering()
	var before []int // where samples left at the threshold before
	for _, t := range thresholds {
		x := exit{threshold: t, shares: make([]float64, len(e.Heads))}
		left := make([]int, e.samples())
		for i := range left {
			for sure[left[i]][i] < t && left[i] < len(e.Heads)-1 {
				left[i]++
			}
			x.shares[left[i]] += 100 / float64(len(left))
			x.macs += float64(ways.path(left[i], asked)) / float64(len(left))
		}
		if slices.Equal(left, before) {
			x.accuracy = all[len(all)-1].accuracy
		} else {
			x.accuracy = 100 * ranking.Mean(e.classesOf(e.mixed(left))).AP
		}
		all, before = append(all, x), left
	}
	return all
}

// mixed are the answers of the heads that samples leave at.
func (e Ranking) mixed(left []int) (logits []float32) {
	c := len(e.Classes)
	for i, head := range left {
		logits = append(logits, e.Heads[head].Logits[i*c:(i+1)*c]...)
	}
	return logits
}

// calibration puts a head's answers about all classes into bins of equal width by their probability. ece is the mean over the
// answers of |share that have the class − mean probability| of their bin.
func (e Ranking) calibration(h RankedHead) (all [bins]bin, ece float64) {
	for i, z := range h.Logits {
		p := probability(z)
		b := &all[max(0, min(bins-1, int(math.Ceil(p*bins))-1))]
		b.n++
		b.sure += p
		b.right += int(e.Has[i])
	}
	for _, b := range all {
		ece += math.Abs(float64(b.right)-b.sure) / float64(len(h.Logits))
	}
	return all, ece
}

// Write puts the report into a folder: heads.csv, classes.csv, calibration.csv, exits.csv and mistakes.csv, each picture as SVG,
// PDF and PNG, the mistakes as PNG, and index.html with all of it. Files of others are treated as by [Grouping.Write].
func (e Ranking) Write(dir string, width Width) error {
	r := e.measured()
	files, err := r.tables()
	if err != nil {
		return err
	}
	for _, f := range r.figures() {
		drawn, err := pictures(f, width)
		if err != nil {
			return err
		}
		files = append(files, drawn...)
	}
	shown, err := e.shown().thumbnails()
	if err != nil {
		return err
	}
	for i, content := range shown {
		if content != nil {
			files = append(files, file{mistakeFile(i), content})
		}
	}
	html, err := r.html(shown)
	if err != nil {
		return err
	}
	return put(dir, append(files, file{PageFile, html}))
}

// shown has the pictures of the mistakes.
func (e Ranking) shown() (out Examination) {
	for _, m := range e.Mistakes {
		out.Mistakes = append(out.Mistakes, Mistake{Sample: m.Sample, Title: m.Title, H: m.H, W: m.W, C: m.C, Pixels: m.Pixels})
	}
	return out
}

// rankedReport is a ranking with all that is found once.
type rankedReport struct {
	Ranking
	classes [][]ranking.Class // of each head
	means   []ranking.Means
	curve   []exit
	ways    Examination
}

func (e Ranking) measured() rankedReport {
	r := rankedReport{Ranking: e, curve: e.exits(thresholds()), ways: e.ways()}
	for _, h := range e.Heads {
		all := e.classesOf(h.Logits)
		r.classes, r.means = append(r.classes, all), append(r.means, ranking.Mean(all))
	}
	return r
}

// tables are all numbers, for other programs. Shares are in [0, 1] in calibration.csv and mistakes.csv, and in per cent elsewhere.
func (r rankedReport) tables() (files []file, err error) {
	macs := func(n int64) string { return strconv.FormatInt(n, 10) }
	percents := func(v float64) string { return digits(100 * v) }
	heads := [][]string{{"module", "blocks", "map", "f1", "f1_micro", "loss", "ece", "body_macs", "head_macs", "macs"}}
	calibration := [][]string{{"module", "low", "high", "n", "probability", "share"}}
	classes := [][]string{{"class", "n", "images"}}
	exits := [][]string{{"confidence", "map", "macs"}}
	for i, h := range r.Heads {
		all, ece := r.calibration(h)
		m := r.means[i]
		heads = append(heads, []string{strconv.Itoa(h.Module), h.Blocks, percents(m.AP), percents(m.F1), percents(m.F1Micro), digits(h.Loss), digits(ece),
			macs(h.Body), macs(h.Asked), macs(r.ways.alone(i))})
		for b, in := range all {
			calibration = append(calibration, []string{strconv.Itoa(h.Module), digits(float64(b) / bins), digits(float64(b+1) / bins), strconv.Itoa(in.n),
				digits(in.sure / float64(in.n)), digits(float64(in.right) / float64(in.n))})
		}
		classes[0] = append(classes[0], fmt.Sprintf("ap_%d", h.Module), fmt.Sprintf("f1_%d", h.Module))
		exits[0] = append(exits[0], fmt.Sprintf("share_%d", h.Module))
	}
	classes[0] = append(classes[0], "threshold", "f1_at_threshold")
	for k, name := range r.Classes {
		last := r.classes[len(r.classes)-1][k]
		row := []string{name, strconv.Itoa(last.Positives), strconv.Itoa(last.Samples)}
		for _, all := range r.classes {
			row = append(row, percents(all[k].AP), percents(all[k].F1()))
		}
		classes = append(classes, append(row, digits(probability(float32(last.Best))), percents(last.BestF1)))
	}
	for _, x := range r.curve {
		row := []string{digits(x.threshold), digits(x.accuracy), digits(x.macs)}
		for _, share := range x.shares {
			row = append(row, digits(share))
		}
		exits = append(exits, row)
	}
	mistakes := [][]string{{"sample", "path", "class", "has", "probability"}}
	for _, m := range r.Mistakes {
		at := m.Sample*len(r.Classes) + m.Class
		mistakes = append(mistakes, []string{strconv.Itoa(m.Sample), m.Title, r.Classes[m.Class], strconv.Itoa(int(r.Has[at])), digits(probability(r.last().Logits[at]))})
	}
	for _, t := range []struct {
		name string
		rows [][]string
	}{{"heads", heads}, {"classes", classes}, {"calibration", calibration}, {"exits", exits}, {"mistakes", mistakes}} {
		if len(t.rows) == 1 {
			continue
		}
		var b bytes.Buffer
		if err := csv.NewWriter(&b).WriteAll(t.rows); err != nil {
			return nil, err
		}
		files = append(files, file{t.name + ".csv", b.Bytes()})
	}
	return files, nil
}
