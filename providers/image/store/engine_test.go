package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/store"
)

// engine is a docker, a podman or a buildah that has one image. It tells the driver of its
// store and the store's directory, if that is not empty.
func engine(t *testing.T, img v1.Image, files map[string]any, driver, root string, asked *[]string) store.Run {
	t.Helper()
	file := archive(t, files)
	id, err := img.ConfigName()
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	return func(_ context.Context, out io.Writer, args ...string) error {
		var answer any
		switch strings.Join(args[:2], " ") {
		case "info --format":
			if root == "" {
				return errors.New("this engine does not tell where its store is")
			}
			_, err := fmt.Fprintf(out, "%s\n%s\n", root, driver)
			return err
		case "image inspect": // docker's ids have a prefix, podman's have not
			image := map[string]any{"Id": id, "Size": 5000, "RootFS": map[string]any{"Layers": config.RootFS.DiffIDs}}
			if root != "" {
				image["GraphDriver"] = map[string]any{"Name": driver, "Data": map[string]any{"UpperDir": filepath.Join(root, driver, "top", "diff")}}
			}
			answer = []any{image}
		case "inspect --type":
			m := marshal(t, v1.Manifest{Config: v1.Descriptor{Digest: id}, Layers: []v1.Descriptor{{Size: 2000, Digest: id}, {Size: 3000, Digest: id}}})
			answer = map[string]any{"FromImageID": id.Hex, "OCIv1": config, "Manifest": string(m)}
		}
		*asked = append(*asked, strings.Join(args, " "))
		if answer != nil {
			_, err := out.Write(marshal(t, answer))
			return err
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(out, f)
		return err
	}
}

// questions are what an engine is asked for an image.
var questions = map[string]struct{ inspect, save string }{
	"docker":  {"image inspect web", "save ID"},
	"podman":  {"image inspect web", "save --quiet --format docker-archive ID"},
	"buildah": {"inspect --type image web", "push --quiet ID docker-archive:/dev/stdout"},
}

func TestFromEngine_savesOnlyWhatIsNotRemembered(t *testing.T) {
	for name, files := range map[string]func(*testing.T, v1.Image) map[string]any{"docker before 25": legacy, "docker since 25": modern, "podman": legacy, "buildah": legacy} {
		t.Run(name, func(t *testing.T) {
			name, _, _ := strings.Cut(name, " ")
			img := sample(t, 3)
			temp := t.TempDir()
			o := store.Options{Known: store.OpenKnown(t.TempDir()), Temp: temp}
			var asked []string
			run := engine(t, img, files(t, img), "", "", &asked)
			id, err := img.ConfigName()
			require.NoError(t, err)

			first, err := store.FromEngine(t.Context(), name, run, "web", o)
			require.NoError(t, err)
			compressed, plain := first.Sizes()
			require.Equal(t, []int64{0, 5000}, []int64{compressed, plain}, "what the engine says")
			same(t, img, first)
			digest, err := first.Digest()
			require.NoError(t, err)
			require.NoError(t, first.Close())
			q := questions[name]
			require.Equal(t, []string{q.inspect, strings.Replace(q.save, "ID", id.Hex, 1)}, asked)

			asked = nil
			second, err := store.FromEngine(t.Context(), name, run, "web", o)
			require.NoError(t, err)
			again, err := second.Digest()
			require.NoError(t, err)
			require.Equal(t, digest, again)
			require.Equal(t, []string{q.inspect}, asked, "nothing was saved")
			same(t, img, second)
			require.Len(t, asked, 2, "until it was read")
			require.NoError(t, second.Close())
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestFromEngine_leavesNothingBehindWhenTheEngineFails(t *testing.T) {
	img := sample(t, 1)
	why := errors.New("docker save: exit status 1")
	for name, wrong := range map[string]func(io.Writer) error{
		"at once":    func(io.Writer) error { return why },
		"in between": func(w io.Writer) error { _, _ = w.Write(make([]byte, 700)); return why },
	} {
		t.Run(name, func(t *testing.T) {
			temp := t.TempDir()
			var asked []string
			works := engine(t, img, legacy(t, img), "", "", &asked)
			run := func(ctx context.Context, out io.Writer, args ...string) error {
				if args[0] == "save" {
					return wrong(out)
				}
				return works(ctx, out, args...)
			}
			_, err := store.FromEngine(t.Context(), "docker", run, "web", store.Options{Temp: temp})
			require.ErrorIs(t, err, why)
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestFromEngine_knowsThreeEngines(t *testing.T) {
	_, err := store.FromEngine(t.Context(), "nerdctl", nil, "web", store.Options{})
	require.EqualError(t, err, `engine "nerdctl" is none of docker, podman, buildah`)
	for name, text := range map[string]string{"docker": "[]", "podman": "[{},{}]", "buildah": "{}"} {
		_, err := store.FromEngine(t.Context(), name, func(_ context.Context, out io.Writer, _ ...string) error {
			_, err := io.WriteString(out, text)
			return err
		}, "web", store.Options{})
		require.ErrorContains(t, err, name+" "+questions[name].inspect+": ")
	}
}
