//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// measure measures every case, and prints a table of each source.
func measure(ctx context.Context, s settings, out io.Writer) error {
	fmt.Fprintf(out, "Medians of %d rounds, tools in turns; layers divided by %d, behind the shaped link (%s round trip, %d MB/s per connection) by 8 more.\n",
		s.rounds, s.scale, 2*oneWay, rate/1_000_000)
	for _, shaped := range s.links {
		for i := range shapes {
			if err := measureImage(ctx, s, i, shaped, out); err != nil {
				return err
			}
		}
	}
	return nil
}

func measureImage(ctx context.Context, s settings, image int, shaped bool, out io.Writer) error {
	shape := shapes[image]
	link, scale := "bare", s.scale
	if shaped {
		link, scale = "shaped", s.scale*8
	}
	var wanted []source
	for _, src := range sources {
		if s.only.MatchString(src.name+", "+shape.String()+", "+link) && (src.load == "" || has(ctx, src.load)) {
			wanted = append(wanted, src)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	dir := filepath.Join(s.dir, "image")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	versions, err := create(ctx, dir, image, scale)
	if err != nil {
		return err
	}
	for _, src := range wanted {
		if err := measureSource(ctx, s, src, versions, shaped, fmt.Sprintf("%s, %s, %s", src.name, shape, link), out); err != nil {
			return err
		}
	}
	return nil
}

func measureSource(ctx context.Context, s settings, src source, versions [2]version, shaped bool, title string, out io.Writer) error {
	if src.load != "" {
		remove, err := load(ctx, src.load, versions)
		if err != nil {
			return err
		}
		defer remove()
	}
	var tools []tool
	for _, t := range src.tools {
		if t.needs == "" || has(ctx, t.needs) {
			tools = append(tools, t)
		}
	}
	all := make([][3][]result, len(tools))
	for range s.rounds {
		for i, t := range tools {
			results, err := threePushes(ctx, t, versions, shaped, s.dir)
			if err != nil {
				return fmt.Errorf("%s: %w", title, err)
			}
			for phase, r := range results {
				all[i][phase] = append(all[i][phase], r)
			}
		}
	}
	report(out, title, tools, all)
	return nil
}

func report(out io.Writer, title string, tools []tool, all [][3][]result) {
	fmt.Fprintf(out, "\n### %s\n\n| tool |", title)
	for _, p := range phases {
		fmt.Fprintf(out, " %s s | quartiles | requests | peak MiB |", p)
	}
	fmt.Fprint(out, "\n|---|"+strings.Repeat("---:|", 4*len(phases))+"\n")
	for i, t := range tools {
		fmt.Fprintf(out, "| %s |", t.name)
		for _, results := range all[i] {
			q1, median, q3 := quartiles(results)
			fmt.Fprintf(out, " %.3f | %.3f to %.3f | %d | %d |", median, q1, q3, results[0].requests, peak(results))
		}
		fmt.Fprintln(out)
	}
	fmt.Fprint(out, "| apron against the fastest other |")
	for phase := range phases {
		fmt.Fprintf(out, " %s | | | |", verdict(all, phase))
	}
	fmt.Fprintln(out)
}

// verdict compares the first tool with the fastest of the others.
func verdict(all [][3][]result, phase int) string {
	if len(all) < 2 {
		return "alone"
	}
	_, ours, _ := quartiles(all[0][phase])
	var best, low, high float64
	for i, a := range all[1:] {
		if q1, median, q3 := quartiles(a[phase]); i == 0 || median < best {
			best, low, high = median, q1, q3
		}
	}
	word := "slower"
	if ours <= 1.1*best || (ours >= low && ours <= high) {
		word = "ok"
	}
	return fmt.Sprintf("%.2f x, %s", ours/best, word)
}

func quartiles(results []result) (q1, median, q3 float64) {
	var took []time.Duration
	for _, r := range results {
		took = append(took, r.took)
	}
	slices.Sort(took)
	at := func(part int) float64 { return took[(len(took)-1)*part/4].Seconds() }
	return at(1), at(2), at(3)
}

func peak(results []result) int64 {
	var most int64
	for _, r := range results {
		most = max(most, r.peakMiB)
	}
	return most
}
