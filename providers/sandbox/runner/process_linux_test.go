package runner

import (
	"testing"
)

func TestProcess_conforms(t *testing.T) {
	e := open(t, "process")
	t.Log(e.Describe())
	t.Run("claims", func(t *testing.T) { runConformance(t, e, traits{}) })
}
