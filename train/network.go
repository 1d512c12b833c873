package train

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/model"
)

// NetworkOf returns, as assignments key=value, which network a checkpoint of ours is of, and how its images were sized and
// normalised; nothing for published weights, which do not say. The path is a file's, or a run folder's that stands for its last
// checkpoint; file is that checkpoint.
func NetworkOf(path string) (file string, sets []string, err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, lastFile)
	}
	w, err := model.OpenWeights(path)
	if err != nil {
		return "", nil, err
	}
	defer w.Close()
	meta := w.Metadata()
	if meta[metaRecipe] == "" {
		return path, nil, nil
	}
	t := Trained{Path: path}
	in, c, err := t.describe(meta)
	if err != nil {
		return "", nil, err
	}
	m := c.Model
	sets = []string{
		"model.name=" + m.Name, fmt.Sprint("model.width=", m.Width), fmt.Sprint("model.depth=", m.Depth), fmt.Sprint("model.patch=", m.Patch),
		"model.norm=" + m.Norm,
	}
	if in.H > 0 && in.H == in.W {
		sets = append(sets, fmt.Sprint("data.size=", in.H))
	}
	const colours = 3 // photographs have
	if len(t.set.Mean) == colours {
		sets = append(sets, "data.mean="+numbers(t.set.Mean), "data.std="+numbers(t.set.Std))
	}
	return path, sets, nil
}

// numbers writes a list as an assignment has it.
func numbers(values []float64) string {
	var all []string
	for _, v := range values {
		all = append(all, strconv.FormatFloat(v, 'g', -1, 64))
	}
	return strings.Join(all, ",")
}

// said returns the value that assignments give a key, "" for none.
func said(sets []string, key string) (value string) {
	for _, s := range sets {
		if v, ok := strings.CutPrefix(s, key+"="); ok {
			value = v
		}
	}
	return value
}

// Tuned is the recipe finetune for weights in a file, or of a run folder: network, size and normalisation are those of the
// checkpoint, and for published weights must be among the assignments. It returns the file, too.
func Tuned(from string, sets []string) (c Config, file string, err error) {
	file, known, err := NetworkOf(from)
	if err != nil {
		return c, "", err
	}
	own, asked := said(known, "model.name"), said(sets, "model.name")
	switch {
	case own == "" && asked == "":
		return c, "", fault.New("%s does not say which network its weights are of: --model must name it; 'locus list models' shows them", show.Name(file))
	case own != "" && asked != "" && own != asked:
		return c, "", fault.New("model.name is %s: must be %s, of which the weights in %s are, or be left out", asked, own, show.Name(file))
	}
	c, err = Load("finetune", append(known, sets...))
	return c, file, err
}
