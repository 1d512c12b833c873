package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
)

func newData() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Say where data sets are, whether they are whole, how to get them",
		Long:  "Data is looked for in --data, data.dir of the recipe, the folders in $" + data.EnvDir + ", then where distributions install it.",
	}
	cmd.AddCommand(newDataList(), newDataCheck(), newDataGet())
	return cmd
}

func newDataList() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the known sets, where they are and whether they are complete",
		Args:  takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var rows []table.Row
			for _, s := range data.Sets() {
				h := s.Home
				if h == nil {
					rows = append(rows, table.Row{s.Name, "", "", "", "built in", ""})
					continue
				}
				status, where := "missing", "'locus data get "+s.Name+"' says how to get it"
				at, _ := h.Find(folders(dir))
				if h.Own {
					if at != "" {
						rows = append(rows, table.Row{s.Name, "", "", "", "not checked", at})
					}
					continue
				}
				if at != "" {
					r, err := data.Check(cmd.Context(), s.Name, folders(dir))
					if err != nil {
						return err
					}
					status, where = string(r.Status), r.Dir
				}
				rows = append(rows, table.Row{s.Name, h.Classes, h.Train, h.Test, status, where})
			}
			return printTable(cmd.OutOrStdout(), table.Row{"set", "classes", "training", "test", "status", "where"}, rows, 7)
		},
	}
	addData(cmd, &dir)
	return cmd
}

func newDataCheck() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:               "check SET",
		Short:             "Read all of a set, name what is broken and count its classes",
		Args:              takes(1, 1),
		ValidArgsFunction: completeSets,
		RunE: func(cmd *cobra.Command, args []string) error {
			if isFolder(args[0]) && !slices.Contains(data.Names(), args[0]) {
				return fault.New("set is %q: must be the name of a set; photographs in a folder are set folder: locus data check folder --data %s", args[0], args[0])
			}
			r, err := data.Check(cmd.Context(), args[0], folders(dir))
			if err != nil {
				return err
			}
			if err := printReport(cmd.OutOrStdout(), r); err != nil || r.Status != data.Broken {
				return err
			}
			return fault.New("%s is broken: %w", r.Name, cmp.Or(r.Train.Problem, r.Test.Problem, r.Problem))
		},
	}
	addData(cmd, &dir)
	return cmd
}

func printReport(w io.Writer, r data.Report) error {
	where := ""
	if r.Dir != "" {
		where = " in " + r.Dir
	}
	fmt.Fprintf(w, "%s%s is %s: %d of %d training and %d of %d test images\n", r.Name, where, r.Status,
		r.Train.Images, r.Train.Official, r.Test.Images, r.Test.Official)
	var files []string
	for _, f := range r.Files {
		if f.Path == "" {
			files = append(files, f.Name+"\tmissing")
			continue
		}
		files = append(files, fmt.Sprintf("%s\t%d bytes", f.Path, f.Bytes))
	}
	if err := printColumns(w, files); err != nil {
		return err
	}
	for _, line := range r.Notes {
		fmt.Fprintln(w, show.Line(line))
	}
	for _, line := range r.Unreadable {
		fmt.Fprintln(w, "broken: "+show.Line(line))
	}
	if r.MultiLabel {
		fmt.Fprintf(w, "images have any number of classes; none: %d training and %d test images\n", r.Train.Without, r.Test.Without)
	}
	var rows []table.Row
	for label, class := range r.Classes {
		rows = append(rows, table.Row{label, show.Name(class), r.Train.PerClass[label], r.Test.PerClass[label]})
	}
	return printTable(w, table.Row{"label", "class", "training", "test"}, rows, 3)
}

func newDataGet() *cobra.Command {
	return &cobra.Command{
		Use:               "get SET",
		Short:             "Say how to get a set and where to put it",
		Args:              takes(1, 1),
		ValidArgsFunction: completeSets,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := data.Lookup(args[0])
			if err != nil {
				return err
			}
			if s.Home == nil {
				return printColumns(cmd.OutOrStdout(), []string{"here\t" + s.Name + " is built in: there is nothing to get"})
			}
			h := s.Home
			at, _ := h.Find(nil)
			if h.Own {
				return printColumns(cmd.OutOrStdout(), []string{
					"here\t" + cmp.Or(at, "not found: name the folder with --data or data.dir"),
					"put\t" + h.Get,
					"check\tlocus data check " + s.Name + " --data DIR",
				})
			}
			return printColumns(cmd.OutOrStdout(), []string{
				"here\t" + cmp.Or(at, "not found"),
				"get\t" + h.Get,
				"put\tinto DIR or DIR/" + s.Name + ", where --data, data.dir or $" + data.EnvDir + " names DIR",
				"files\t" + strings.Join(h.Files, ", ") + "; each may be a .gz",
				"check\tlocus data check " + s.Name + " --data DIR",
			})
		},
	}
}

func folders(dir string) []string {
	if dir == "" {
		return nil
	}
	return []string{dir}
}
