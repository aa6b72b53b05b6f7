package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"
)

// scriptIndex writes an OCI layout: the image of an archive for linux/amd64 and, in the same
// index, one for linux/arm64.
func scriptIndex(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: index DIR ARCHIVE")
	}
	img, err := tarball.ImageFromPath(ts.MkAbs(args[1]), nil)
	ts.Check(err)
	config, err := img.ConfigFile()
	ts.Check(err)
	config = config.DeepCopy()
	config.Architecture = "arm64"
	arm, err := mutate.ConfigFile(img, config)
	ts.Check(err)
	member := func(img v1.Image, architecture string) mutate.IndexAddendum {
		return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}}
	}
	index := mutate.AppendManifests(empty.Index, member(img, "amd64"), member(arm, "arm64"))
	_, err = layout.Write(ts.MkAbs(args[0]), mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index}))
	ts.Check(err)
}

var stamp = regexp.MustCompile(`"(?:pushedAt|pulledAt)": ?"([^"]+)"`)

// scriptOlder stops the sandbox and makes all its images older by so many days.
func scriptOlder(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: older DAYS")
	}
	days, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(ts.Exec("apron", "sandbox", "stop"))
	files, err := filepath.Glob(ts.MkAbs(".apron/sandbox/*/*/state/ecr/repositories/*.json"))
	ts.Check(err)
	n := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		ts.Check(err)
		text = stamp.ReplaceAllFunc(text, func(b []byte) []byte {
			at := stamp.FindSubmatchIndex(b)
			t, err := time.Parse(time.RFC3339Nano, string(b[at[2]:at[3]]))
			ts.Check(err)
			n++
			return append(append(b[:at[2]:at[2]], t.AddDate(0, 0, -days).Format(time.RFC3339Nano)...), b[at[3]:]...)
		})
		ts.Check(os.WriteFile(file, text, 0o600))
	}
	if n == 0 {
		ts.Fatalf("the sandbox has no images")
	}
}
