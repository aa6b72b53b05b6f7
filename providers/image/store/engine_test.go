package store_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/store"
)

// engine is a docker that has one image.
func engine(t *testing.T, img v1.Image, files map[string]any, asked *[]string) store.Run {
	t.Helper()
	file := archive(t, files)
	id, err := img.ConfigName()
	require.NoError(t, err)
	_, diffs, _ := parts(t, img)
	return func(_ context.Context, out io.Writer, args ...string) error {
		if args[0] == "info" {
			return errors.New("this engine does not tell where its store is")
		}
		*asked = append(*asked, strings.Join(args, " "))
		if args[0] == "image" {
			_, err := out.Write(marshal(t, []any{map[string]any{"Id": id, "RootFS": map[string]any{"Layers": diffs}}}))
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

func TestFromEngine_savesOnlyWhatIsNotRemembered(t *testing.T) {
	for name, files := range map[string]func(*testing.T, v1.Image) map[string]any{"docker before 25": legacy, "docker since 25": modern} {
		t.Run(name, func(t *testing.T) {
			img := sample(t, 3)
			temp := t.TempDir()
			o := store.Options{Known: store.OpenKnown(t.TempDir()), Temp: temp}
			var asked []string
			run := engine(t, img, files(t, img), &asked)
			id, err := img.ConfigName()
			require.NoError(t, err)

			first, err := store.FromEngine(t.Context(), "docker", run, "web", o)
			require.NoError(t, err)
			same(t, img, first)
			digest, err := first.Digest()
			require.NoError(t, err)
			require.NoError(t, first.Close())
			require.Equal(t, []string{"image inspect web", "save " + id.Hex}, asked)

			asked = nil
			second, err := store.FromEngine(t.Context(), "docker", run, "web", o)
			require.NoError(t, err)
			again, err := second.Digest()
			require.NoError(t, err)
			require.Equal(t, digest, again)
			require.Equal(t, []string{"image inspect web"}, asked, "nothing was saved")
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
			works := engine(t, img, legacy(t, img), &asked)
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
