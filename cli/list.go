package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/study"
	"github.com/locus-learn/locus/train"
	"github.com/locus-learn/locus/zoo"
)

// lists are what list can show, as rows of cells with tabs between them.
var lists = []struct {
	name string
	rows func() ([]string, error)
}{
	{"methods", listMethods}, {"models", listModels}, {"heads", listHeads}, {"optimizers", listOptimizers},
	{"recipes", listRecipes}, {"studies", listStudies}, {"data", listSets}, {"keys", listKeys},
}

func newList() *cobra.Command {
	var names []string
	for _, l := range lists {
		names = append(names, l.name)
	}
	return &cobra.Command{
		Use:   "list " + strings.Join(names, "|"),
		Short: "Show what there is to choose from",
		Long: "Show what there is to choose from; keys are those of a recipe, with type, default and what is allowed.\n" +
			"Recipes stand below what they build on; a name with a colon is a base, for 'base: NAME' in a recipe of your own.",
		Example:   "  locus list recipes\n  locus list keys",
		Args:      takes(1, 1),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, l := range lists {
				if l.name != args[0] {
					continue
				}
				rows, err := l.rows()
				if err != nil {
					return err
				}
				return printColumns(cmd.OutOrStdout(), rows)
			}
			if near := nearest(args[0], names); near != "" {
				return fault.New("unknown list %q: did you mean 'locus list %s'?", args[0], near)
			}
			return fault.New("unknown list %q: must be one of %s", args[0], strings.Join(names, ", "))
		},
	}
}

// listMethods is the paper's Table 1, extended, as methods declare it; 'locus verify' checks what they declare.
func listMethods() (rows []string, err error) {
	transport := map[method.Extent]string{method.Never: "no", method.Inside: "inside modules", method.Whole: "yes"}
	locking := map[method.Extent]string{method.Never: "no", method.Inside: "partly", method.Whole: "yes"}
	backward := map[method.Extent]string{method.Never: "yes", method.Inside: "no, inside modules", method.Whole: "no"}
	rows = append(rows, "METHOD\tWEIGHT TRANSPORT\tUPDATE LOCKING\tBP-FREE\tTRAINS")
	var docs []string
	for _, m := range method.All() {
		c := m.Claims
		rows = append(rows, strings.Join([]string{m.Name, transport[c.Transport], locking[c.Locking], backward[c.Backward], c.Trains}, "\t"))
		docs = append(docs, m.Name+"\t"+m.Doc)
	}
	return append(append(rows, ""), docs...), nil
}

func listModels() (rows []string, err error) {
	for _, m := range zoo.Models() {
		rows = append(rows, fmt.Sprintf("%s\t%s; width %d, depth %d unless set", m.Name, m.Doc, m.Width, m.Depth))
	}
	return rows, nil
}

func listHeads() (rows []string, err error) {
	for _, h := range zoo.Heads() {
		rows = append(rows, h.Name+"\t"+h.Doc)
	}
	return rows, nil
}

func listOptimizers() (rows []string, err error) {
	for _, k := range optim.Kinds() {
		rows = append(rows, k.Name+"\t"+k.Doc)
	}
	return rows, nil
}

// listRecipes is a tree: recipes stand below the base that they build on.
func listRecipes() (rows []string, err error) {
	for _, e := range recipe.Tree() {
		name := strings.Repeat("  ", e.Depth) + e.Name
		if e.IsBase {
			if e.Depth == 0 && len(rows) > 0 {
				rows = append(rows, "")
			}
			name += ":"
		}
		rows = append(rows, name+"\t"+e.Summary)
	}
	return rows, nil
}

func listStudies() (rows []string, err error) {
	for _, e := range study.Names() {
		rows = append(rows, e.Name+"\t"+e.About)
	}
	return rows, nil
}

func listSets() (rows []string, err error) {
	for _, s := range data.Sets() {
		if s.Home == nil {
			rows = append(rows, s.Name+"\t"+s.Doc+"\tbuilt in")
			continue
		}
		h := s.Home
		at, _ := h.Find(nil)
		if h.Own {
			rows = append(rows, s.Name+"\t"+s.Doc+"\t"+cmp.Or(at, "where --data or data.dir says: 'locus data get "+s.Name+"' says how"))
			continue
		}
		where := cmp.Or(at, "not found: 'locus data get "+s.Name+"' says how to get it")
		rows = append(rows, fmt.Sprintf("%s\t%d classes of %d×%d×%d\t%s", s.Name, h.Classes, h.Shape.C, h.Shape.H, h.Shape.W, where))
	}
	return rows, nil
}

// listKeys takes two lines a key: one would be too wide for a terminal.
func listKeys() (rows []string, err error) {
	keys, err := recipe.Keys(&train.Config{})
	for _, k := range keys {
		value := "no default"
		if k.Default != "" {
			value = "default " + k.Default
		}
		rows = append(rows, fmt.Sprintf("%s\t%s, %s: %s", k.Path, k.Type, value, k.Allowed), "\t"+k.Doc)
	}
	return rows, err
}
