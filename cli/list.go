package cli

import (
	"cmp"
	"fmt"
	"path"
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
		Use:   "list " + strings.Join(names, "|") + " [PATTERN]",
		Short: "Show what there is to choose from",
		Long: "Show what there is to choose from; keys are those of a recipe, with type, default and what is allowed.\n" +
			"Recipes stand below what they build on; a name with a colon is a base, for 'base: NAME' in a recipe of your own.\n" +
			"PATTERN keeps the names that have it in them, or with * and ? those that are like it.",
		Example: "  locus list recipes\n  locus list recipes '*-k16'\n  locus list keys optim",
		Args:    takes(1, 2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return listed(args[0]), cobra.ShellCompDirectiveNoFileComp
			}
			if len(args) > 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, l := range lists {
				if l.name != args[0] {
					continue
				}
				rows, err := l.rows()
				if err != nil {
					return err
				}
				if len(args) == 2 {
					if rows = matching(rows, args[1]); len(rows) == 0 {
						return fault.New("no name in the list of %s is like %q: 'locus list %s' shows all", l.name, args[1], l.name)
					}
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

// matching keeps the rows whose name is like a pattern, each with the lines that belong to it, and the header of those.
func matching(rows []string, pattern string) []string {
	var kept, header []string
	keep := false
	for _, row := range rows {
		cell, _, _ := strings.Cut(row, "\t")
		name := strings.TrimSuffix(strings.TrimSpace(cell), ":")
		switch {
		case row == "":
			continue
		case name != "" && name == strings.ToUpper(name):
			header = append(header, row)
			continue
		case name != "":
			keep = like(name, pattern)
		}
		if keep {
			kept = append(kept, strings.TrimLeft(row, " "))
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return append(header, kept...)
}

func like(name, pattern string) bool {
	if strings.ContainsAny(pattern, "*?[") {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	}
	return strings.Contains(name, pattern)
}

// listed are the names in a list, for completion.
func listed(list string) (found []cobra.Completion) {
	for _, l := range lists {
		if l.name != list || list == "models" { // whose parameters are counted
			continue
		}
		rows, err := l.rows()
		if err != nil {
			return nil
		}
		for _, row := range rows {
			cell, _, _ := strings.Cut(row, "\t")
			if name := strings.TrimSuffix(strings.TrimSpace(cell), ":"); name != "" && name != strings.ToUpper(name) {
				found = append(found, name)
			}
		}
	}
	if list == "models" {
		for _, m := range zoo.Models() {
			found = append(found, m.Name)
		}
	}
	return found
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
	rows = append(rows, "MODEL\tIMAGES\tPARAMETERS\t")
	for _, m := range zoo.Models() {
		count := "–"
		n, side, err := m.Parameters()
		if err == nil {
			count = fmt.Sprintf("%.2f M", float64(n)/1e6)
		}
		rows = append(rows, fmt.Sprintf("%s\t%d×%d\t%s\t%s; width %d, depth %d unless set", m.Name, side, side, count, m.Doc, m.Width, m.Depth))
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
