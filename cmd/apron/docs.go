package main

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed docs/*.md
var docs embed.FS

func topics() []string {
	files, err := fs.Glob(docs, "docs/*.md")
	if err != nil {
		panic(err) // the pattern is well formed
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".md")
	}
	return files
}

func (a *app) docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "docs [topic]",
		Short: "Read more about a topic: " + strings.Join(topics(), ", "),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) == 1 && slices.Contains(topics(), args[0]) {
				return nil
			}
			return fmt.Errorf("%q is not a topic: name one of %s", strings.Join(args, " "), strings.Join(topics(), ", "))
		},
		ValidArgs: topics(),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := fmt.Fprintln(a.out, "apron docs TOPIC, with one of: "+strings.Join(topics(), ", "))
				return err
			}
			text, err := docs.ReadFile("docs/" + args[0] + ".md")
			if err != nil {
				return err
			}
			_, err = a.out.Write(text)
			return err
		},
	}
}
