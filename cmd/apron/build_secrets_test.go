package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBuild_masksTheFilesOfItsSecrets prints, while an image is built, what the file of a
// build secret holds, line by line and word by word.
func TestBuild_masksTheFilesOfItsSecrets(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, strings.Replace(small, "context: app",
		"context: app, secrets: {npm: \"file:../npmrc\"}, before: {run: [sh, hook.sh], inputs: [hook.sh], outputs: [made]}", 1), built.tiny)
	c.write("npmrc", "registry=https://npm.example.com/\n//npm.example.com/:_authToken="+canary+"-one\nproxy=http://me:"+canary+"-two@proxy.example.com\n")
	c.write("app/hook.sh", "cat ../npmrc\nfor i in one two; do echo \"it is $(echo can)ary-$i!\"; done\necho of npm.example.com\ntouch made\n")
	_, errOut := c.apron(exitOK, "build")
	require.NotContains(t, errOut, canary)
	require.Equal(t, 2, strings.Count(errOut, "it is (sensitive)!"), errOut)
	require.Contains(t, errOut, "of npm.example.com")
}
